"""Build what the browser gets: the audio library of the official SDK, by its recorded hash, and the page's modules."""

import os
import shutil
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voiceagent import page_bundle, sdk_build, sdk_bundle


class Command(BaseCommand):
    """Build, check, put in place. Does nothing when the right files are already there."""

    help = "Build the browser's audio library with npm, check its SHA-256, and join the voice page's modules."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--record", action="store_true", help="Build anew and record the hash of what comes out.")

    def handle(self, *, record: bool, **options: Any) -> None:
        needs_sdk = record or not (sdk_bundle.is_built() and sdk_bundle.LICENCES_FILE.is_file())
        if not needs_sdk and page_bundle.is_fresh():
            return
        self.stdout.write(f"Building {'the audio library' if needs_sdk else 'the page'} for the browser, once.")
        try:
            with tempfile.TemporaryDirectory() as folder:
                node = sdk_build.find_node()
                sdk_build.install(node, Path(folder))
                if needs_sdk:
                    self._build_sdk(node, Path(folder), record)
                _put_folder_in_place(sdk_build.build_page(node, Path(folder)), page_bundle.FOLDER)
        except sdk_build.BuildError as exc:
            if record or not sdk_bundle.is_built():
                raise CommandError(str(exc)) from exc
            self.stderr.write(f"{exc} The voice page gets its modules one by one, which works but is slower.")

    def _build_sdk(self, node: sdk_build.Node, folder: Path, record: bool) -> None:
        bundle, licences = sdk_build.build_sdk(node, folder)
        self._check_hash(bundle, record)
        _put_in_place(licences, sdk_bundle.LICENCES_FILE)
        _put_in_place(bundle, sdk_bundle.BUNDLE_FILE)
        self.stdout.write(f"Built the audio library: {sdk_bundle.BUNDLE_FILE.relative_to(sdk_bundle.ROOT)}")

    def _check_hash(self, bundle: Path, record: bool) -> None:
        built = sdk_bundle.hash_of(bundle)
        if record:
            sdk_bundle.HASH_FILE.write_text(f"{built}  {sdk_bundle.BUNDLE_FILE.name}\n")
        elif built != sdk_bundle.expected_hash():
            sdk_bundle.BUNDLE_FILE.unlink(missing_ok=True)
            raise CommandError(
                f"The audio library came out as {built}, not as recorded in {sdk_bundle.HASH_FILE.name}."
            )


def _put_in_place(built: Path, place: Path) -> None:
    """Move through a file beside the place, so that a reader sees the old file or the new one, never half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(place.name + ".new")
    shutil.copyfile(built, beside)
    os.replace(beside, place)


def _put_folder_in_place(built: Path, place: Path) -> None:
    """Replace a folder whole: its files belong together."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside, old = place.with_name(place.name + ".new"), place.with_name(place.name + ".old")
    for left in (beside, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(built, beside)
    if place.exists():
        place.rename(old)
    beside.rename(place)
    shutil.rmtree(old, ignore_errors=True)
