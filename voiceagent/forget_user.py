"""Forgetting a person: what is personal goes from record, history and account; what happened stays."""

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import transaction

from audit.retention import erase_personal_data, personal_data_of
from relay.models import Call, CallCommand, TranscriptItem
from tokens.models import ApiKey, Issuance
from tools.models import ToolCall
from usage.models import UsageDay, UsageRecord
from voiceagent.end_everything import end_everything


@dataclass(frozen=True)
class Traces:
    """How many rows name a person: events of the record, requests for secrets, calls."""

    events: int
    issuances: int
    calls: int

    def __str__(self) -> str:
        return f"{self.events} events, {self.issuances} requests for secrets, {self.calls} calls"


def traces_of(user: User) -> Traces:
    return Traces(
        personal_data_of(_subjects(user), user.username).count(),
        Issuance.objects.filter(user=user).count(),
        Call.objects.filter(user=user).count(),
    )


def forget_user(user: User, *, actor: str, request_id: str, reason: str) -> Traces:
    """Erase who somebody was and return how much there was. The rows, their numbers and their proofs stay.

    1. The account is disabled and all that is live ends. 2. Names, addresses, browsers and transcripts go, from the
    record and from history, in one transaction. 3. The account stays as a nameless shell, so that its number is nobody
    else's.
    """
    end_everything(user, actor=actor, request_id=request_id, disable=True)  # (1)
    traces, name = traces_of(user), f"erased-{user.pk}"
    with transaction.atomic():
        erase_personal_data(_subjects(user), user.username, actor=actor, reason=reason)  # (2)
        # Instructions of their own, lines to be said, names of keys: anybody may have written who they are into these.
        Issuance.objects.filter(user=user).update(username=name, ip=None, user_agent="", session=None)
        Call.objects.filter(user=user).update(username=name, end_detail="", session_changes={})
        CallCommand.objects.filter(call__user=user).update(text="", session={})
        ApiKey.objects.filter(user=user).update(name=name, allowed_networks=[])
        TranscriptItem.objects.filter(call__user=user).delete()
        ToolCall.objects.filter(call__user=user).update(arguments="", result="")
        ToolCall.objects.filter(approver=user.username).update(approver=name)
        for model in (UsageRecord, UsageDay):
            model.objects.filter(username=user.username).update(username=name)
        AccessAttempt.objects.filter(username=user.username).delete()
        Authenticator.objects.filter(user=user).delete()
        SocialAccount.objects.filter(user=user).delete()
        EmailAddress.objects.filter(user=user).delete()
        _empty(user, name)  # (3)
    return traces


def _subjects(user: User) -> list[str]:
    keys = ApiKey.objects.filter(user=user).values_list("pk", flat=True)
    return [f"user:{user.pk}", *(f"key:{pk}" for pk in keys)]


def _empty(user: User, name: str) -> None:
    user.username, user.first_name, user.last_name, user.email = name, "", "", ""
    user.is_staff = user.is_superuser = user.is_active = False
    user.set_unusable_password()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
