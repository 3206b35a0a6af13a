"""Where the voice page's joined modules lie, and whether they are those of the sources that are here.

Joined at set-up by `manage.py assets` and never committed. Without them, or when a source has changed since, the page
gets its modules one by one, so nobody ever runs old code. Knows no Django.
"""

import hashlib
from functools import cache
from typing import Final

from voiceagent.sdk_bundle import ROOT

STATIC: Final = ROOT / "static"
SCRIPT: Final = "realtime_ui/js/page.js"
STYLES: Final = tuple(f"realtime_ui/css/{name}.css" for name in ("stage", "more", "transcript", "doctor", "approval"))
PATH: Final = "vendor/voice_page/"  # as deep as the style sheets' own folder, so that `url(../../…)` stays right
FOLDER: Final = STATIC / PATH
STAMP: Final = "sources.sha256"
BUILD_INPUTS: Final = ("assets/build_page.mjs", "package-lock.json")


def hash_of_sources() -> str:
    """Return one SHA-256 over every module and style sheet of ours and what joins them, in hex."""
    files = [file for file in STATIC.rglob("*.[cj]s*") if STATIC / "vendor" not in file.parents]
    digest = hashlib.sha256()
    for file in sorted([*files, *(ROOT / name for name in BUILD_INPUTS)]):
        digest.update(f"{file.relative_to(ROOT).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def is_fresh() -> bool:
    """Tell whether what is there was made of these very sources."""
    stamp = FOLDER / STAMP
    return stamp.is_file() and stamp.read_text().strip() == hash_of_sources()


@cache
def is_used() -> bool:
    """Tell whether pages get the joined files. Asked once in a process, as are the names of collected files."""
    return is_fresh()
