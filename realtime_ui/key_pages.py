"""The page of one's own API keys, and the question before one is revoked."""

from typing import Final

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.second_factor import has_second_factor
from realtime_ui.forms import ApiKeyForm
from tokens.exceptions import TooManyKeys
from tokens.key_services import NewKey, create_api_key, revoke_api_key
from tokens.models import ApiKey
from voiceagent.acting import actor_of, request_id_of

FORM_LIFE_S: Final = 86_400  # as long as a page that was left open may be loaded again


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """List one's keys and make a new one, whose value is on the answering page this once and nowhere else."""
    made: NewKey | None = None
    is_repeat = False
    form = ApiKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _make(request, form)
            form = ApiKeyForm()
        except TooManyKeys as exc:
            form.add_error(None, exc.message)
        except FormUsed:
            form, is_repeat = ApiKeyForm(), True
    own = ApiKey.objects.of(owner(request))
    usable = own.usable(timezone.now())
    past = own.exclude(pk__in=usable.values("pk"))[:50]
    context = {
        "form": form,
        "made": made,
        "is_repeat": is_repeat,
        "usable": usable,
        "past": past,
        "needs_second_factor": owner(request).is_staff and not has_second_factor(owner(request)),
    }
    status = 422 if form.errors else 200
    return render(request, "realtime_ui/keys.html", context, status=status)


class FormUsed(Exception):
    """The form made a key before: its page was loaded again, or its button pressed twice."""


def _make(request: HttpRequest, form: ApiKeyForm) -> NewKey:
    """Make the key that a form asks for, once for each form. Raises FormUsed and TooManyKeys."""
    user = owner(request)
    wish = dict(form.cleaned_data)
    used_name = f"key-form:{user.pk}:{wish.pop('form_token')}"
    if not cache.add(used_name, True, FORM_LIFE_S):
        raise FormUsed
    try:
        return create_api_key(
            user,
            request_id=request_id_of(request),
            actor=actor_of(request),
            **wish,
        )
    except Exception:
        cache.delete(used_name)  # nothing was made of it
        raise


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then revoke."""
    key = get_object_or_404(ApiKey.objects.of(owner(request)), pk=pk, revoked_at=None)
    if request.method != "POST":
        return render(request, "realtime_ui/revoke_key.html", {"key": key})
    revoke_api_key(
        key,
        now=timezone.now(),
        request_id=request_id_of(request),
        actor=actor_of(request),
    )
    return redirect("keys")


def owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # behind `login_required`
    return request.user
