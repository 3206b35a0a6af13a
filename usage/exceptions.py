"""What is wrong with usage that the upstream reports."""


class UnreadableUsage(ValueError):
    """A usage block does not add up. The message names the field and holds nothing of a person."""
