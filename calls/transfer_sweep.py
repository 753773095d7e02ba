"""Transfers of which the carrier's news was lost: asked about, so that no caller rings for ever and
no call that people have taken over is taken for an agent's."""

import logging
from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils import timezone

from accounts.steps import by_itself
from calls import transfers
from calls.dialling import carrier_account_of
from calls.handing_over import ask_again
from calls.models import Transfer
from carriers import twilio
from carriers.errors import CarrierError

logger = logging.getLogger(__name__)

# The longest ring, a whisper, and the time that callbacks take.
LOST_AFTER = timedelta(seconds=75)
ASK_EVERY_S = 30
AT_MOST = 20


def settle_lost(now: datetime | None = None) -> int:
    """Ask the carrier about transfers that should be settled by now; return how many it was."""
    now = now or timezone.now()
    lost = (
        Transfer.objects.open()
        .filter(asked_at__lt=now - LOST_AFTER)
        .exclude(call__carrier_sid="")
        .select_related("call__number__carrier_account")
        .order_by("asked_at")[:AT_MOST]
    )
    asked = 0
    for transfer in lost:
        if cache.add(f"calls.lost.{transfer.pk}", 1, timeout=ASK_EVERY_S):
            asked += 1
            with by_itself(f"settling transfer {transfer.pk}"):
                _settle(transfer, now)
    return asked


def _settle(transfer: Transfer, now: datetime) -> None:
    """Two who talk are let talk. Where nobody is on the other leg, the caller comes back to the
    agent; a call that is over ends by the sweep of calls.
    """
    call = transfer.call
    account = carrier_account_of(call)
    if account is None:
        return
    try:
        legs = twilio.calls_within(account, call.carrier_sid)
    except CarrierError as failure:
        logger.warning(
            "cannot ask about a transfer of %s: %s", call.call_id, type(failure).__name__
        )
        return
    mine = [leg for leg in legs if leg.to == transfer.to_number and _since(leg, transfer)]
    talking = next((leg for leg in mine if leg.status == "in-progress"), None)
    if talking is not None:
        transfers.joined(transfer.pk, at=talking.started_at, sid=talking.sid)
    elif now - transfer.asked_at > transfers.OPEN_AT_MOST:
        ask_again(call)


def _since(leg: twilio.CarrierCall, transfer: Transfer) -> bool:
    """Not of an earlier transfer to the same number."""
    margin = timedelta(seconds=5)
    return leg.created_at is None or leg.created_at >= transfer.asked_at - margin
