"""What the carrier does with a call that is put through to a person."""

from django.conf import settings
from django.utils import timezone

from calls import transfers
from calls.models import Call, Transfer
from carriers import twiml

RING_S = {Transfer.Kind.COLD: 10, Transfer.Kind.WARM: 15}  # spec 6.7.1
LONGEST_S = 4 * 3600  # two people may talk for as long as the carrier lets them by default


def verb_for(call: Call) -> str | None:
    """Return the TwiML of a call that is being put through, or was; None if it has an agent.

    Asked twice it answers the same: a redirect that came late rings the same number again.
    """
    last = call.transfers.last()
    if last is None or last.status in {Transfer.Status.FAILED, Transfer.Status.CALLER_GONE}:
        return None
    if last.status == Transfer.Status.BRIDGED:
        return twiml.hang_up()  # the two have parted
    if timezone.now() - last.asked_at > transfers.OPEN_AT_MOST:
        transfers.failed(last.pk, "no-answer")
        return None
    transfers.rings(last.pk)
    warm = last.kind == Transfer.Kind.WARM
    return twiml.put_through(
        to=last.to_number,
        caller_id=call.our_number,
        ring_s=RING_S[Transfer.Kind(last.kind)],
        longest_s=LONGEST_S,
        then_url=url_of(last, "after"),
        progress_url=url_of(last, "leg"),
        whisper_url=url_of(last, "whisper") if warm else "",
    )


def url_of(transfer: Transfer, what: str, query: str = "") -> str:
    return f"{settings.PUBLIC_URL}/twilio/transfer/{what}/?t={transfer.token}{query}"
