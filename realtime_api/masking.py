"""Taking secrets and account names out of texts: what others wrote, and what ends in a log."""

import re
from typing import Final

REMOVED: Final = "[removed]"
# Keys as the vendors of models, clouds and code forges write them, and ours.
_KEY: Final = re.compile(
    r"\b(?:sk|pk|rk|ek|vak|xai|gsk|hf|pplx|r8|glpat|gh[opusr]|github_pat|xox[abeprs]|nvapi|csk)[-_][A-Za-z0-9_\-*.]{4,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}"
    r"|\bya29\.[A-Za-z0-9_\-.]{10,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){1,4}"
    r"|(?<=\bBearer )[^\s\"',;]{4,}"
)
_ACCOUNT: Final = re.compile(r"\b(?:org|proj)[-_][A-Za-z0-9]{6,}")
# Long and mixed enough to be a key without a prefix; Azure's 32 hexadecimal digits are the shortest.
_NAMELESS_KEY: Final = re.compile(r"\b(?=[a-z]*[0-9])(?=[0-9]*[a-z])[a-z0-9]{32,}\b", re.I)

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")


def shown_name(unverified_name: str) -> str:
    """Return a field's name as an answer may repeat it; an ellipsis for what is no name or could be a key."""
    is_name = _NAME.fullmatch(unverified_name) and mask_secrets(unverified_name) == unverified_name
    return unverified_name if is_name else "…"


def mask_keys(text: str) -> str:
    """Return the text with everything that has the form of somebody's key replaced."""
    return _KEY.sub(REMOVED, text)


def mask_secrets(text: str) -> str:
    """Do as `mask_keys` for what another server said, where account names and keys without a prefix may stand, too."""
    return _NAMELESS_KEY.sub(REMOVED, _ACCOUNT.sub(REMOVED, mask_keys(text)))
