"""`{{ moment|local_time }}`: a time in the server's zone that the page's script turns into the reader's."""

from django import template

from voiceagent.admin_words import time_of

register = template.Library()
register.filter("local_time", time_of)
