"""The media process lets go of a call: to a person."""

import logging

from calls import transfers
from calls.dialling import TIME_LIMIT_MARGIN_S, carrier_account_of
from calls.models import Call
from calls.next_verb import voice_url
from calls.transfer_verbs import LONGEST_S
from carriers import twilio
from carriers.errors import CarrierError

logger = logging.getLogger(__name__)

# The carrier counts from the call's answer; an agent talks for half an hour at most.
TIME_LIMIT_S = LONGEST_S + 1800 + TIME_LIMIT_MARGIN_S


def hand_over(call_pk: int, *, generation: int, to_number: str, kind: str, after_turn: int) -> bool:
    """Commit that the call is put through to ``to_number``, then have the carrier ask what to do,
    and let the call last longer than an agent may talk.

    Whatever becomes of that request, the media socket is closed next, at which the carrier asks as
    well. False: nothing was committed, the agent keeps the call.
    """
    transfer = transfers.ask(
        call_pk, generation=generation, to_number=to_number, kind=kind, after_turn=after_turn
    )
    if transfer is None:
        return False
    call = Call.objects.select_related("number__carrier_account").get(pk=call_pk)
    ask_again(call)
    return True


def ask_again(call: Call) -> bool:
    """Have the carrier ask now what this call does next."""
    account = carrier_account_of(call)
    if account is None or not call.carrier_sid:
        return False
    try:
        twilio.redirect(account, call.carrier_sid, url=voice_url(call), time_limit_s=TIME_LIMIT_S)
    except CarrierError as failure:
        logger.warning("cannot redirect %s: %s", call.call_id, type(failure).__name__)
        return False
    return True
