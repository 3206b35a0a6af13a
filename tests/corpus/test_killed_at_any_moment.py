"""A web process that is killed again and again while it issues: nothing that leaves is missing from the record."""

import itertools
import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from realtime_api import client_secrets
from tests.corpus.asking import URL
from tests.corpus.test_cases_69_to_79 import CLOSE, MAKE_KEY, run_manage
from tests.e2e.site import ROOT, Site, start_processes
from tests.migrated import on_sqlite_alone
from tokens.services import _pepper

ISSUANCES, KILLS, CALLERS = 1000, 5, 6
DELAY_S = 0.02  # of the upstream, so that a kill finds requests between intent and outcome
INTENTS = "SELECT count(*) FROM audit_auditevent WHERE action = 'client_secret.requested'"
pytestmark = on_sqlite_alone


@dataclass
class Minting:
    """An upstream that mints, and looks at each request whether its intent is on disk already."""

    database: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)
    minted: set[str] = field(default_factory=set)
    unrecorded: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def mint(self, asked: dict[str, Any]) -> dict[str, Any]:
        value = f"ek_{next(self.numbers):032x}"
        with self.lock, closing(sqlite3.connect(self.database, timeout=10)) as database:
            self.minted.add(value)
            self.unrecorded += database.execute(INTENTS).fetchone()[0] < len(self.minted)
        time.sleep(DELAY_S)
        return {"value": value, "expires_at": int(time.time()) + 600, "session": asked["session"]}


@contextmanager
def upstream(minting: Minting) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(minting.mint(asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            pass  # whoever asked was killed

    with Quiet(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Callers:
    """Programs that ask for secrets until there are enough, whatever happens to the server."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.headers = f"{url}{URL}", {"Authorization": f"Bearer {key}"}
        self.values: set[str] = set()
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self.ask) for _ in range(CALLERS)]

    def ask(self) -> None:
        with requests.Session() as http:
            while len(self.values) < ISSUANCES:
                try:
                    answer = http.post(self.url, json={"kind": "direct"}, headers=self.headers, timeout=20)
                except requests.RequestException:
                    time.sleep(0.05)  # the server is being started again
                    continue
                if answer.status_code == 200:
                    with self.changed:
                        self.values.add(answer.json()["value"])
                        self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.values) >= count, 120), f"only {len(self.values)} secrets"


@dataclass(frozen=True)
class Outcome:
    site: Site
    minting: Minting
    values: set[str]
    orphans: int
    closed: int


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("killed")
    minting = Minting(folder / "db.sqlite3")
    chance = random.Random(20261121)
    with upstream(minting) as port:
        rates = {"ISSUE_RATE": "100000/m", "ISSUE_BURST_RATE": "100000/s"}
        site = start_processes(folder, ("web",), root=ROOT, ENGINE_PORT=str(port), **rates)
        settings = {"DATABASE_URL": f"sqlite:///{site.database}", "REDIS_URL": "", "SECRET_KEY": "end-to-end"}
        callers = Callers(site.url, run_manage(settings, "shell", "-v0", "-c", MAKE_KEY).strip())
        for thread in callers.threads:
            thread.start()
        for kill in range(KILLS):
            callers.wait_for((kill * ISSUANCES + chance.randrange(ISSUANCES)) // KILLS)
            site.kill("web")
            site.start_again("web")
        callers.wait_for(ISSUANCES)
        for thread in callers.threads:
            thread.join(60)
        site.kill("web")
    orphans = len(site.rows("SELECT 1 FROM tokens_issuance WHERE status = 'requested'"))
    closed = int(run_manage(settings, "shell", "-v0", "-c", CLOSE))
    return Outcome(site, minting, callers.values, orphans, closed)


def test_the_upstream_was_never_asked_before_the_intent_was_on_disk(outcome: Outcome) -> None:
    assert len(outcome.minting.minted) >= ISSUANCES
    assert outcome.minting.unrecorded == 0


def test_each_secret_that_left_has_its_outcome_on_record(outcome: Outcome) -> None:
    pepper = _pepper("end-to-end")
    issued = {
        digest
        for (digest,) in outcome.site.rows(
            "SELECT secret_digest FROM tokens_issuance JOIN audit_auditevent AS event"
            " ON target = 'issuance:' || tokens_issuance.id WHERE status = 'issued' AND action = 'client_secret.issued'"
        )
    }
    assert {client_secrets.digest(value, pepper=pepper) for value in outcome.values} <= issued


def test_every_intent_whose_process_died_is_found_and_closed_once(outcome: Outcome) -> None:
    assert outcome.closed == outcome.orphans > 0
    ends = outcome.site.rows(
        "SELECT target, count(*) FROM audit_auditevent"
        " WHERE action IN ('client_secret.issued', 'client_secret.unknown') GROUP BY target HAVING count(*) != 1"
    )
    assert ends == []
    intents = outcome.site.rows(INTENTS)
    assert intents == outcome.site.rows("SELECT count(*) FROM tokens_issuance WHERE status IN ('issued', 'unknown')")


def test_no_number_of_the_record_was_lost(outcome: Outcome) -> None:
    ((first, last, count),) = outcome.site.rows("SELECT min(id), max(id), count(*) FROM audit_auditevent")
    assert (first, last) == (1, count)
