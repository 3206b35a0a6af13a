"""How the record stands, in a fraction of a second: for the integrity page and for probes. Verifies no old event."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from django.db.models import Exists, Max, OuterRef
from django.utils import timezone

from audit.actions import INTENTS, OUTCOMES, UNKNOWN_OUTCOMES, Action
from audit.guards import missing_guards
from audit.horizon import highest_drawn
from audit.models import AuditEvent
from audit.notes import signers
from audit.row_order import CLOCK
from audit.sealer import GAP, is_accepted
from audit.sinks import configured_sinks, newest_anchors
from audit.stored_tree import newest_checkpoint
from audit.tree_models import AuditCheckpoint, AuditExport
from audit.verifier import NotProven, open_note

MAX_LAG: Final = timedelta(seconds=10)
MAX_SILENCE: Final = timedelta(seconds=90)
MAX_UNVERIFIED: Final = timedelta(hours=48)
ORPHAN_AFTER: Final = timedelta(seconds=60)
ORPHAN_WINDOW: Final = timedelta(hours=24)

State = Literal["green", "amber", "red"]


@dataclass
class Integrity:
    """state: red when the record was or may have been changed, amber when that cannot be shown just now."""

    state: State = "green"
    reasons: list[str] = field(default_factory=list)
    checkpoint: AuditCheckpoint | None = None
    exports: list[AuditExport] = field(default_factory=list)
    unsealed: int = 0
    lag_s: float = 0.0  # age of the oldest event that is not sealed
    gaps: int = 0
    orphans: int = 0
    verified: AuditEvent | None = None  # the last full verification
    verifier_key: str = ""
    is_demo: bool = False  # the key comes from SECRET_KEY

    def say(self, state: State, reason: str) -> None:
        self.reasons.append(reason)
        if state == "red" or self.state == "green":
            self.state = state


def integrity(now: datetime | None = None) -> Integrity:
    """Look at the newest checkpoint, what came after it, and where it was exported."""
    now = now or timezone.now()
    found = Integrity(checkpoint=newest_checkpoint(), verifier_key=signers()[0].verifier_key)
    for look in (_checkpoint, _sealing, _findings, _exports, _verification, _orphans, _guards):
        look(found, now)
    found.is_demo = signers()[0].number == 0
    if found.is_demo:
        found.say("amber", "The record is sealed with a demo key. Set AUDIT_SIGNING_KEYS on a server.")
    return found


def _checkpoint(found: Integrity, now: datetime) -> None:
    checkpoint = found.checkpoint
    if checkpoint is None:
        return found.say("amber", "Nothing has been sealed yet. Is the worker running?")
    found.gaps = checkpoint.gaps
    try:
        note = open_note(checkpoint.note, [signer.key for signer in signers()])
    except NotProven as exc:
        return found.say("red", str(exc))
    if (note.size, note.root.hex()) != (checkpoint.size, checkpoint.root):
        return found.say("red", "The newest checkpoint is not what it signs.")
    for name, kept in newest_anchors():
        if kept.size > note.size or (kept.size == note.size and kept.root != note.root):
            found.say("red", f"{name} holds another checkpoint, of {kept.size} events: the database went back.")
    return None


def _sealing(found: Integrity, now: datetime) -> None:
    size = found.checkpoint.size if found.checkpoint else 0
    unsealed = AuditEvent.objects.filter(pk__gt=size).order_by("pk")
    found.unsealed = unsealed.count()
    oldest = unsealed.first()
    found.lag_s = max(0.0, (now - oldest.recorded_at).total_seconds()) if oldest else 0.0
    halt = unsealed.filter(action=Action.AUDIT_SEALING_HALTED).last()
    if halt is not None:
        found.say("red", f"Sealing halted at {halt.target}: {halt.code}. See docs/audit.md, “When sealing halts”.")
    if found.lag_s > MAX_LAG.total_seconds():
        found.say("amber", f"{found.unsealed} events wait to be sealed, the oldest for {found.lag_s:.0f} s.")
    last = AuditCheckpoint.objects.order_by("-pk").values_list("made_at", flat=True).first()
    if last is not None and now - last > MAX_SILENCE:
        found.say("amber", f"The last checkpoint was signed {(now - last).total_seconds():.0f} s ago.")
    if (AuditEvent.objects.aggregate(last=Max("pk"))["last"] or 0) > highest_drawn():
        found.say("red", "An event has a number that the database has not given yet.")


def _findings(found: Integrity, now: datetime) -> None:
    for checkpoint in AuditCheckpoint.objects.exclude(findings="").order_by("-pk")[:100]:
        for event, what in json.loads(checkpoint.findings):
            if what == GAP and not is_accepted(event):
                found.say("red", f"Event {event} was deleted before it was sealed.")
            elif what == CLOCK and now - checkpoint.made_at < ORPHAN_WINDOW:
                found.say("amber", f"The clock went back before event {event}.")


def _exports(found: Integrity, now: datetime) -> None:
    names = [sink.name for sink in configured_sinks()]
    told = AuditExport.objects.in_bulk(names)
    found.exports = [told.get(name) or AuditExport(sink=name) for name in names]
    if not any(export.size for export in found.exports):
        found.say("amber", "Internally consistent, but no checkpoint is kept outside the database.")
    for export in found.exports:
        if export.exported_at is None or export.attempts or now - export.exported_at > MAX_SILENCE:
            since = export.exported_at.isoformat(timespec="seconds") if export.exported_at else "ever"
            found.say("amber", f"{export.sink} has not been told since {since}. {export.error}".rstrip())


def _verification(found: Integrity, now: datetime) -> None:
    found.verified = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).order_by("-recorded_at").first()
    if found.verified is None:
        found.say("amber", "The record has not been verified fully yet.")
    elif found.verified.code:
        message = found.verified.facts.get("message")
        found.say("red", f"The last full verification failed: {message}")
    elif now - found.verified.recorded_at > MAX_UNVERIFIED:
        found.say("amber", "The last full verification is older than two days.")


def _orphans(found: Integrity, now: datetime) -> None:
    """Count intents of a day that nobody closed, and those that were closed as unknown."""
    answered = AuditEvent.objects.filter(target=OuterRef("target"), action__in=OUTCOMES)
    lately = AuditEvent.objects.filter(recorded_at__gt=now - ORPHAN_WINDOW)
    intents = lately.filter(action__in=INTENTS, recorded_at__lt=now - ORPHAN_AFTER)
    found.orphans = intents.filter(~Exists(answered)).count() + lately.filter(action__in=UNKNOWN_OUTCOMES).count()
    if found.orphans:
        found.say("amber", f"Of {found.orphans} requests of the last day nobody knows how they ended.")


def _guards(found: Integrity, now: datetime) -> None:
    missing = missing_guards()
    if missing:
        found.say("amber", f"The database does not refuse changes: {', '.join(missing[:3])} missing. Run: migrate.")
