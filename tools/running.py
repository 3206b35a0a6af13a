"""Running one function for a model: in a thread of its own, within a time, its result as bounded JSON.

A thread cannot be ended from outside: a function that hangs keeps its thread and its place, and places are counted.
"""

import asyncio
import inspect
import json
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import requests
from django.db import connections

from realtime_api.errors import CodedError
from realtime_api.masking import mask_secrets
from tools.exceptions import ToolFailed, ToolsBusy, ToolTimeout
from tools.registry import CallContext, HandOver, VoiceTool

logger = logging.getLogger(__name__)
TOOLS_AT_ONCE: Final = 32  # of one process
MAX_RESULT_CHARS: Final = 8_000  # the model reads, and somebody pays for, all of it
MAX_MESSAGE_CHARS: Final = 500
_places = threading.BoundedSemaphore(TOOLS_AT_ONCE)


@dataclass(frozen=True)
class Outcome:
    """What a tool gave: `output` is JSON for the model. error_code: empty when it did what was asked.

    hand_over_to: the slug of the agent that is to have the call now; empty for the same.
    """

    output: str
    error_code: str = ""
    hand_over_to: str = ""


async def run(tool: VoiceTool, context: CallContext, arguments: dict[str, Any], timeout_s: float) -> Outcome:
    """Run a tool without holding up the event loop. Never raises but for cancellation."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Outcome] = loop.create_future()

    def tell(outcome: Outcome) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, outcome)

    def settle(outcome: Outcome) -> None:
        if not done.done():
            done.set_result(outcome)

    try:
        _start(tool, context, arguments, tell)
        async with asyncio.timeout(timeout_s):
            return await done
    except TimeoutError:
        return failure(ToolTimeout())
    except CodedError as exc:
        return failure(exc)


def run_and_wait(tool: VoiceTool, context: CallContext, arguments: dict[str, Any], timeout_s: float) -> Outcome:
    """Run a tool in the place of the caller, who waits."""
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    try:
        _start(tool, context, arguments, done.put)
        return done.get(timeout=timeout_s)
    except queue.Empty:
        return failure(ToolTimeout())
    except CodedError as exc:
        return failure(exc)


def failure(error: CodedError) -> Outcome:
    """Return an error as the model is told of it."""
    message = mask_secrets(error.message)[:MAX_MESSAGE_CHARS]
    return Outcome(json.dumps({"error": True, "message": message, "status": error.status}), error.code)


def not_handed_over(outcome: Outcome, error: CodedError) -> Outcome:
    """Return what a tool gave that wanted another agent to have the call, with the reason why none has it."""
    result = json.loads(outcome.output)
    return Outcome(json.dumps({"result": result, "handed_over": False} | json.loads(failure(error).output)), error.code)


def _start(tool: VoiceTool, context: CallContext, arguments: dict[str, Any], tell: Callable[[Outcome], object]) -> None:
    places = _places
    if not places.acquire(blocking=False):
        raise ToolsBusy()

    def work() -> None:
        try:
            outcome = _outcome_of(tool, context, arguments)
        finally:
            connections.close_all()
            places.release()
        tell(outcome)

    # A daemon: a function that hangs must not keep the process from ending.
    threading.Thread(target=work, name=f"tool-{tool.name}", daemon=True).start()


def _outcome_of(tool: VoiceTool, context: CallContext, arguments: dict[str, Any]) -> Outcome:
    own = {tool.context_name: context} if tool.context_name else {}
    try:
        result = tool.function(**arguments, **own)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        told, agent = (result.result, result.agent) if isinstance(result, HandOver) else (result, "")
        return Outcome(_bounded(json.dumps(told, default=str)), hand_over_to=agent)
    except CodedError as exc:
        return failure(exc)
    except requests.HTTPError as exc:
        return failure(_told_by_server(exc))
    except Exception:  # whatever a tool does, its call goes on
        logger.exception("a tool failed tool=%s call=%s", tool.name, context.call.pk)
        return failure(ToolFailed())


def _bounded(output: str) -> str:
    if len(output) <= MAX_RESULT_CHARS:
        return output
    notice = f"The result has {len(output)} characters; this is its beginning."
    return json.dumps({"notice": notice, "result": output[:MAX_RESULT_CHARS]})


def _told_by_server(error: requests.HTTPError) -> ToolFailed:
    """Return another server's failure: its own words where they are JSON, else its status."""
    answer = error.response
    if answer is None:
        return ToolFailed()
    try:
        told = answer.json()
        message = told.get("message") or told.get("error") if isinstance(told, dict) else None
    except ValueError:
        message = None
    failed = ToolFailed(message if isinstance(message, str) else f"{answer.status_code} {answer.reason}")
    failed.status = answer.status_code  # type: ignore[misc]  # the other server's
    return failed
