"""A key that somebody pasted where none belongs is not kept: not in a row, not in the record, not as a request's id."""

import pytest
from django.test import Client

from audit.models import AuditPersonal
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance

PASTED = "sk-proj-aaaaBBBB1111ccccDDDD2222"


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["user-agent", "origin", "x-request-id"])
def test_a_key_in_a_header_is_not_kept(client: Client, make_key: MakeKey, header: str) -> None:
    sent = {"authorization": f"Bearer {make_key().value}", header: PASTED}
    response = client.post("/api/client-secret", '{"kind": "relayed"}', content_type="application/json", headers=sent)

    row = Issuance.objects.get()
    assert PASTED not in (row.user_agent, row.origin, row.request_id, response["X-Request-ID"])
    assert not any(PASTED in str(personal.data) for personal in AuditPersonal.objects.all())


@pytest.mark.django_db
def test_what_stands_around_it_is(client: Client, make_key: MakeKey) -> None:
    sent = {"authorization": f"Bearer {make_key().value}", "user-agent": f"tool/1.0 ({PASTED}) " + "x" * 999}
    client.post("/api/client-secret", '{"kind": "relayed"}', content_type="application/json", headers=sent)

    agent = Issuance.objects.get().user_agent
    assert agent.startswith("tool/1.0 ([removed]) xxx")
    assert len(agent) == 300
