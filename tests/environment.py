"""The environment that the tests run in, set before Django reads its settings. Loaded by pytest itself (`-p`).

A developer's own variables and `.env` must not decide what is tested, nor whom it calls: every setting is removed,
except the two that choose the database and the cache.
"""

import os
import re
from pathlib import Path

KEPT = {"DATABASE_URL", "REDIS_URL"}
EXAMPLE = Path(__file__).resolve().parents[1] / ".env.example"
for name in re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.M):
    if name not in KEPT:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
if os.environ.get("REDIS_URL"):  # each process of a parallel run has a database of its own: tests empty theirs
    address, _, number = os.environ["REDIS_URL"].rpartition("/")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["REDIS_URL"] = f"{address}/{int(number) + worker}"
os.environ |= {
    "VOICEAGENT_ENV_FILE": "tests/none.env",
    "DEMO": "true",
    "SECRET_KEY": "tests-only",
    "ENGINE_API_KEY": "sk-tests-engine",
    "ENGINE_PORT": "1",  # nothing listens there: a test that wants an upstream starts one
    "ISSUE_RATE": "1000/m",
    "ISSUE_BURST_RATE": "1000/s",
    "RELAY_RATE": "1000/m",
}
