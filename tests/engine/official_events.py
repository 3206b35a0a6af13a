"""Checks an event against the official types of the protocol, more strictly than they do themselves."""

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from engine.protocol_json import Json

SERVER_EVENT: TypeAdapter[object] = TypeAdapter(RealtimeServerEvent)
# The official types describe the session of these events as a request, which has no such fields.
ANSWER_ONLY = ("id", "object", "expires_at")


def validate(event: Json) -> None:
    """Raise ValidationError or AssertionError unless every field is known, of its type and of its place."""
    bare = {name: value for name, value in event.items() if name != "_at"}
    if bare["type"] in ("session.created", "session.updated"):
        bare["session"] = {name: value for name, value in bare["session"].items() if name not in ANSWER_ONLY}
    model = SERVER_EVENT.validate_python(bare, strict=True)
    # An event of a wrong type may fit the model of another one.
    assert getattr(model, "type", None) == bare["type"], bare["type"]
    assert model.model_dump(exclude_unset=True, by_alias=True) == bare  # type: ignore[attr-defined]  # a pydantic model
    _refuse_unknown(model)


def _refuse_unknown(value: object) -> None:
    assert not getattr(value, "model_extra", None), value
    children = vars(value).values() if hasattr(value, "model_fields_set") else value if isinstance(value, list) else ()
    for child in children:
        _refuse_unknown(child)
