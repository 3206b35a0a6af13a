from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path, register_converter

from voiceagent import health
from voiceagent.converters import CallIdConverter
from voiceagent.metrics import metrics

register_converter(CallIdConverter, "call_id")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one login with its limits for all

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("", include("tokens.urls")),
    path("", include("relay.urls")),
    path("", include("tools.urls")),
    path("", include("api_docs.urls")),
    path("", include("realtime_ui.urls")),
]
handler400 = "voiceagent.error_views.bad_request"
handler403 = "voiceagent.error_views.permission_denied"
handler404 = "voiceagent.error_views.not_found"
handler429 = "accounts.views.too_many_logins"  # asked for by allauth
handler500 = "voiceagent.error_views.server_error"
