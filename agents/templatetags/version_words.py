"""How the pages about versions show a time: as the lists of the administration do."""

from django import template

from voiceagent.admin_words import time_of

register = template.Library()
register.filter("shown_time", time_of)
