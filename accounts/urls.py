"""Logging in, and one's own second factors and sessions.

Of allauth's pages only those that have a purpose here: its e-mail and password pages would send mail that nobody set
up. Some of its pages lead to names of overviews of their own; these lead to ours.
"""

from allauth.account import views as account
from allauth.core.internal import ratelimit
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.db import transaction
from django.urls import path

from accounts import views
from accounts.oidc import PROVIDER_ID

# Beginning to log in costs a session row, and with the provider a request to it, before anybody is known.
limited = ratelimit.decorator(app="allauth.mfa", action="webauthn_login", limit_get=True)
limited_like_passwords = ratelimit.decorator(app="allauth.account", action="login")

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("login/passkey/", limited(webauthn.login_webauthn), name="mfa_login_webauthn"),
    path("login/code/", mfa.authenticate, name="mfa_authenticate"),
    path("logout/", account.logout, name="account_logout"),
    path("signup/", account.signup, name="account_signup"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path(
        "oidc/login/",
        limited_like_passwords(views.provider_login),
        {"provider_id": PROVIDER_ID},
        name="openid_connect_login",
    ),
    path("oidc/login/callback/", views.provider_callback, {"provider_id": PROVIDER_ID}, name="openid_connect_callback"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("reauthenticate/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("reauthenticate/passkey/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("security/", views.security, name="security"),
    path("security/", views.security, name="mfa_index"),
    path("security/", views.security, name="mfa_list_webauthn"),
    path("security/password/", views.change_password, name="account_change_password"),
    path("security/app/", totp.activate_totp, name="mfa_activate_totp"),
    path("security/app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    # In one transaction, so that the passkey and the record of it come together.
    path("security/passkeys/add/", transaction.atomic(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("security/passkeys/<int:pk>/rename/", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("security/passkeys/<int:pk>/remove/", webauthn.remove_webauthn, name="mfa_remove_webauthn"),
    path("security/recovery-codes/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("security/recovery-codes/new/", recovery_codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("security/sessions/end/", views.end_other_sessions, name="end_other_sessions"),
    path("security/sessions/<int:pk>/end/", views.end_session, name="end_session"),
]
