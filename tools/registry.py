"""Python functions as tools of a voice model: the decorator, and which there are, out of each app's `voice_tools`."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, get_type_hints, overload

from django.db.models import TextChoices

from tools.exceptions import InvalidArguments
from tools.schema import Form, InvalidValue, UnusableType, object_form

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from relay.models import Call

P = ParamSpec("P")
R = TypeVar("R")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
PARAMETER_LINE: Final = re.compile(r"(?::param )?(\w+): (.+)")
HANDOFF: Final = "transfer_to_"  # names that begin so are handoffs
DEFAULT_TIMEOUT_S: Final = 10
MAX_ARGUMENTS_CHARS: Final = 16_000


class Approval(TextChoices):
    NONE = "none", "Nobody"
    PERSON = "person", "The person who talks"
    STAFF = "staff", "A second person, in the administration"


@dataclass(frozen=True)
class CallContext:
    """What a tool may know besides its arguments. It comes from the server's own rows, never from browser or model."""

    user: "User"
    call: "Call"
    agent: str


@dataclass(frozen=True)
class HandOver:
    """What a tool returns to give the call to another agent. agent: its slug. result: what that one is told."""

    agent: str
    result: object = None


@dataclass(frozen=True)
class VoiceTool:
    """A function that models may call. problems: why it cannot be used, if so, for the system checks."""

    name: str
    public_name: str
    description: str
    function: Callable[..., Any]
    form: Form
    context_name: str
    timeout_s: int
    approval: Approval
    problems: tuple[str, ...]

    @property
    def definition(self) -> dict[str, Any]:
        """Return the tool as a session takes it."""
        return {
            "type": "function", "name": self.name, "description": self.description, "parameters": self.form.schema,
        }  # fmt: skip

    def read(self, raw_arguments: str) -> dict[str, Any]:
        """Return a model's arguments as the function takes them. Raises InvalidArguments."""
        if len(raw_arguments) > MAX_ARGUMENTS_CHARS:
            raise InvalidArguments(f"The arguments are longer than {MAX_ARGUMENTS_CHARS} characters.")
        try:
            arguments: dict[str, Any] = self.form.read(json.loads(raw_arguments or "{}"), "")
        except InvalidValue as exc:
            raise InvalidArguments(str(exc)) from exc
        except (ValueError, RecursionError) as exc:
            raise InvalidArguments("The arguments are no JSON.") from exc
        return arguments


_tools: dict[str, VoiceTool] = {}
_twice: list[VoiceTool] = []


@overload
def voice_tool(function: Callable[P, R]) -> Callable[P, R]: ...


@overload
def voice_tool(
    *, public_name: str = "", name: str = "", timeout_s: int = DEFAULT_TIMEOUT_S, approval: Approval = Approval.NONE
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def voice_tool(function: Any = None, **options: Any) -> Any:  # Any: the overloads say what
    """Make a function a tool. Its docstring is what the model reads; lines `name: …` in it explain the parameters.

    public_name: what people see; else the function's name in words. A parameter of the type `CallContext` is filled in
    by the server. timeout_s and approval are what the administration starts from.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        tool = _tool(function, **options)
        if tool.name in _tools and _tools[tool.name].function is not function:
            _twice.append(tool)
        _tools.setdefault(tool.name, tool)
        return function

    return register if function is None else register(function)


def find_tool(name: str) -> VoiceTool | None:
    """Return a tool that can be used."""
    tool = _tools.get(name)
    return tool if tool is not None and not tool.problems else None


def all_tools() -> list[VoiceTool]:
    """Return the tools that can be used, by name."""
    return [_tools[name] for name in sorted(_tools) if not _tools[name].problems]


def problems() -> list[tuple[VoiceTool, str]]:
    """Return what is wrong with functions that were to be tools."""
    found = [(tool, problem) for tool in _tools.values() for problem in tool.problems]
    return found + [(tool, "Another function has this name.") for tool in _twice]


def _tool(
    function: Callable[..., Any],
    public_name: str = "",
    name: str = "",
    timeout_s: int = DEFAULT_TIMEOUT_S,
    approval: Approval = Approval.NONE,
) -> VoiceTool:
    name = name or function.__name__
    text, wrong = inspect.cleandoc(function.__doc__ or ""), []
    if not NAME.fullmatch(name) or name.startswith(HANDOFF):
        wrong.append(f"The name {name!r} must be in small letters, and not begin with {HANDOFF}.")
    if not text:
        wrong.append("Without a docstring the model cannot know when to call it.")
    form, context_name = Form({}, lambda value, place: value), ""
    try:
        form, context_name = _form_of(function, text)
    except (UnusableType, NameError) as exc:
        wrong.append(str(exc))
    return VoiceTool(
        name, public_name or name.replace("_", " ").capitalize(), _without_parameters(function, text), function, form,
        context_name, timeout_s, approval, tuple(wrong),
    )  # fmt: skip


def _form_of(function: Callable[..., Any], text: str) -> tuple[Form, str]:
    """Return the form of a function's parameters, and the name of the one that takes the context."""
    hints, parameters = get_type_hints(function), inspect.signature(function).parameters
    untyped = [name for name in parameters if name not in hints]
    if untyped:
        raise UnusableType(f"{untyped[0]}: has no type.")
    context_name = next((name for name in parameters if hints[name] is CallContext), "")
    asked = {name: parameter for name, parameter in parameters.items() if name != context_name}
    required = [name for name, parameter in asked.items() if parameter.default is inspect.Parameter.empty]
    form = object_form({name: hints[name] for name in asked}, required, "", make=dict)
    for name, words in _explained(text, asked).items():
        form.schema["properties"][name] = form.schema["properties"][name] | {"description": words}
    return form, context_name


def _explained(text: str, names: Mapping[str, object]) -> dict[str, str]:
    """Return what a docstring says of parameters: `name: words`, which may go on in further lines."""
    words: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        found = PARAMETER_LINE.fullmatch(line.strip())
        if found and found[1] in names:
            current = found[1]
            words[current] = found[2]
        elif current and line.strip():
            words[current] += f" {line.strip()}"
        else:
            current = ""
    return words


def _without_parameters(function: Callable[..., Any], text: str) -> str:
    names = inspect.signature(function).parameters
    kept: list[str] = []
    for line in text.splitlines():
        found = PARAMETER_LINE.fullmatch(line.strip())
        if found and found[1] in names:
            break
        kept.append(line)
    return "\n".join(kept).strip().removesuffix("Args:").strip()
