"""The administration's own pages, behind the same door as the rest of it."""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, URLResolver, path

from relay import streams
from voiceagent import admin_views, control_room
from voiceagent.integrity_page import integrity_page


class Site(AdminSite):
    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("overview/", self.admin_view(admin_views.overview_page), name="overview"),
            path("integrity/", self.admin_view(integrity_page), name="integrity"),
            path("whose/", self.admin_view(admin_views.whose), name="whose"),
            path("end-everything/", self.admin_view(admin_views.end_everything_page), name="end_everything"),
            path("live/", self.admin_view(control_room.live_page), name="live"),
            path("live/<int:pk>/", self.admin_view(control_room.live_call_page), name="live_call"),
            path("live/stream", streams.all_calls, name="live_stream"),  # has a door of its own, which is the same
            *super().get_urls(),
        ]
