"""Relaying an offer: claim, upstream, outcome, each on record before the next step. Every call has one outcome."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from asgiref.sync import sync_to_async

from audit import group_commit
from realtime_api import upstream as realtime_upstream
from realtime_api.errors import CodedError, UpstreamError, UpstreamUnreachable
from realtime_api.sdp import check_offer
from realtime_api.upstream import CreatedCall
from relay import call_records
from relay.call_records import Claimed
from relay.claims import CallWish
from relay.models import Call
from relay.services import end_call
from tokens.models import Kind
from tokens.requester import Requester
from voiceagent.upstream import configured_upstream, safety_identifier, unavailable, upstream_http

logger = logging.getLogger(__name__)


async def relay_offer(*, wish: CallWish, raw_offer: bytes, read: Callable[[], Requester]) -> CreatedCall:
    """Make a call upstream for the holder of a client secret.

    read: says who asks; it runs where the database may be asked.
    1. Check the offer's size and grammar. 2. Claim the secret, check what binds it, and write the intent, in
    one durable transaction. 3. Post the offer with the server's key. 4. Write the outcome. Only then answer.
    Raises InvalidSdp, RelayError, IssueError and UpstreamError subclasses; each leaves one event with its code.
    """
    try:
        offer_sdp = check_offer(raw_offer)  # (1)
    except CodedError as exc:
        await call_records.refuse(read, exc)
        raise
    claimed = await call_records.claim(read=read, wish=wish)  # (2)
    try:
        created = await _create_upstream(claimed, offer_sdp, wish.secret)  # (3)
    except CodedError as exc:
        if isinstance(exc, UpstreamError) and exc.call_id:
            await _hang_up_unrecorded(exc.call_id)
        await group_commit.commit(partial(call_records.failed, call=claimed.call, error=exc))
        raise
    try:
        await group_commit.commit(
            partial(call_records.created, call=claimed.call, call_id=created.call_id, request_id=created.request_id)
        )  # (4)
    except Exception:
        await _hang_up_unrecorded(created.call_id)
        raise
    logger.info(
        "call relayed call_id=%s request_id=%s offer_bytes=%d answer_bytes=%d",
        created.call_id, claimed.call.request_id, len(raw_offer), len(created.answer_sdp),
    )  # fmt: skip
    return created


async def relay_to_the_end(*, wish: CallWish, raw_offer: bytes, read: Callable[[], Requester]) -> CreatedCall:
    """Do as `relay_offer`, and when the client leaves meanwhile, finish the record and end the half-made call."""
    work = asyncio.create_task(relay_offer(wish=wish, raw_offer=raw_offer, read=read))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _end_abandoned(work)
        raise


async def _hang_up_unrecorded(call_id: str) -> None:
    """End a call that was made but whose outcome is not on record, so that nobody talks on it unseen."""
    logger.error("call is not on record and is ended call_id=%s", call_id)
    try:
        await realtime_upstream.hang_up(upstream_http(), configured_upstream(), call_id)
    except UpstreamError as exc:
        logger.error("hang-up failed call_id=%s code=%s", call_id, exc.code)


async def _end_abandoned(work: "asyncio.Task[CreatedCall]") -> None:
    try:
        created = await work
    except CodedError:
        return  # recorded already, and there is nobody left to tell
    call = await Call.objects.aget(upstream_id=created.call_id)
    await sync_to_async(end_call)(call, reason=Call.EndReason.CLIENT_GONE, actor="server")


async def _create_upstream(claimed: Claimed, offer_sdp: str, secret: str) -> CreatedCall:
    """Make the call: with the server's key for a relayed secret, as its holder for a direct one."""
    try:
        if claimed.issuance.kind == Kind.DIRECT:
            return await realtime_upstream.create_call_with_secret(
                upstream_http(), configured_upstream(), offer_sdp=offer_sdp, value=secret
            )
        return await realtime_upstream.create_call(
            upstream_http(),
            configured_upstream(),
            offer_sdp=offer_sdp,
            session=claimed.session(),
            safety_identifier=safety_identifier(claimed.call.user_id),
        )
    except UpstreamUnreachable as exc:
        raise unavailable(exc) from exc
