"""Who does something in a request that is served to somebody signed in, as the record takes it."""

from typing import TypedDict

from django.http import HttpRequest

from voiceagent.person import person_of


class Acting(TypedDict):
    """actor: such as `user:7`. person: personal data, which the record keeps apart."""

    request_id: str
    actor: str
    person: dict[str, str | int | bool | None]


def acting(request: HttpRequest) -> Acting:
    """Return what an event needs of a request. Raises AttributeError outside of the middleware that gives ids."""
    return {
        "request_id": request_id_of(request),
        "actor": actor_of(request),
        "person": person_of(request, request.user),
    }


def actor_of(request: HttpRequest) -> str:
    return f"user:{request.user.pk}"


def request_id_of(request: HttpRequest) -> str:
    request_id: str = request.request_id  # type: ignore[attr-defined]  # set by the outermost middleware
    return request_id
