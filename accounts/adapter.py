"""How allauth's login behaves here: nobody signs up, and wrong passwords are recorded and lock."""

from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import records
from accounts.exceptions import TooManyLogins
from accounts.locks import find_user, holding_a_try, lock_error
from voiceagent.client_ip import client_ip
from voiceagent.error_views import answer

UNKNOWN_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # where there is none (a Unix socket); allauth insists on one


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # the package is untyped
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _("That name and password do not belong together."),
        "incorrect_password": _("That is not your password."),
        "too_many_login_attempts": _("Too many tries. Wait five minutes, then try again."),
        "rate_limited": _("Too many tries. Wait five minutes, then try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("security")

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request) or UNKNOWN_ADDRESS

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Leave the counting of passwords to axes: allauth's own would lock a name from everywhere."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Look at a password, at no more of one name and address at once than may still be wrong."""
        with holding_a_try(request, str(credentials.get("username") or "")) as may_try:
            if not may_try:
                raise ImmediateHttpResponse(answer(request, TooManyLogins(retry_after_ms=1000), "coded_error.html"))
            found: AbstractBaseUser | None = super().authenticate(request, **credentials)
            return found

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record a wrong password, or answer who is locked out. Serves the login and confirming one's password."""
        typed_name = str(credentials.get("username") or "")
        is_locked: bool = request.axes_locked_out  # type: ignore[attr-defined]  # axes' backend runs first and sets it
        was_counted = request.axes_failures_since_start is not None  # type: ignore[attr-defined]
        if was_counted:
            user = find_user(request, typed_name)
            records.login_failed(request, user, "wrong_password" if user else "unknown_user")
            if is_locked:
                records.login_locked(request, user)
        if is_locked:
            error = lock_error(request, typed_name)
            raise ImmediateHttpResponse(answer(request, error, "coded_error.html"))

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        records.login_failed(request, user, "inactive")
        response: HttpResponse = super().respond_user_inactive(request, user)
        return response
