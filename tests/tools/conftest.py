"""Tools for tests, and an agent that has them."""

import threading
from collections.abc import Iterator
from datetime import date
from typing import Literal

import pytest
from django.contrib.auth.models import User

from agents.models import Agent, AgentVersion
from tools import registry
from tools.exceptions import ToolRefusal
from tools.registry import Approval, CallContext, HandOver, voice_tool

NAMES = ("find_book", "who_am_i", "hangs", "breaks", "is_huge", "says_no", "asks_first", "asks_staff",
         "to_billing")  # fmt: skip
ran: list[str] = []
over = threading.Event()  # the test, so that its threads end with it


def find_book(title: str, before: date | None = None, kind: Literal["paper", "film"] = "paper") -> dict[str, object]:
    """Look a title up in the catalogue.

    title: the title, or a part
      of it
    before: only what came out earlier
    """
    ran.append(title)
    return {"title": title, "copies": 2, "before": before, "kind": kind}


async def who_am_i(context: CallContext) -> str:
    """Say who talks."""
    return f"{context.user.username} of {context.agent} in {context.call.pk}"


def hangs() -> None:
    """Never come back while a test goes on."""
    over.wait()


def breaks() -> None:
    """Break."""
    raise LookupError("sk-secret stays here")


def is_huge() -> str:
    """Tell more than anybody reads."""
    return "x" * 10_000_000


def says_no() -> None:
    """Refuse."""
    raise ToolRefusal("We are closed then.", status=409)


def to_billing(agent: str) -> HandOver:
    """Give the call to others."""
    return HandOver(agent, {"invoice": 7})


def asks_first() -> str:
    """Do what the person has to approve."""
    ran.append("asks_first")
    return "done"


def asks_staff() -> str:
    """Do what staff have to approve."""
    return "done"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tools above, and no others."""
    ran.clear()
    over.clear()
    monkeypatch.setattr(registry, "_tools", {})
    monkeypatch.setattr(registry, "_twice", [])
    for function in (find_book, who_am_i, breaks, is_huge, says_no, to_billing):
        voice_tool(function)
    voice_tool(timeout_s=1)(hangs)
    voice_tool(public_name="Something grave", approval=Approval.PERSON)(asks_first)
    voice_tool(approval=Approval.STAFF)(asks_staff)
    yield
    over.set()


@pytest.fixture
def librarian(db: None, tools: None) -> Agent:
    """An agent with all of these tools."""
    agent = Agent.objects.create(slug="librarian", name="Librarian")
    agent.published = AgentVersion.objects.create(agent=agent, instructions="Be brief.", tools=list(NAMES))
    agent.save()
    return agent


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", password="a-long-password")
