"""Where the browser's audio library lies, and whether it is the one that was recorded.

The file is built at set-up by `manage.py assets` and never committed. Knows no Django.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC_PATH = "vendor/openai-realtime-transports.js"
BUNDLE_FILE = ROOT / "static" / STATIC_PATH
LICENCES_FILE = BUNDLE_FILE.with_suffix(".LICENSES.txt")
HASH_FILE = ROOT / "assets" / "sdk-bundle.sha256"


def expected_hash() -> str:
    """Return the SHA-256 that the repository records, in hex; empty when none is recorded."""
    return HASH_FILE.read_text().split()[0] if HASH_FILE.is_file() and HASH_FILE.stat().st_size else ""


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file in hex; empty when there is no such file."""
    if not file.is_file():
        return ""
    stat = file.stat()
    return _hash_of_state(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _hash_of_state(file: Path, mtime_ns: int, size: int) -> str:
    """Hash a file once for each state of it: pages and probes ask often."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def is_built() -> bool:
    """Tell whether the library is there and is byte for byte the recorded one."""
    return bool(expected_hash()) and hash_of(BUNDLE_FILE) == expected_hash()
