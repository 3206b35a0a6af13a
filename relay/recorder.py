"""Writing down what was seen of many calls, in one transaction for all of them, and holding their leases.

A process looks after a call while its name stands in the call's row. Whoever writes holds that row first, so what two
processes saw of the same call is written once, and one that lost a call learns it with its next write.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from django.db import DataError, IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import record_event
from relay.charges import charge_counted, reserve_spent
from relay.conversation import Changes, Line, ToolCalled
from relay.hints import tell_changed
from relay.models import Call, CallCommand, TranscriptItem
from relay.redaction import redacted
from tokens.models import Transcripts
from tokens.policy import allowance_of
from usage.cost import PICODOLLARS, Cost
from usage.ledger import Entry, write_entries
from usage.models import Meter, UsageRecord
from voiceagent.log_lines import storable

logger = logging.getLogger(__name__)
UNFIT: Final = (DataError, IntegrityError, OverflowError, ValueError)
LEASE_S: Final = 6.0  # past the last heartbeat; three of them fit
DRIFT_CHARS: Final = 200
LINE_FIELDS: Final = ("previous_item_id", "role", "text", "status", "ended_at", "heard_ms")


@dataclass
class Report:
    """What is to be written of one call. monitoring: empty for as it was. drift: fields that its client changed."""

    call_id: int
    changes: Changes = field(default_factory=Changes)
    monitoring: str = ""
    gaps: int = 0
    drift: tuple[str, ...] = ()
    obeyed: Mapping[int, str] = field(default_factory=dict)  # commands that were carried out, or the code of why not


@dataclass(frozen=True)
class Standing:
    """How a call stands after a write."""

    is_open: bool
    spent_microdollars: int
    has_allowance: bool  # False: its user's allowance is used up by what it spent
    commands: tuple[CallCommand, ...] = ()  # that wait
    has_access: bool = True  # False: its user was disabled, or its key or secret revoked
    seen_at: datetime | None = None  # when its page reported last


@dataclass(frozen=True)
class Past:
    """What an earlier process wrote of a call."""

    lines: list[Line]
    counted: list[tuple[str, str]]


def write_reports(owner: str, reports: Sequence[Report], now: datetime) -> Mapping[int, Standing]:
    """Renew the leases of calls and write what was seen of them. Calls missing in the result are another's by now.

    What no database takes of one call, such as a count beyond all numbers, must not keep the others from being written:
    each is written by itself then, and that one without what was seen, which makes it counted in part.
    """
    try:
        return _write_together(owner, reports, now)
    except UNFIT:
        logger.exception("what was seen of %d calls could not be written together", len(reports))
    standings: dict[int, Standing] = {}
    for report in reports:
        try:
            standings |= _write_together(owner, [report], now)
        except UNFIT:
            logger.exception("what was seen of a call is left out call=%s", report.call_id)
            left = replace(report, changes=Changes(), gaps=report.gaps + 1)
            standings |= _write_together(owner, [left], now)
    return standings


def _write_together(owner: str, reports: Sequence[Report], now: datetime) -> Mapping[int, Standing]:
    numbers = [report.call_id for report in reports]
    with transaction.atomic():
        own = Call.objects.filter(pk__in=numbers, lease_owner=owner)
        own.update(lease_until=now + timedelta(seconds=LEASE_S))  # holds the rows until the end
        busy = [report for report in reports if report != Report(report.call_id)]
        calls = {call.pk: call for call in own.filter(pk__in=[report.call_id for report in busy])} if busy else {}
        held = [report for report in busy if report.call_id in calls]
        _write_lines(calls, held)
        _write_usage(calls, held)
        for report in held:
            _write_state(calls[report.call_id], report)
        _note_activity(held, now)
        return _standings(own)


def read_past(call: Call) -> Past:
    """Return what is on record of a call, for whoever takes it over."""
    lines = [line_of(item) for item in TranscriptItem.objects.filter(call=call)]
    counted = UsageRecord.objects.filter(call_number=call.pk).values_list("kind", "source_id")
    return Past(lines, list(counted))


def line_of(item: TranscriptItem) -> Line:
    return Line(item.item_id, item.started_at, *(getattr(item, name) for name in LINE_FIELDS))


def close_books(call: Call, owner: str, *, complete: bool) -> None:
    """Let go of an ended call, and charge what was counted instead of the estimate by its length."""
    with transaction.atomic():
        if not Call.objects.filter(pk=call.pk, lease_owner=owner).update(lease_owner="", lease_until=None):
            return  # another process took it over
        call.refresh_from_db()
        records = UsageRecord.objects.filter(call_number=call.pk)
        if call.metering == Call.Metering.FREE or call.monitoring == Call.Monitoring.UNMONITORED:
            return
        if not (complete or records.exists()):
            return
        unpriced = tuple(Meter) if records.filter(unpriced=True).exists() else ()
        charge_counted(call, Cost(call.counted_picodollars, unpriced), complete=complete and not call.gaps)


def _write_lines(calls: Mapping[int, Call], reports: Sequence[Report]) -> None:
    items = [
        _item(calls[report.call_id], line)
        for report in reports
        for line in report.changes.lines
        if calls[report.call_id].transcripts != Transcripts.OFF
    ]
    TranscriptItem.objects.bulk_create(
        items, update_conflicts=True, unique_fields=["call", "item_id"], update_fields=LINE_FIELDS
    )


def _item(call: Call, line: Line) -> TranscriptItem:
    text = redacted(line.text) if call.transcripts == Transcripts.REDACTED else line.text
    return TranscriptItem(
        call=call, item_id=storable(line.item_id), previous_item_id=storable(line.previous_item_id),
        role=storable(line.role)[:20], text=storable(text), status=line.status,
        started_at=line.started_at, ended_at=line.ended_at, heard_ms=line.heard_ms,
    )  # fmt: skip


def _write_usage(calls: Mapping[int, Call], reports: Sequence[Report]) -> None:
    entries = [
        Entry(
            call_number=call.pk, kind=use.kind, source_id=storable(use.source_id), at=use.at, counts=use.counts,
            username=call.username, agent=call.agent, model=storable(use.model) or _model_of(call, use.kind),
            outcome=storable(use.outcome),
        )
        for report in reports for call in [calls[report.call_id]] for use in report.changes.usage
    ]  # fmt: skip
    for record in write_entries(entries) if entries else ():
        call = calls[record.call_number]
        call.counted_picodollars += record.picodollars
        call.responses += record.kind == UsageRecord.Kind.RESPONSE
        Call.objects.filter(pk=call.pk).update(counted_picodollars=call.counted_picodollars, responses=call.responses)


def _model_of(call: Call, kind: str) -> str:
    return call.model if kind == UsageRecord.Kind.RESPONSE else ""


def _write_state(call: Call, report: Report) -> None:
    changed = {}
    if report.monitoring and report.monitoring != call.monitoring:
        changed["monitoring"] = call.monitoring = report.monitoring
        if report.monitoring == Call.Monitoring.UNMONITORED:
            _record(Action.CALL_UNMONITORED, call)
    if report.drift:
        changed["drift"] = call.drift = ", ".join(report.drift)[:DRIFT_CHARS]
        _record(Action.CALL_DRIFTED, call, fields=call.drift)
    for tool in report.changes.tools:
        _record_tool(call, tool)
    for number, error_code in report.obeyed.items():
        CallCommand.objects.filter(pk=number).update(done_at=timezone.now(), error_code=error_code)
    if report.gaps:
        Call.objects.filter(pk=call.pk).update(gaps=F("gaps") + report.gaps)
    if changed:
        Call.objects.filter(pk=call.pk).update(**changed)


def _note_activity(reports: Sequence[Report], now: datetime) -> None:
    """Note in which calls something was said or used, and hint at what else streams tell of."""
    active = [report.call_id for report in reports if report.changes.lines or report.changes.usage]
    if active:
        Call.objects.filter(pk__in=active).update(active_at=now)
    if active or any(report.monitoring for report in reports):
        transaction.on_commit(tell_changed)


def _record_tool(call: Call, tool: ToolCalled) -> None:
    _record(Action.CALL_TOOL_CALLED, call, tool=storable(tool.name), tool_call=storable(tool.tool_call_id))


def _record(action: Action, call: Call, **facts: Fact) -> None:
    record_event(
        action, request_id=call.request_id, actor="worker", target=f"call:{call.pk}", code="", person=None, **facts
    )


def _standings(own: QuerySet[Call]) -> Mapping[int, Standing]:
    """Return how calls stand.

    Asked of each call every second, though little happens in most: plain columns, since rows of four models cost more.
    """
    columns = own.values_list(
        "pk", "state", "counted_picodollars", "charged_microdollars", "user__is_active", "issuance__revoked_at",
        "issuance__api_key__pk", "issuance__api_key__enabled", "issuance__api_key__revoked_at", "last_seen_at",
    )  # fmt: skip
    waiting = _waiting_commands(own)
    standings = {}
    for pk, state, counted, charged, is_user_active, revoked_at, *of_key, seen_at in columns:
        key_pk, is_key_enabled, key_revoked_at = of_key
        spent = -(-counted // PICODOLLARS)
        is_open = state == Call.State.LIVE
        has_allowance = not (is_open and charged and spent > charged) or _reserve(pk, spent)
        is_key_good = key_pk is None or (is_key_enabled and key_revoked_at is None)
        has_access = bool(is_user_active and is_key_good and revoked_at is None)
        standings[pk] = Standing(is_open, spent, has_allowance, waiting.get(pk, ()), has_access, seen_at)
    return standings


def _waiting_commands(own: QuerySet[Call]) -> Mapping[int, tuple[CallCommand, ...]]:
    waiting: dict[int, tuple[CallCommand, ...]] = {}
    for command in CallCommand.objects.filter(call__in=own, done_at=None).select_related("agent_version__agent"):
        waiting[command.call_id] = (*waiting.get(command.call_id, ()), command)
    return waiting


def _reserve(number: int, spent_microdollars: int) -> bool:
    """Reserve what a call spent past its reservation; False when its user's allowance has no more."""
    call = Call.objects.select_related("user", "issuance__api_key").get(pk=number)
    key = call.issuance.api_key if call.issuance else None
    return call.user is None or reserve_spent(call, allowance_of(call.user, key), spent_microdollars)
