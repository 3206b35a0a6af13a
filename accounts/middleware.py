"""Staff without a second factor get no further than its set-up, where a setting demands one."""

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponseBase

from accounts.exceptions import SecondFactorRequired
from accounts.second_factor import lacks_second_factor
from voiceagent.error_views import answer
from voiceagent.errors import is_api_path

# Routes by which one gets a second factor, or out.
OPEN_ROUTES: Final = frozenset(
    {
        "security", "mfa_index", "mfa_list_webauthn", "mfa_activate_totp", "mfa_add_webauthn",
        "mfa_view_recovery_codes", "account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn",
        "account_login", "account_logout", "mfa_authenticate", "mfa_login_webauthn", "account_inactive",
        "end_session", "end_other_sessions", "openid_connect_login", "openid_connect_callback", "healthz", "readyz",
    }
)  # fmt: skip
SEEN: Final = "second_factor_seen"


class StaffSecondFactor:
    """Refuse staff who lack the second factor that the site demands.

    Outside of the administration a session is asked about once: what somebody who became staff in the meantime may do
    there is what anybody may. The administration asks each time.
    """

    async_capable = False
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        if not settings.STAFF_NEED_SECOND_FACTOR or SESSION_KEY not in request.session:
            return None
        if is_api_path(request.path) and "HTTP_AUTHORIZATION" in request.META:
            return None  # there the header decides alone, whatever the session is
        route = request.resolver_match
        assert route is not None  # a view was found
        if route.url_name in OPEN_ROUTES and not route.app_names:
            return None
        if request.session.get(SEEN) and "admin" not in route.app_names:
            return None
        if request.user.is_authenticated and lacks_second_factor(request.user):
            return answer(request, SecondFactorRequired(), "accounts/second_factor_required.html")
        if not request.session.get(SEEN):
            request.session[SEEN] = True
        return None
