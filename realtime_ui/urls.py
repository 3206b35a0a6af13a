from django.urls import path

from realtime_ui import call_pages, key_pages, usage_page, views

urlpatterns = [
    path("", views.voice, name="voice"),
    path("calls/", call_pages.calls, name="calls"),
    path("calls/<int:pk>/", call_pages.call_detail, name="call"),
    path("calls/<int:pk>/row/", call_pages.call_row, name="call_row"),
    path("calls/<int:pk>/end/", call_pages.end_own_call, name="end_call"),
    path("calls/<int:pk>/words.txt", call_pages.transcript_text, name="call_text"),
    path("calls/<int:pk>/words.json", call_pages.transcript_json, name="call_json"),
    path("calls/<int:pk>/words/delete/", call_pages.delete_words, name="delete_words"),
    path("usage/", usage_page.usage, name="usage"),
    path("keys/", key_pages.keys, name="keys"),
    path("keys/<int:pk>/revoke/", key_pages.revoke_key, name="revoke_key"),
]
