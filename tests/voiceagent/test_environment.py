"""Settings from the environment: strict, and every problem named at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from voiceagent.environment import SettingsReader

ROOT = Path(__file__).resolve().parents[2]


def start(tmp_path: Path, env_text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` with nothing but these variables."""
    env_file = tmp_path / "local.env"
    env_file.write_text(env_text)
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VOICEAGENT_ENV_FILE": str(env_file)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_start_names_every_problem_at_once_and_shows_no_traceback(tmp_path: Path) -> None:
    wrong = {
        "PORT": "80000",
        "DEMO": "maybe",
        "SECRET_KEY": "",
        "OPENAI_BASE_URL": "api.openai.com",
        "DATABASE_URL": "mysql://root@localhost/voice",
        "REDIS_URL": "localhost:6379",
        "ISSUE_RATE": "many",
        "ALLOWED_ORIGINS": "https://voice.example.org/talk",
        "TIME_ZONE": "Mars/Olympus",
    }
    done = start(tmp_path, **wrong)

    assert done.returncode != 0
    assert [name for name in wrong if f"- {name} " not in done.stderr] == []
    assert "Traceback" not in done.stderr


def test_a_mistyped_name_in_the_file_is_named_with_the_right_one(tmp_path: Path) -> None:
    done = start(tmp_path, "SECRET_KEY=x\nOPENAI_API_KY=sk-typo\n")

    assert done.returncode != 0
    assert "OPENAI_API_KY in local.env is not a setting. Did you mean OPENAI_API_KEY?" in done.stderr
    assert "sk-typo" not in done.stderr


def test_a_complete_environment_starts(tmp_path: Path) -> None:
    done = start(tmp_path, "SECRET_KEY=x\nDEMO=true\nENGINE_API_KEY=sk-local\n")

    assert done.returncode == 0, done.stderr


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sk-from-a-file\n")

    assert SettingsReader({"OPENAI_API_KEY_FILE": str(secret)}).secret("OPENAI_API_KEY") == "sk-from-a-file"


def test_a_missing_secret_file_is_a_problem() -> None:
    read = SettingsReader({"OPENAI_API_KEY_FILE": "/nowhere/key"})

    assert read.secret("OPENAI_API_KEY") == ""
    assert read.problems == ["OPENAI_API_KEY_FILE cannot be read: No such file or directory."]


@pytest.mark.parametrize(
    ("raw_value", "value"),
    [(" sk-1 ", "sk-1"), ('"sk-1"', "sk-1"), ("'sk-1 '", "sk-1"), ('"sk-1', '"sk-1'), ("$OTHER", "$OTHER"), (" ", "")],
)
def test_blanks_and_one_pair_of_quotes_are_removed_and_nothing_expands(raw_value: str, value: str) -> None:
    assert SettingsReader({"NAME": raw_value, "OTHER": "expanded"}).secret("NAME") == value


@pytest.mark.parametrize(("word", "value"), [("true", True), ("ON", True), ("1", True), ("no", False), ("0", False)])
def test_booleans(word: str, value: bool) -> None:
    assert SettingsReader({"NAME": word}).boolean("NAME", not value) is value


@pytest.mark.parametrize("word", ["0", "11", "-1", "1.5", "1_0", "١", "ten"])  # noqa: RUF001 (an Arabic digit)
def test_numbers_out_of_range_or_form_are_problems(word: str) -> None:
    read = SettingsReader({"NAME": word})

    assert read.integer("NAME", 5, low=1, high=10) == 5
    assert read.problems == [f"NAME must be a whole number from 1 to 10, not {word!r}."]


def test_a_word_out_of_a_few() -> None:
    read = SettingsReader({"NAME": "Block", "OTHER": "maybe"})

    assert read.choice("NAME", "mark", choices=("mark", "block")) == "block"
    assert read.choice("OTHER", "mark", choices=("mark", "block")) == "mark"
    assert read.problems == ["OTHER must be mark or block, not 'maybe'."]


@pytest.mark.parametrize("address", ["ftp://host/x", "host", "https://", "http:/x"])
def test_addresses_of_another_kind_are_problems(address: str) -> None:
    read = SettingsReader({"NAME": address})
    read.url("NAME", "https://default.example", schemes=("https", "http"))

    assert read.problems == ["NAME must be a URL starting with https:// or http://."]


def test_no_problem_raises_nothing_and_one_raises() -> None:
    read = SettingsReader({"NAME": "a"})
    read.refuse_problems()
    read.words_of("NAME", ["b"], choices=("b", "c"))

    with pytest.raises(ImproperlyConfigured, match="NAME must be a list out of b, c"):
        read.refuse_problems()


def test_every_setting_stands_in_the_example_file() -> None:
    """`.env.example` is the reference that every message points to."""
    from voiceagent import settings

    example = (ROOT / ".env.example").read_text()
    internal = {"DJANGO_SETTINGS_MODULE"}
    missing = [name for name in sorted(settings.read.known_names - internal) if f"{name}=" not in example]
    assert missing == []


def test_numbered_secrets_keep_their_numbers() -> None:
    one, two = "a" * 32, "b" * 31 + ":"
    read = SettingsReader({"NAME": f"7:{one}, 2:{two}"})

    assert read.numbered_secrets("NAME") == {7: one, 2: two}
    assert read.problems == []


@pytest.mark.parametrize(
    "value", ["secret-pepper", "0:" + "p" * 32, "1:short", "x:" + "p" * 32, f"1:{'p' * 32},1:{'q' * 32}", "1:"]
)
def test_secrets_without_a_number_of_their_own_are_a_problem_that_does_not_show_them(value: str) -> None:
    read = SettingsReader({"NAME": value})

    assert read.numbered_secrets("NAME") == {}
    (problem,) = read.problems
    assert "pppp" not in problem
    assert "pepper" not in problem


def test_numbered_keys_are_bytes() -> None:
    read = SettingsReader({"NAME": f"2:{'0A' * 32}"})
    assert (read.numbered_keys("NAME", required=True), read.problems) == ({2: b"\n" * 32}, [])


@pytest.mark.parametrize(
    ("value", "problem"),
    [("", "NAME is not set (or NAME_FILE)."), (f"1:{'g' * 64}", "NAME must hold 64 hexadecimal characters")],
)
def test_keys_that_are_missing_or_no_keys_are_a_problem(value: str, problem: str) -> None:
    read = SettingsReader({"NAME": value})
    assert read.numbered_keys("NAME", required=True) == {}
    assert [told.startswith(problem) for told in read.problems] == [True]


@pytest.mark.parametrize("name", ["AUDIT_MAC_KEYS", "AUDIT_SIGNING_KEYS"])
def test_a_server_does_not_start_without_the_records_keys(tmp_path: Path, name: str) -> None:
    keys = {"AUDIT_MAC_KEYS": f"1:{'0a' * 32}", "AUDIT_SIGNING_KEYS": f"1:{'0b' * 32}"} | {name: ""}
    done = start(tmp_path, SECRET_KEY="x" * 50, **keys)
    assert (done.returncode, f"{name} is not set" in done.stderr) == (1, True)
