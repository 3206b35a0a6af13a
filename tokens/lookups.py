"""What the hot routes read, by queries that are compiled once. What is found are the ORM's own objects."""

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import models

from agents.models import Agent, AgentVersion
from tokens.models import ApiKey, Policy
from voiceagent.prepared_query import PreparedQuery, columns

KEY: Final = columns(ApiKey)
USER: Final = columns(User)
POLICY: Final = columns(Policy)
AGENT: Final = columns(Agent)
VERSION: Final = columns(AgentVersion)


def _agents(agents: "models.QuerySet[Agent]") -> "models.QuerySet[Agent, Any]":
    return agents.values_list(*AGENT, *columns(AgentVersion, prefix="published__"))


_keys = PreparedQuery(
    lambda public_part: (
        ApiKey.objects.filter(public_part=public_part).order_by().values_list(*KEY, *columns(User, prefix="user__"))
    ),
    public_part="?",
)
_sessions = PreparedQuery(
    lambda session_key: Session.objects.filter(session_key=session_key).values_list("session_data", "expire_date"),
    session_key="?",
)
_users = PreparedQuery(lambda user_id: User.objects.filter(pk=user_id).values_list(*USER), user_id=-1)
_policies = PreparedQuery(
    lambda user_id: Policy.objects.for_user(User(pk=user_id), None).values_list(*POLICY), user_id=-1
)
_policies_with_key = PreparedQuery(
    lambda user_id, key_id: Policy.objects.for_user(User(pk=user_id), ApiKey(pk=key_id)).values_list(*POLICY),
    user_id=-1,
    key_id=-2,
)
_agents_by_slug = PreparedQuery(lambda slug: _agents(Agent.objects.filter(slug=slug).order_by()), slug="?")
_first_agent = PreparedQuery(lambda: _agents(Agent.objects.offered())[:1])
_offered_slugs = PreparedQuery(lambda: Agent.objects.offered().values_list("slug"))


def api_key(public_part: str) -> ApiKey | None:
    """Return a key, with its user, by the part that is not secret."""
    for row in _keys.rows(public_part=public_part):
        key = ApiKey.from_db(None, KEY, row[: len(KEY)])
        key.user = User.from_db(None, USER, row[len(KEY) :])
        return key
    return None


def session_data(session_key: str) -> tuple[str, datetime] | None:
    """Return a stored session as it is kept, signed, and when it ends."""
    rows = _sessions.rows(session_key=session_key)
    return rows[0] if rows else None


def user(user_id: int) -> User | None:
    rows = _users.rows(user_id=user_id)
    return User.from_db(None, USER, rows[0]) if rows else None


def policies(user_id: int, key_id: int | None) -> list[Policy]:
    """Return the policies that concern a user, with a key or without, in no order."""
    if key_id is None:
        rows = _policies.rows(user_id=user_id)
    else:
        rows = _policies_with_key.rows(user_id=user_id, key_id=key_id)
    return [Policy.from_db(None, POLICY, row) for row in rows]


def agent(slug: str) -> Agent | None:
    """Return an agent with its published version, if it has one."""
    rows = _agents_by_slug.rows(slug=slug)
    return _agent_of(rows[0]) if rows else None


def first_agent() -> Agent | None:
    """Return the default of the agents that are offered, with its version."""
    rows = _first_agent.rows()
    return _agent_of(rows[0]) if rows else None


def offered_slugs() -> list[str]:
    return [slug for (slug,) in _offered_slugs.rows()]


def _agent_of(row: tuple[object, ...]) -> Agent:
    found = Agent.from_db(None, AGENT, row[: len(AGENT)])
    if found.published_id is not None:
        found.published = AgentVersion.from_db(None, VERSION, row[len(AGENT) :])
        found.published.agent = found
    return found
