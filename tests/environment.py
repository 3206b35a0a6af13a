"""The environment that the tests run in, set before Django reads its settings. Loaded by pytest itself (`-p`)."""

import os

DEFAULTS = {
    "VOICEAGENT_ENV_FILE": "tests/none.env",  # a developer's own .env must not decide what is tested
    "DEMO": "true",
    "SECRET_KEY": "tests-only",
    "ENGINE_API_KEY": "sk-tests-engine",
    "ENGINE_PORT": "1",  # nothing listens there: a test that wants an upstream starts one
    "ISSUE_RATE": "1000/m",
    "ISSUE_BURST_RATE": "1000/s",
    "RELAY_RATE": "1000/m",
}
for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
