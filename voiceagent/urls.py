from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path, register_converter

from voiceagent import health
from voiceagent.converters import CallIdConverter

register_converter(CallIdConverter, "call_id")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one login with its limits for all

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    # Of allauth's pages only those that we have: its e-mail and password pages would send mail that nobody set up.
    path("accounts/login/", account.login, name="account_login"),
    path("accounts/logout/", account.logout, name="account_logout"),
    path("accounts/signup/", account.signup, name="account_signup"),
    path("accounts/inactive/", account.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("admin/", admin.site.urls),
    path("", include("tokens.urls")),
    path("", include("relay.urls")),
    path("", include("api_docs.urls")),
    path("", include("realtime_ui.urls")),
]
handler400 = "voiceagent.error_views.bad_request"
handler403 = "voiceagent.error_views.permission_denied"
handler404 = "voiceagent.error_views.not_found"
handler500 = "voiceagent.error_views.server_error"
