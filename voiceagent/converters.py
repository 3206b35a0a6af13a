"""Parts of addresses."""


class CallIdConverter:
    """The id of a call as the upstream writes it; nothing else reaches a query."""

    regex = "[A-Za-z0-9_-]{1,128}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
