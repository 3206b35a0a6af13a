"""What is kept of policies and agents never outlives a change of them."""

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, AgentVersion, Configuration
from tokens import lookups
from tokens.authentication import identify
from tokens.key_services import create_api_key
from tokens.models import Policy
from tokens.policy import Allowance, allowance_of

TTL_S = 77


@pytest.fixture
def key(alice: User) -> str:
    made = create_api_key(
        alice, name="k", scopes=["mint"], days=9, allowed_networks=[], request_id="r", actor=f"user:{alice.pk}"
    )
    return made.value


def allowance(key: str) -> Allowance:
    """Return what a request with the key would be allowed."""
    request = RequestFactory().post("/api/client-secret", headers={"Authorization": f"Bearer {key}"})
    request.request_id = "r"  # type: ignore[attr-defined]
    requester = identify(request)
    assert requester.user is not None
    return allowance_of(requester.user, requester.api_key, requester.mark)


def mark() -> int:
    return Configuration.objects.get().mark


def test_the_second_request_asks_for_its_key_only(key: str) -> None:
    allowance(key)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        allowance(key)

    assert len(queries) == 1
    assert "tokens_apikey" in queries[0]["sql"]


def test_a_session_s_second_request_asks_for_session_and_user_only(alices_client: Client) -> None:
    request = RequestFactory().post("/api/client-secret")
    request.COOKIES["session"] = alices_client.cookies["session"].value
    request.request_id = "r"  # type: ignore[attr-defined]

    with CaptureQueriesContext(connection) as queries:
        requester = identify(request)

    assert requester.user is not None
    assert requester.mark == mark()
    assert len(queries) == 2


def make_policy(alice: User) -> None:
    Policy.objects.create(user=alice, max_ttl_s=TTL_S)


def update_policies(alice: User) -> None:
    Policy.objects.update(max_ttl_s=TTL_S)


def create_policies(alice: User) -> None:
    Policy.objects.bulk_create([Policy(user=alice, max_ttl_s=TTL_S)])


def put_policies_in_place(alice: User) -> None:
    Policy.objects.bulk_create(
        [Policy(pk=Policy.objects.get().pk, max_ttl_s=TTL_S)],
        update_conflicts=True, unique_fields=["id"], update_fields=["max_ttl_s"],
    )  # fmt: skip


def update_policies_one_by_one(alice: User) -> None:
    policies = list(Policy.objects.all())
    for policy in policies:
        policy.max_ttl_s = TTL_S
    Policy.objects.bulk_update(policies, ["max_ttl_s"])


def save_policy(alice: User) -> None:
    policy = Policy.objects.get()
    policy.max_ttl_s = TTL_S
    policy.save()


def join_group(alice: User) -> None:
    group = short_group(alice)
    alice.groups.add(group)


def be_put_into_a_group(alice: User) -> None:
    short_group(alice).user_set.set([alice])


def short_group(alice: User) -> Group:
    """A group with a policy, after Alice's allowance without it was read and kept."""
    group = Group.objects.create(name="short")
    Policy.objects.create(group=group, max_ttl_s=TTL_S)
    allowance_of(alice, None)
    return group


@pytest.mark.parametrize(
    ("everybody_has_one", "change"),
    [
        (False, make_policy), (True, update_policies), (True, save_policy), (False, join_group),
        (False, create_policies), (True, put_policies_in_place), (True, update_policies_one_by_one),
        (False, be_put_into_a_group),
    ],
)  # fmt: skip
def test_a_change_of_policies_holds_for_the_next_request(
    alice: User, key: str, everybody_has_one: bool, change: Callable[[User], None]
) -> None:
    if everybody_has_one:
        Policy.objects.create(max_ttl_s=99)
    before = allowance(key).max_ttl_s

    change(alice)

    assert before != TTL_S
    assert allowance(key).max_ttl_s == TTL_S


def test_a_policy_that_is_deleted_holds_no_longer(alice: User, key: str) -> None:
    make_policy(alice)
    assert allowance(key).max_ttl_s == TTL_S

    Policy.objects.all().delete()

    assert allowance(key).max_ttl_s != TTL_S


def test_leaving_a_group_ends_what_it_allowed(alice: User, key: str) -> None:
    join_group(alice)
    assert allowance(key).max_ttl_s == TTL_S

    alice.groups.clear()

    assert allowance(key).max_ttl_s != TTL_S


def test_a_new_version_of_an_agent_is_issued_at_once(assistant: Agent) -> None:
    def published() -> AgentVersion | None:
        agent = lookups.agent("assistant", mark())
        assert agent is not None
        return agent.published

    before = published()
    assistant.published = AgentVersion.objects.create(agent=assistant, instructions="Be long.")
    assistant.save()

    assert published() == assistant.published != before


def test_an_agent_switched_off_by_an_update_is_known_at_once(assistant: Agent) -> None:
    find = partial(lookups.agent, "assistant")
    assert (found := find(mark())) is not None
    assert found.enabled

    Agent.objects.filter(slug="assistant").update(enabled=False)

    assert (found := find(mark())) is not None
    assert not found.enabled


def test_without_a_mark_nothing_is_kept(assistant: Agent) -> None:
    Configuration.objects.all().delete()
    assert lookups.first_agent(None) is not None

    with CaptureQueriesContext(connection) as queries:
        lookups.first_agent(None)

    assert len(queries) == 1


def lose_the_mark(*args: object, **kwargs: object) -> None:
    raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [make_policy, update_policies, save_policy, create_policies])
def test_a_change_and_its_mark_are_written_both_or_neither(
    alice: User, change: Callable[[User], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if change not in (make_policy, create_policies):
        Policy.objects.create(user=alice, max_ttl_s=55)
    before = list(Policy.objects.values())
    monkeypatch.setattr(QuerySet, "update_or_create", lose_the_mark)  # what writes the mark

    with pytest.raises(OperationalError):
        change(alice)

    assert list(Policy.objects.values()) == before


@pytest.mark.django_db(transaction=True)
def test_no_new_mark_is_seen_before_the_change_that_it_stands_for(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    Policy.objects.create(user=alice, max_ttl_s=55)
    is_together: list[bool] = []
    note_change = Configuration.note_change.__func__  # type: ignore[attr-defined]

    def watched(cls: type[Configuration], /, **of_signal: object) -> None:
        is_together.append(connection.in_atomic_block)
        note_change(cls, **of_signal)

    monkeypatch.setattr(Configuration, "note_change", classmethod(watched))

    Policy.objects.update(max_ttl_s=TTL_S)

    assert is_together == [True]
