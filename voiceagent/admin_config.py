"""The administration as an application: Django's own, with our pages beside the models'."""

from django.contrib.admin.apps import AdminConfig


class SiteConfig(AdminConfig):
    default_site = "voiceagent.admin_site.Site"
