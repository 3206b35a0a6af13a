"""Taking out of words what policy does not want in history: numbers, addresses, keys."""

import re
from typing import Final

from realtime_api.masking import mask_secrets

ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://\S+", re.I)
# Four digits or more, however they are grouped: telephone, card and account numbers, and dates of birth.
NUMBER: Final = re.compile(r"\d(?:[ ./\-()]{0,2}\d){3,}")


def redacted(text: str) -> str:
    """Return the words with every such part replaced."""
    return NUMBER.sub("[number]", ADDRESS.sub("[address]", mask_secrets(text)))
