"""What is served beside each file, and what a second set-up leaves alone."""

import gzip
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.staticfiles.finders import get_finders
from servestatic import compress

from voiceagent.static_files import Compressor

TEXT = b"The same few words. " * 100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "words.js"
    file.write_bytes(TEXT)
    return file


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note what is compressed."""
    times: list[bytes] = []

    def compress_gzip(data: bytes) -> bytes:
        times.append(data)
        return gzip.compress(data)

    monkeypatch.setattr(Compressor, "compress_gzip", staticmethod(compress_gzip))
    return times


def test_a_file_is_compressed_in_both_ways(file: Path) -> None:
    assert Compressor(quiet=True).compress(file) == [f"{file}.br", f"{file}.gz"]
    assert compress.brotli.decompress(file.with_name("words.js.br").read_bytes()) == TEXT
    assert gzip.decompress(file.with_name("words.js.gz").read_bytes()) == TEXT


def test_what_is_compressed_already_is_left_alone(file: Path, times: list[bytes]) -> None:
    first = Compressor(quiet=True).compress(file)

    assert Compressor(quiet=True).compress(file) == first
    assert len(times) == 1


@pytest.mark.parametrize("suffix", [".br", ".gz"])
@pytest.mark.parametrize("found", ["half", "nothing", "noise", "older"])
def test_what_is_beside_a_file_is_never_another_text(file: Path, suffix: str, found: str) -> None:
    Compressor(quiet=True).compress(file)
    packed = Path(f"{file}{suffix}")
    right = packed.read_bytes()
    if found == "older":
        file.write_bytes(TEXT * 2)
    packed.write_bytes({"half": right[: len(right) // 2], "noise": b"noise", "older": right}.get(found, b""))
    Compressor(quiet=True).compress(file)

    unpacked = compress.brotli.decompress if suffix == ".br" else gzip.decompress
    assert unpacked(packed.read_bytes()) == file.read_bytes()


def test_without_brotli_there_is_gzip(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "brotli", None)

    assert Compressor(quiet=True).compress(file) == [f"{file}.gz"]


def test_of_the_two_documentation_browsers_one_is_collected() -> None:
    left_out = apps.get_app_config("staticfiles").ignore_patterns  # type: ignore[attr-defined]  # it is Django's own
    collected = [path for finder in get_finders() for path, _ in finder.list(left_out)]
    browsers = {path.split("/")[1] for path in collected if path.startswith("drf_spectacular_sidecar/")}

    assert browsers == {"swagger-ui-dist"}
