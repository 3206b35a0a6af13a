"""The one loose type of the engine: a JSON object of the protocol, checked where it enters."""

from typing import Any

# Any: the shapes are the protocol's and vary by `type`; `session/update.py` and `session/items.py` check them.
Json = dict[str, Any]
