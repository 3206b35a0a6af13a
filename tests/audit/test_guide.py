"""Every command of docs/audit.md does what the page says."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from psycopg import errors
from psycopg import sql as pg_sql
from psycopg.conninfo import make_conninfo

from audit import verifier
from audit.actions import Action
from audit.models import AuditEvent
from audit.notes import signers
from audit.sealer import Sealer
from tests.audit.conftest import seal_and_export
from tests.audit.processes import environment
from tests.tokens.conftest import MakeKey, make_key

__all__ = ["make_key"]

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text()
SITE = "https://voice.example.org"
FROM_ELSEWHERE = ("python -m pip install cryptography",)  # what a package index gives


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.S | re.M)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line and line not in FROM_ELSEWHERE]


@pytest.fixture
def site(transactional_db: None) -> Iterator[str]:
    """The site's answers over HTTP, on this test's database."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = Client().get(self.path, headers={"authorization": self.headers["Authorization"]})
            connection.close()
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.timeout(400)  # it starts twenty processes
def test_an_outsider_and_an_operator_can_follow_the_page(
    sealer: Sealer, export_file: Path, tmp_path: Path, site: str, alice: User, make_key: MakeKey
) -> None:
    seal_and_export(sealer, 20)
    folder, binaries = tmp_path / "outside", tmp_path / "bin"
    folder.mkdir()
    binaries.mkdir()
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "manage.py").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/manage.py" "$@"\n')
    (binaries / "manage.py").chmod(0o755)
    shutil.copy(verifier.__file__, folder)
    shutil.copy(export_file, folder / "checkpoints.jsonl")
    key = make_key(scopes=["read"])
    event = AuditEvent.objects.filter(actor=f"user:{alice.pk}").last() or AuditEvent.objects.get(pk=3)
    alice.is_superuser = True
    alice.save()
    variables = environment() | {
        "KEY": signers()[0].verifier_key,
        "API_KEY": key.value,
        "EVENT": str(event.pk),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "AUDIT_EXPORT_FILE": str(export_file),
    }
    lines = sorted(commands(), key=lambda line: not line.startswith("manage.py audit_export_bundle"))

    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line.replace(SITE, site)], cwd=folder, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    assert len(lines) > 15
    acts = set(AuditEvent.objects.values_list("action", flat=True))
    assert {Action.AUDIT_EXPORTED, Action.AUDIT_VERIFIED, Action.AUDIT_FINDING_ACCEPTED} <= acts
    assert Action.PERSONAL_DATA_ERASED in acts


@pytest.fixture
def role() -> Iterator[dict[str, str]]:
    """The role of the page under a name of this test's own, and how to connect as it."""
    name = f"rw_of_{connection.settings_dict['NAME']}"
    values = connection.get_connection_params()
    owner = {"host": values["host"], "port": str(values["port"]), "user": values["user"]}
    database = str(connection.settings_dict["NAME"])
    with psycopg.connect(make_conninfo(**owner, dbname=database), autocommit=True) as admin:
        for statement in blocks("sql")[0].replace("voiceagent_rw", name).split(";"):
            if statement.strip():
                admin.execute(statement)
        yield owner | {"user": name, "password": "choose-one", "dbname": database}
        admin.execute(pg_sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(pg_sql.Identifier(name)))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no accounts")
def test_the_role_of_the_page_can_only_add(sealer: Sealer, role: dict[str, str]) -> None:
    seal_and_export(sealer, 3)
    refused = [
        "UPDATE audit_auditevent SET code = 'x'", "DELETE FROM audit_auditevent", "TRUNCATE audit_auditevent",
        "DELETE FROM audit_auditcheckpoint", "UPDATE audit_audittile SET hashes = ''",
        "ALTER TABLE audit_auditevent DISABLE TRIGGER ALL", "SET session_replication_role = replica",
        "DROP TABLE audit_auditevent",
    ]  # fmt: skip
    with psycopg.connect(make_conninfo(**role), autocommit=True) as limited:
        for statement in refused:
            with pytest.raises(errors.InsufficientPrivilege):
                limited.execute(statement)
        assert limited.execute("SELECT count(*) FROM audit_auditevent").fetchone() == (3,)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no accounts")
def test_that_role_writes_and_seals_and_the_check_is_silent(sealer: Sealer, role: dict[str, str]) -> None:
    sealer.lock.drop()
    connection.close()
    url = f"postgres://{role['user']}:{role['password']}@{role['host']}:{role['port']}/{role['dbname']}"
    script = (
        "import django; django.setup()\n"
        "from audit.actions import Action\nfrom audit.services import record_event\nfrom audit.sealer import Sealer\n"
        "for _ in range(300): record_event(Action.CALL_ENDED, request_id='r', person={'username': 'a'})\n"
        "assert Sealer().seal() == 300\nassert Sealer().seal() == 0\n"
    )
    limited = environment() | {"DATABASE_URL": url, "AUDIT_EXPORT_FILE": environment()["EXPORT_FILE"]}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=limited, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    said = []
    for variables in (limited, environment()):
        command = [sys.executable, "manage.py", "check", "--deploy", "--tag", "database", "--database", "default"]
        checked = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
        said.append("audit.W001" in checked.stderr)
    assert said == [False, True]
