from django.contrib import admin
from django.urls import include, path

from voiceagent import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("", include("tokens.urls")),
    path("", include("relay.urls")),
    path("", include("realtime_ui.urls")),
]
handler400 = "voiceagent.error_views.bad_request"
handler403 = "voiceagent.error_views.permission_denied"
handler404 = "voiceagent.error_views.not_found"
handler500 = "voiceagent.error_views.server_error"
