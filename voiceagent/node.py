"""`python -m voiceagent.node npm …`: run npm with the Node that the set-up found or installed."""

import os
import subprocess
import sys
from pathlib import Path

from voiceagent.sdk_build import BuildError, find_node


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["npm"]:
        return fail("usage: python -m voiceagent.node npm ARGUMENTS")
    try:
        node = find_node()
    except BuildError as exc:
        return fail(str(exc))
    # Scripts of package.json call `node` by name.
    path = os.pathsep.join([str(Path(node.program).parent), os.environ.get("PATH", "")])
    return subprocess.run([*node.npm, *arguments[1:]], env=os.environ | {"PATH": path}, check=False).returncode


def fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
