"""Functions that guardrails may use besides words and patterns, found in each app's `voice_guardrails.py`.

    @guardrail_check("no_prices")
    def no_prices(text: str) -> str: ...

A function is given a stretch of text, and answers why it may not be said; nothing where it may. It runs in a thread.
"""

from collections.abc import Callable

Check = Callable[[str], str | None]

_checks: dict[str, Check] = {}


def guardrail_check(name: str) -> Callable[[Check], Check]:
    """Register a function under a name that administrators choose. Raises ValueError for a name that is taken."""

    def register(check: Check) -> Check:
        if _checks.get(name, check) is not check:
            raise ValueError(f"There is another check {name!r}.")
        _checks[name] = check
        return check

    return register


def find_check(name: str) -> Check | None:
    return _checks.get(name)


def check_names() -> list[str]:
    return sorted(_checks)
