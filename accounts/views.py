"""The Security page, ending sessions, and the way to the login provider and back."""

from typing import Any

from allauth.account import views as account
from allauth.mfa import app_settings as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import records, sessions
from accounts.exceptions import TooManyLogins
from accounts.oidc import BAD_ANSWERS, Flow, refusal
from accounts.second_factor import has_second_factor, lacks_second_factor
from voiceagent.error_views import answer


@login_required
@require_safe
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Show one's second factors and sessions."""
    user = signed_in(request)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    codes = next((factor for factor in factors if factor.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        "app": next((factor for factor in factors if factor.type == Authenticator.Type.TOTP), None),
        "passkeys": [factor for factor in factors if factor.type == Authenticator.Type.WEBAUTHN],
        "codes": codes,
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
        "codes_total": mfa.RECOVERY_CODE_COUNT,
        "has_second_factor": has_second_factor(user),
        "must_set_up": lacks_second_factor(user),
        "provider_name": settings.OIDC_NAME if settings.OIDC_SERVER_URL else "",
        "is_linked": SocialAccount.objects.filter(user=user).exists(),
        "has_password": user.has_usable_password(),
        "sessions": sessions.sessions_of(request, user),
    }
    return render(request, "accounts/security.html", context)


@login_required
@never_cache
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's password; every other session ends. Who has none signs in elsewhere, and changes it there."""
    if not signed_in(request).has_usable_password():
        raise Http404
    response: HttpResponse = account.password_change(request)
    return response


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's other sessions."""
    others = UserSession.objects.filter(user=signed_in(request)).exclude(session_key=request.session.session_key)
    sessions.end(get_object_or_404(others, pk=pk), "ended_elsewhere", actor=records.acting())
    return redirect("security")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of one's sessions but this one."""
    sessions.end_others(request, signed_in(request), "ended_elsewhere")
    return redirect("security")


@require_POST
@never_cache
def provider_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the login provider.

    By a page that forwards, not by a redirect: browsers hold a form's redirects, all of them, to the policy's
    `form-action`, and nobody knows through which hosts an organisation's login leads.
    """
    response = _carried_out(request, OAuth2LoginView, provider_id)
    address = response.headers.get("Location", "")
    if not address.startswith(("https://", "http://")):
        return response
    page = render(request, "accounts/to_provider.html", {"name": settings.OIDC_NAME, "address": address})
    page["Refresh"] = f"0; url={address}"
    return page


@never_cache
def provider_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take the provider's answer."""
    return _carried_out(request, OAuth2CallbackView, provider_id)


def _carried_out(request: HttpRequest, view: Any, provider_id: str) -> HttpResponse:
    if not settings.OIDC_SERVER_URL:
        raise Http404
    try:
        response: HttpResponse = view.adapter_view(Flow(request, provider_id))(request)
    except BAD_ANSWERS as exc:
        response = refusal(request, exc)
    return response


def too_many_logins(request: HttpRequest) -> HttpResponse:
    """Answer a flood of tries from one address."""
    return answer(request, TooManyLogins(retry_after_ms=60_000), "coded_error.html")


def signed_in(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # behind `login_required`
    return request.user
