from django.urls import path

from realtime_ui import key_pages, views

urlpatterns = [
    path("", views.voice, name="voice"),
    path("keys/", key_pages.keys, name="keys"),
    path("keys/<int:pk>/revoke/", key_pages.revoke_key, name="revoke_key"),
]
