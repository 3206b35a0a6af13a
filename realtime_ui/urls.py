from django.urls import path

from realtime_ui import key_pages, usage_page, views

urlpatterns = [
    path("", views.voice, name="voice"),
    path("usage/", usage_page.usage, name="usage"),
    path("keys/", key_pages.keys, name="keys"),
    path("keys/<int:pk>/revoke/", key_pages.revoke_key, name="revoke_key"),
]
