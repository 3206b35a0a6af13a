"""Logging in with the organisation's own provider (OpenID Connect): code flow with PKCE, state and nonce.

allauth carries the flow. Here stands what it leaves open or does by itself otherwise: the token's signature is always
checked, its issuer is the one of the settings, userinfo is of the same person, nothing is matched by e-mail, and groups
follow the provider.
"""

import hashlib
import secrets
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import jwt
import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts import records
from accounts.exceptions import ProviderRefused, ProviderUnavailable
from audit.actions import Action
from audit.services import record_event
from voiceagent.error_views import answer
from voiceagent.request_id import current_request_id

PROVIDER_ID: Final = "oidc"
SIGNATURES: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_LEEWAY_S: Final = 60
TIMEOUT_S: Final = 5
# What anything that is no proper provider makes of the steps below.
BAD_ANSWERS: Final = (requests.RequestException, OAuth2Error, jwt.PyJWTError, KeyError, TypeError, ValueError)


class Flow(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # the package is untyped
    """The requests to the provider."""

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return the provider's own description. Raises OAuth2Error for one that speaks for somebody else."""
        config: dict[str, Any] = super().openid_config
        if str(config["issuer"]).rstrip("/") != settings.OIDC_SERVER_URL:
            raise OAuth2Error("The provider's issuer is not OIDC_SERVER_URL.")
        return config

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return who logged in. Raises OAuth2Error unless the token is the provider's, for us, and userinfo agrees."""
        id_token = self._verified(kwargs["response"]["id_token"])
        userinfo = self._fetch_user_info(token.token) if "userinfo_endpoint" in self.openid_config else id_token
        if userinfo["sub"] != id_token["sub"]:  # OpenID Connect Core 1.0 section 5.3.4
            raise OAuth2Error("The userinfo is somebody else's.")
        login = self.get_provider().sociallogin_from_response(request, id_token | userinfo | {"iss": id_token["iss"]})
        login.claims = id_token | userinfo
        login.nonce = id_token.get("nonce")
        return login

    def _verified(self, id_token: str) -> dict[str, Any]:
        config = self.openid_config
        with get_adapter().get_requests_session() as http:
            answer = http.get(config["jwks_uri"])
            answer.raise_for_status()
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        kid = jwt.get_unverified_header(id_token).get("kid")
        key = next((key for key in keys if key.key_id == kid or len(keys) == 1), None)
        if key is None:
            raise OAuth2Error("The token is signed with a key that the provider does not publish.")
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key,
            algorithms=SIGNATURES,
            audience=settings.OIDC_CLIENT_ID,
            issuer=config["issuer"],
            leeway=CLOCK_LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        return claims


class Provider(OpenIDConnectProvider):  # type: ignore[misc]  # the package is untyped
    """Who the provider's people are here. No e-mail address is taken, so none can stand for an account."""

    oauth2_adapter_class = Flow

    def redirect(self, request: HttpRequest, process: str, **kwargs: Any) -> Any:
        """Send the browser to the provider; what the address asks for beyond our own wishes is left out."""
        nonce = secrets.token_urlsafe(24)
        kwargs |= {"auth_params": self.get_auth_params() | {"nonce": nonce}, "scope": self.get_scope(), "nonce": nonce}
        return super().redirect(request, process, **kwargs)

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Return the person's lasting id: of issuer and subject, so that another provider's people are others."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"iss": data["iss"], "sub": data["sub"]}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        names = {"username": "preferred_username", "first_name": "given_name", "last_name": "family_name"}
        return {ours: str(data.get(theirs) or "")[:150] for ours, theirs in names.items()}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        return []


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # the package is untyped
    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the one provider of the settings, or none. Never from the database: its secret would lie there."""
        if not settings.OIDC_SERVER_URL or provider not in (None, PROVIDER_ID, "openid_connect"):
            return []
        return [
            SocialApp(
                provider="openid_connect",
                provider_id=PROVIDER_ID,
                name=settings.OIDC_NAME,
                client_id=settings.OIDC_CLIENT_ID,
                secret=settings.OIDC_CLIENT_SECRET,
                settings={
                    "server_url": settings.OIDC_SERVER_URL,
                    "oauth_pkce_enabled": True,
                    "scope": settings.OIDC_SCOPES,
                },
            )
        ]

    def get_requests_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        session.request = partial(session.request, timeout=TIMEOUT_S)  # type: ignore[method-assign]
        return session

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        allowed: bool = settings.OIDC_CREATE_USERS
        return allowed

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Check that the token answers this very login, then let groups follow. Raises OAuth2Error."""
        nonce = sociallogin.state.get("nonce")
        if not nonce or sociallogin.nonce != nonce:
            raise OAuth2Error("The token answers another login.")
        if sociallogin.is_existing and sociallogin.state.get("process") == AuthProcess.LOGIN:
            follow_groups(sociallogin.user, sociallogin.claims)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: object = None) -> User:
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            follow_groups(user, sociallogin.claims)
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Answer in our own form. Raises ImmediateHttpResponse, always."""
        if error == AuthError.CANCELLED:
            raise ImmediateHttpResponse(redirect("account_login"))
        raise ImmediateHttpResponse(refusal(request, exception))

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: object) -> str:
        return reverse("security")


def refusal(request: HttpRequest, exception: Exception | None) -> HttpResponse:
    """Record a login by the provider that failed, and return the page that says so."""
    unavailable = isinstance(exception, requests.RequestException)
    records.login_failed(request, None, "provider_unavailable" if unavailable else "provider")
    if exception:
        records.logger.warning("login provider: %s", exception)
    error = ProviderUnavailable() if unavailable else ProviderRefused()
    return answer(request, error, "coded_error.html")


def follow_groups(user: User, claims: dict[str, Any]) -> None:
    """Give and take groups, and staff status, as the provider says. Without OIDC_GROUPS_CLAIM nothing changes.

    Only groups that exist here are given: an administrator decides which mean something. A missing claim is none.
    """
    if not settings.OIDC_GROUPS_CLAIM:
        return
    names = set(_words(claims.get(settings.OIDC_GROUPS_CLAIM)))
    with transaction.atomic():
        wanted = {group.name: group for group in Group.objects.filter(name__in=names)}
        had = set(user.groups.values_list("name", flat=True))
        is_staff = settings.OIDC_STAFF_GROUP in names if settings.OIDC_STAFF_GROUP else user.is_staff
        if had == set(wanted) and is_staff == user.is_staff:
            return
        user.groups.set(wanted.values())
        User.objects.filter(pk=user.pk).update(is_staff=is_staff)
        user.is_staff = is_staff
        record_event(
            Action.USER_GROUPS_CHANGED,
            request_id=current_request_id.get(),
            actor="login_provider",
            target=records.name_of(user),
            given=", ".join(sorted(set(wanted) - had)),
            taken=", ".join(sorted(had - set(wanted))),
            staff=is_staff,
        )


def _words(claim: object) -> Iterable[str]:
    """Return a claim's names, whether it is a list, one name, or nothing usable."""
    values = claim if isinstance(claim, list) else [claim]
    return [value for value in values if isinstance(value, str) and value and "\0" not in value]
