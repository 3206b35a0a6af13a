"""Build the browser's audio library from the official SDK and check it against the recorded hash."""

import os
import shutil
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voiceagent import sdk_build, sdk_bundle


class Command(BaseCommand):
    """Build, check, put in place. Does nothing when the right file is already there."""

    help = "Build the browser's audio library (static/vendor/) with npm and check its SHA-256."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--record", action="store_true", help="Build anew and record the hash of what comes out.")

    def handle(self, *, record: bool, **options: Any) -> None:
        if sdk_bundle.is_built() and sdk_bundle.LICENCES_FILE.is_file() and not record:
            return
        self.stdout.write("Building the browser's audio library, once.")
        try:
            with tempfile.TemporaryDirectory() as folder:
                bundle, licences = sdk_build.build(sdk_build.find_node(), Path(folder))
                self._check_hash(bundle, record)
                _put_in_place(licences, sdk_bundle.LICENCES_FILE)
                _put_in_place(bundle, sdk_bundle.BUNDLE_FILE)
        except sdk_build.BuildError as exc:
            raise CommandError(str(exc)) from exc
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
