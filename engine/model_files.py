"""Find the speech model files inside installed packages and refuse any whose digest is not the pinned one."""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

READ_BYTES = 1 << 20

WHISPER_TINY_EN = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
HIBARI_HEART = {
    "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
}


class ModelFilesError(Exception):
    """A speech model is missing or is not the file that was checked."""


def find_package_folder(package: str, folder: str) -> Path:
    """Locate `folder` inside an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        if (Path(location) / folder).is_dir():
            return Path(location) / folder
    raise ModelFilesError(
        f"The package {package} with its {folder} folder is not installed: pip install -r requirements-engine.txt"
    )


def verify_files(folder: Path, digests: Mapping[str, str]) -> Path:
    """Check the SHA-256 of each named file and return the folder; raise ModelFilesError on the first mismatch."""
    for name, expected in digests.items():
        path = folder / name
        if not path.is_file():
            raise ModelFilesError(f"The model file {name} is missing: reinstall requirements-engine.txt")
        if sha256_of(path) != expected:
            raise ModelFilesError(f"The model file {name} has the wrong SHA-256 digest: it is refused, reinstall it")
    return folder


def sha256_of(path: Path) -> str:
    """Hash a file in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
