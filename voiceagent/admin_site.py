"""The administration's own pages, behind the same door as the rest of it."""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, URLResolver, path

from voiceagent import admin_views
from voiceagent.integrity_page import integrity_page


class Site(AdminSite):
    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("overview/", self.admin_view(admin_views.overview_page), name="overview"),
            path("integrity/", self.admin_view(integrity_page), name="integrity"),
            path("whose/", self.admin_view(admin_views.whose), name="whose"),
            path("end-everything/", self.admin_view(admin_views.end_everything_page), name="end_everything"),
            *super().get_urls(),
        ]
