"""What the hot routes read, by queries that are compiled once. What is found are the ORM's own objects."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Subquery

from agents.models import Agent, AgentVersion, Configuration
from tokens.models import ApiKey, Issuance, Policy
from voiceagent.prepared_query import PreparedQuery, columns

T = TypeVar("T")
MAX_KEPT: Final = 10_000  # policies of so many users, and all agents
KEY: Final = columns(ApiKey)
USER: Final = columns(User)
POLICY: Final = columns(Policy)
AGENT: Final = columns(Agent)
VERSION: Final = columns(AgentVersion)
ISSUANCE: Final = columns(Issuance)


def _agents(agents: "models.QuerySet[Agent]") -> "models.QuerySet[Agent, Any]":
    return agents.values_list(*AGENT, *columns(AgentVersion, prefix="published__"))


_mark = Subquery(Configuration.objects.values("mark")[:1])
_keys = PreparedQuery(
    lambda public_part: (
        ApiKey.objects.filter(public_part=public_part)
        .order_by()
        .values_list(_mark, *KEY, *columns(User, prefix="user__"))
    ),
    public_part="?",
)
_sessions = PreparedQuery(
    lambda session_key: Session.objects.filter(session_key=session_key).values_list("session_data", "expire_date"),
    session_key="?",
)
_users = PreparedQuery(lambda user_id: User.objects.filter(pk=user_id).values_list(_mark, *USER), user_id=-1)
_policies = PreparedQuery(
    lambda user_id: Policy.objects.for_user(User(pk=user_id), None).values_list(*POLICY), user_id=-1
)
_policies_with_key = PreparedQuery(
    lambda user_id, key_id: Policy.objects.for_user(User(pk=user_id), ApiKey(pk=key_id)).values_list(*POLICY),
    user_id=-1,
    key_id=-2,
)
_issuances = PreparedQuery(
    lambda digest: (
        Issuance.objects.filter(secret_digest=digest)
        .order_by()
        .values_list(_mark, *ISSUANCE, *columns(User, prefix="user__"), *columns(ApiKey, prefix="api_key__"))
    ),
    digest="?",
)
_versions = PreparedQuery(
    lambda number: AgentVersion.objects.filter(pk=number).values_list(*VERSION, *columns(Agent, prefix="agent__")),
    number=-1,
)
_agents_by_slug = PreparedQuery(lambda slug: _agents(Agent.objects.filter(slug=slug).order_by()), slug="?")
_first_agent = PreparedQuery(lambda: _agents(Agent.objects.offered())[:1])
_offered_slugs = PreparedQuery(lambda: Agent.objects.offered().values_list("slug"))


def api_key(public_part: str) -> tuple[ApiKey, int | None] | None:
    """Return a key, with its user, by the part that is not secret; and the configuration's mark."""
    for mark, *row in _keys.rows(public_part=public_part):
        key = ApiKey.from_db(None, KEY, row[: len(KEY)])
        key.user = User.from_db(None, USER, row[len(KEY) :])
        return key, mark
    return None


def session_data(session_key: str) -> tuple[str, datetime] | None:
    """Return a stored session as it is kept, signed, and when it ends."""
    rows = _sessions.rows(session_key=session_key)
    return rows[0] if rows else None


def user(user_id: int) -> tuple[User, int | None] | None:
    """Return a user and the configuration's mark."""
    for mark, *row in _users.rows(user_id=user_id):
        return User.from_db(None, USER, row), mark
    return None


def policies(user_id: int, key_id: int | None, mark: int | None) -> list[Policy]:
    """Return the policies that concern a user, with a key or without, in no order; they are not to be changed."""

    def read() -> list[Policy]:
        if key_id is None:
            rows = _policies.rows(user_id=user_id)
        else:
            rows = _policies_with_key.rows(user_id=user_id, key_id=key_id)
        return [Policy.from_db(None, POLICY, row) for row in rows]

    return _kept(mark, ("policies", user_id, key_id), read)


def issuance(digest: str) -> tuple[Issuance, int | None] | None:
    """Return the issuance of a secret, with its user and its key if they still are; and the configuration's mark."""
    for mark, *row in _issuances.rows_once(digest=digest):
        found = Issuance.from_db(None, ISSUANCE, row[: len(ISSUANCE)])
        of_user, of_key = row[len(ISSUANCE) :][: len(USER)], row[len(ISSUANCE) + len(USER) :]
        found.user = User.from_db(None, USER, of_user) if found.user_id is not None else None
        found.api_key = ApiKey.from_db(None, KEY, of_key) if found.api_key_id is not None else None
        return found, mark
    return None


def agent_version(number: int, mark: int | None) -> AgentVersion | None:
    """Return a version with its agent."""

    def read() -> AgentVersion | None:
        for row in _versions.rows(number=number):
            version = AgentVersion.from_db(None, VERSION, row[: len(VERSION)])
            version.agent = Agent.from_db(None, AGENT, row[len(VERSION) :])
            return version
        return None

    return _kept(mark, ("version", number), read)


def agent(slug: str, mark: int | None) -> Agent | None:
    """Return an agent with its published version, if it has one."""
    return _kept(mark, ("agent", slug), lambda: _agent_of(_agents_by_slug.rows(slug=slug)))


def first_agent(mark: int | None) -> Agent | None:
    """Return the default of the agents that are offered, with its version."""
    return _kept(mark, ("first agent",), lambda: _agent_of(_first_agent.rows()))


def offered_slugs(mark: int | None) -> list[str]:
    return _kept(mark, ("slugs",), lambda: [slug for (slug,) in _offered_slugs.rows()])


class _Memory:
    """What was read under one mark of the configuration."""

    def __init__(self, mark: int | None) -> None:
        self.mark = mark
        self.values: dict[tuple[object, ...], Any] = {}


_memory = _Memory(None)


def _kept(mark: int | None, name: tuple[object, ...], read: Callable[[], T]) -> T:
    """Return what was read before under the same mark, else read it. Without a mark everything is read anew.

    The mark is read before what it stands for, so that what is kept can be newer than its mark but never older.
    """
    global _memory
    if mark is None:
        return read()
    memory = _memory
    if memory.mark != mark or len(memory.values) > MAX_KEPT:
        memory = _memory = _Memory(mark)
    if name not in memory.values:
        memory.values[name] = read()
    value: T = memory.values[name]
    return value


def _agent_of(rows: list[tuple[Any, ...]]) -> Agent | None:
    if not rows:
        return None
    row = rows[0]
    found = Agent.from_db(None, AGENT, row[: len(AGENT)])
    if found.published_id is not None:
        found.published = AgentVersion.from_db(None, VERSION, row[len(AGENT) :])
        found.published.agent = found
    return found
