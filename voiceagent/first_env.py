"""Write the first `.env`: a demo on this machine with secrets of its own. Never overwrites one."""

import os
import secrets
import sys
from pathlib import Path

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"
TEXT = """\
# Made by `make setup` for a demo on this machine. Every variable is explained in .env.example.
DEMO=true
SECRET_KEY={secret_key}
ENGINE_API_KEY={engine_api_key}
DEMO_PASSWORD={demo_password}
"""


def main() -> None:
    text = TEXT.format(
        secret_key=secrets.token_urlsafe(48),
        engine_api_key=f"sk-engine-{secrets.token_hex(16)}",
        demo_password=secrets.token_urlsafe(9),
    )
    try:
        descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{ENV_FILE.name} is there already; nothing was changed.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
