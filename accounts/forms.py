"""allauth's forms of the second step, each code good for once, and failures recorded."""

import hashlib
from typing import Any, Final

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import LoginWebAuthnForm
from django.core.cache import cache
from django.core.exceptions import ValidationError

from accounts import records

USED_CODE_S: Final = 90  # a code's own step and one on either side


class _OnceOnly:
    """Take a code of an app once. allauth remembers it for its own step only, but takes the neighbours, too."""

    user: Any
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]  # of the form that this is mixed into
        if self.authenticator.type == Authenticator.Type.TOTP:
            digest = hashlib.sha256(code.encode()).hexdigest()
            if not cache.add(f"second-factor-used:{self.user.pk}:{digest}", 1, USED_CODE_S):
                raise get_adapter().validation_error("incorrect_code")
        return code


class SecondStepForm(_OnceOnly, AuthenticateForm):  # type: ignore[misc]  # the package is untyped
    pass


class ConfirmByCodeForm(_OnceOnly, ReauthenticateForm):  # type: ignore[misc]  # the package is untyped
    pass


class PasskeyLoginForm(LoginWebAuthnForm):  # type: ignore[misc]  # the package is untyped
    def clean_credential(self) -> Authenticator:
        """Record a passkey that does not fit, of nobody known: whom it names was chosen by who sent it."""
        try:
            return super().clean_credential()
        except ValidationError:
            records.login_failed(context.request, None, "passkey")
            raise
