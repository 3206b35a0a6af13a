#!/usr/bin/env python
"""Run Django's management commands for this project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceagent.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        # A settings mistake is the reader's to mend, and a traceback would hide it.
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
