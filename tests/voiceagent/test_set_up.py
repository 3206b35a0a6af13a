"""What the set-up makes: the first `.env`, the demo's account, the audio library."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from agents.models import Agent, AgentVersion
from voiceagent import first_env, sdk_build, sdk_bundle
from voiceagent.environment import env_file_names


def test_the_first_env_has_secrets_of_its_own_and_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for name in ("one", "two"):
        env_file = tmp_path / name
        monkeypatch.setattr(first_env, "ENV_FILE", env_file)
        first_env.main()
        texts.append(env_file.read_text())

    assert env_file_names(env_file) == ["DEMO", "SECRET_KEY", "ENGINE_API_KEY", "DEMO_PASSWORD"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert texts[0] != texts[1]


def test_an_env_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("MINE=1\n")
    monkeypatch.setattr(first_env, "ENV_FILE", env_file)

    with pytest.raises(SystemExit, match="nothing was changed"):
        first_env.main()
    assert env_file.read_text() == "MINE=1\n"


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_the_demo_account_keeps_the_password_of_the_file(settings: Settings) -> None:
    settings.DEMO, settings.DEMO_PASSWORD = True, "first-password"
    call_command("demo_account")
    settings.DEMO_PASSWORD = "second-password"
    call_command("demo_account")

    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password("second-password")


@pytest.mark.django_db
@pytest.mark.parametrize(("demo", "password"), [(False, "a-password"), (True, "")])
def test_no_demo_account_is_made_on_a_server(settings: Settings, demo: bool, password: str) -> None:
    settings.DEMO, settings.DEMO_PASSWORD = demo, password
    call_command("demo_account")

    assert not User.objects.exists()


class Bundle:
    """Where the library and its recorded hash lie in these tests, and how often it was built."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "static" / "bundle.js"
        self.hash_file = folder / "bundle.sha256"
        self.built = 0
        self.text = "the library"

    def build(self, node: object, folder: Path) -> tuple[Path, Path]:
        self.built += 1
        bundle, licences = folder / "bundle.js", folder / "licences.txt"
        bundle.write_text(self.text)
        licences.write_text("licences")
        return bundle, licences


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    bundle = Bundle(tmp_path)
    monkeypatch.setattr(sdk_bundle, "ROOT", tmp_path)
    monkeypatch.setattr(sdk_bundle, "BUNDLE_FILE", bundle.file)
    monkeypatch.setattr(sdk_bundle, "LICENCES_FILE", bundle.file.with_suffix(".txt"))
    monkeypatch.setattr(sdk_bundle, "HASH_FILE", bundle.hash_file)
    monkeypatch.setattr(sdk_build, "find_node", lambda: None)
    monkeypatch.setattr(sdk_build, "build", bundle.build)
    call_command("assets", record=True)
    return bundle


def test_the_library_is_built_once(bundle: Bundle) -> None:
    call_command("assets")

    assert bundle.built == 1
    assert sdk_bundle.is_built()


def test_a_library_that_was_changed_is_built_anew(bundle: Bundle) -> None:
    bundle.file.write_text("something else")
    assert not sdk_bundle.is_built()
    call_command("assets")

    assert bundle.file.read_text() == "the library"


def test_a_build_that_comes_out_otherwise_stops_the_set_up(bundle: Bundle) -> None:
    bundle.file.unlink()
    bundle.text = "the library, tampered with"

    with pytest.raises(CommandError, match=r"came out as [0-9a-f]{64}, not as recorded in bundle.sha256"):
        call_command("assets")
    assert not bundle.file.exists()


def test_a_step_that_fails_is_one_line(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(node: object, folder: Path) -> tuple[Path, Path]:
        raise sdk_build.BuildError("npm ci failed: is the package registry reachable?")

    monkeypatch.setattr(sdk_build, "build", unreachable)
    bundle.file.unlink()

    with pytest.raises(CommandError, match="is the package registry reachable"):
        call_command("assets")


@pytest.mark.parametrize(("answer", "version"), [("v20.19.1", (20, 19)), ("v8.0.0", (8, 0)), ("nonsense", (0, 0))])
def test_the_version_of_node_is_read(tmp_path: Path, answer: str, version: tuple[int, int]) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)

    assert sdk_build._version(str(program)) == version


def test_a_node_that_is_too_old_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in (("node", "v18.20.0"), ("npm", "10.0.0")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {answer}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert sdk_build._node_on_path() is None


@pytest.mark.django_db
def test_the_agents_to_begin_with_are_made_once_and_hand_over() -> None:
    call_command("starter_agents")
    desk = Agent.objects.get(slug="front-desk")
    assert desk.published is not None
    assert desk.published.handoff_words["house-guide"].startswith("Hand the person over to House guide: Knows")
    for agent in Agent.objects.filter(position__gte=20):
        agent.published.full_clean()  # type: ignore[union-attr]  # it has one

    desk.name = "Reception"
    desk.save()
    call_command("starter_agents")
    assert Agent.objects.get(slug="front-desk").name == "Reception"
    assert AgentVersion.objects.filter(agent__position__gte=20).count() == 2
