"""An empty SQLite database for processes of their own. It is migrated once in each test process, then copied."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
# For tests whose processes have such a database whatever the configured one is: once is enough.
on_sqlite_alone = pytest.mark.skipif(
    "postgres" in os.environ.get("DATABASE_URL", ""), reason="starts a site of its own, on SQLite"
)


def write_migrated(database: Path) -> None:
    """Write a file with the tables and first rows of the migrations."""
    database.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        database = Path(folder) / "db.sqlite3"
        environment = os.environ | {"DATABASE_URL": f"sqlite:///{database}", "REDIS_URL": ""}
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
        assert os.listdir(folder) == [database.name], "the log is written back into the file when the process ends"
        return database.read_bytes()
