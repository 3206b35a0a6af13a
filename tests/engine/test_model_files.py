"""Model files are found without importing their package and refused when changed."""

import sys
from pathlib import Path

import pytest

from engine.model_files import ModelFilesError, find_package_folder, verify_files
from engine.recognition import MODEL_PACKAGE, Recogniser

DIGEST_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_a_file_with_the_pinned_digest_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"hello")

    assert verify_files(tmp_path, {"a.bin": DIGEST_OF_HELLO}) == tmp_path


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"hellO")

    with pytest.raises(ModelFilesError, match="wrong SHA-256"):
        verify_files(tmp_path, {"a.bin": DIGEST_OF_HELLO})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="missing"):
        verify_files(tmp_path, {"a.bin": DIGEST_OF_HELLO})


def test_a_changed_recognition_model_is_never_loaded(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"something else")

    with pytest.raises(ModelFilesError, match="wrong SHA-256"):
        Recogniser(tmp_path)


def test_the_models_package_is_found_and_not_imported() -> None:
    assert (find_package_folder(MODEL_PACKAGE, "model") / "model.bin").is_file()
    assert MODEL_PACKAGE not in sys.modules


def test_a_package_that_is_not_installed_is_told_plainly() -> None:
    with pytest.raises(ModelFilesError, match="not installed"):
        find_package_folder("no_such_package", "model")
