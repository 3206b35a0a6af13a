"""What the set-up makes: the first `.env`, the demo's account, the audio library."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from agents.models import Agent, AgentVersion
from voiceagent import first_env, page_bundle, sdk_build, sdk_bundle
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
    """Where the library, its recorded hash and the joined page lie in these tests, and how often each was built."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "static" / "bundle.js"
        self.hash_file = folder / "bundle.sha256"
        self.page = folder / "static" / "page"
        self.installed = self.built = self.pages = 0
        self.text = "the library"
        self.sources = "first"

    def install(self, node: object, folder: Path) -> None:
        self.installed += 1

    def build_sdk(self, node: object, folder: Path) -> tuple[Path, Path]:
        self.built += 1
        bundle, licences = folder / "bundle.js", folder / "licences.txt"
        bundle.write_text(self.text)
        licences.write_text("licences")
        return bundle, licences

    def build_page(self, node: object, folder: Path) -> Path:
        self.pages += 1
        joined = folder / "page"
        joined.mkdir()
        (joined / f"{self.sources}.js").write_text(self.sources)
        (joined / page_bundle.STAMP).write_text(f"{self.sources}\n")
        return joined


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    bundle = Bundle(tmp_path)
    monkeypatch.setattr(sdk_bundle, "ROOT", tmp_path)
    monkeypatch.setattr(sdk_bundle, "BUNDLE_FILE", bundle.file)
    monkeypatch.setattr(sdk_bundle, "LICENCES_FILE", bundle.file.with_suffix(".txt"))
    monkeypatch.setattr(sdk_bundle, "HASH_FILE", bundle.hash_file)
    monkeypatch.setattr(sdk_build, "find_node", lambda: None)
    monkeypatch.setattr(page_bundle, "FOLDER", bundle.page)
    monkeypatch.setattr(page_bundle, "hash_of_sources", lambda: bundle.sources)
    for step in ("install", "build_sdk", "build_page"):
        monkeypatch.setattr(sdk_build, step, getattr(bundle, step))
    call_command("assets", record=True)
    return bundle


def test_the_library_is_built_once(bundle: Bundle) -> None:
    call_command("assets")

    assert (bundle.installed, bundle.built, bundle.pages) == (1, 1, 1)
    assert sdk_bundle.is_built()
    assert page_bundle.is_fresh()


def test_a_source_that_changed_joins_the_page_anew_and_nothing_else(bundle: Bundle) -> None:
    bundle.sources = "second"
    assert not page_bundle.is_fresh()
    call_command("assets")

    assert (bundle.built, bundle.pages) == (1, 2)
    assert sorted(file.name for file in bundle.page.iterdir()) == ["second.js", page_bundle.STAMP]
    assert page_bundle.is_fresh()


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


def unreachable(node: object, folder: Path) -> None:
    raise sdk_build.BuildError("npm ci failed: is the package registry reachable?")


def test_a_step_that_fails_is_one_line(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_build, "install", unreachable)
    bundle.file.unlink()

    with pytest.raises(CommandError, match="is the package registry reachable"):
        call_command("assets")


def test_without_a_network_the_page_gets_its_modules_one_by_one(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sdk_build, "install", unreachable)
    bundle.sources = "second"
    call_command("assets")

    assert "one by one" in capsys.readouterr().err
    assert not page_bundle.is_fresh()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree with a module, a style sheet and what joins them."""
    for name in ("app/js/page.js", "app/css/page.css", "vendor/library.js"):
        file = tmp_path / "static" / name
        file.parent.mkdir(parents=True)
        file.write_text(name)
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(page_bundle, "ROOT", tmp_path)
    monkeypatch.setattr(page_bundle, "STATIC", tmp_path / "static")
    monkeypatch.setattr(page_bundle, "BUILD_INPUTS", ("package-lock.json",))
    return tmp_path


@pytest.mark.parametrize("name", ["static/app/js/page.js", "static/app/css/page.css", "package-lock.json"])
def test_each_source_counts(sources: Path, name: str) -> None:
    before = page_bundle.hash_of_sources()
    (sources / name).write_text("another text")

    assert page_bundle.hash_of_sources() != before


def test_what_is_built_is_no_source(sources: Path) -> None:
    before = page_bundle.hash_of_sources()
    (sources / "static/vendor/library.js").write_text("another text")

    assert page_bundle.hash_of_sources() == before


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
