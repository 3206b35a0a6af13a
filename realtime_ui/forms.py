"""What people fill in."""

import secrets
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from tokens.models import Scope, check_networks

DAYS = (7, 30, 90, 180, 365)
DEFAULT_DAYS = 90


def day_choices() -> list[tuple[int, str]]:
    """Return the lives that the administrator's maximum allows, and that maximum itself."""
    longest: int = settings.API_KEY_MAX_DAYS
    days = sorted({*(day for day in DAYS if day < longest), longest})
    return [(day, _("%(days)d days") % {"days": day}) for day in days]


def new_form_token() -> str:
    return secrets.token_urlsafe(16)


class ApiKeyForm(forms.Form):
    # A form's own number, good for one key: a page that is loaded again sends the same one a second time.
    form_token = forms.RegexField(r"^[A-Za-z0-9_-]{22}$", initial=new_form_token, widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=80, label=_("Name"), help_text=_("What will use it, such as “screen in the hall”.")
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=[Scope.MINT.value],
        widget=forms.CheckboxSelectMultiple,
        label=_("It may"),
        error_messages={"required": _("Choose at least one.")},
    )
    days = forms.TypedChoiceField(choices=day_choices, coerce=int, label=_("It works for"))
    allowed_networks = forms.CharField(
        required=False,
        label=_("Only from these networks"),
        help_text=_("Optional, separated by blanks: 192.0.2.0/24 2001:db8::/32"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        days = [day for day, _label in day_choices()]
        self.initial.setdefault("days", max(day for day in days if day <= DEFAULT_DAYS or day == days[0]))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError(_("Use characters that can be shown."))
        return name

    def clean_allowed_networks(self) -> list[str]:
        networks: list[str] = self.cleaned_data["allowed_networks"].replace(",", " ").split()
        check_networks(networks)
        if len(networks) > 50:
            raise ValidationError(_("At most 50 networks."))
        return networks
