"""Events as a table, for the pages of what they tell about."""

from collections.abc import Sequence

from django import template

from audit.models import AuditEvent
from audit.stored_tree import sealing_checkpoint
from voiceagent.admin_words import time_of

register = template.Library()


@register.inclusion_tag("admin/audit_table.html")
def audit_table(events: Sequence[AuditEvent]) -> dict[str, object]:
    """Tell also since when all of them stand in the sealed record; nothing of that while one does not."""
    numbers = [event.pk for event in events]
    sealed = sealing_checkpoint(max(numbers, default=0))
    return {
        "rows": [{"event": event, "when": time_of(event.recorded_at)} for event in events],
        "checkpoint": sealed,
        "sealed_at": time_of(sealed.made_at) if sealed else "",
    }
