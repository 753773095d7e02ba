"""What a campaign's call came to: written down once, by news or by the sweep, whatever is first."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.steps import by_itself
from calls.models import Call, DialAttempt
from calls.usage import price_micros
from campaigns import nudges
from campaigns.models import Campaign, Recipient, RecipientCall
from campaigns.services import finish_if_done

logger = logging.getLogger(__name__)

Outcome = Recipient.Outcome
# At another hour of the day: so much later than asked for, on top.
OTHER_HOUR = timedelta(hours=3)
# Dials to one person that vanished at the carrier; after so many the person counts as failed.
MOST_LOST = 3
_BY_STATUS = {
    Call.Status.COMPLETED: Outcome.ANSWERED,
    Call.Status.BUSY: Outcome.BUSY,
    Call.Status.NO_ANSWER: Outcome.NO_ANSWER,
    Call.Status.FAILED: Outcome.FAILED,
    Call.Status.CANCELED: Outcome.CANCELED,
}


def on_call_ended(sender: object, call_pk: int, **_: Any) -> None:
    """The receiver of ``calls.signals.call_ended``."""
    if settle(call_pk):
        nudges.dispatch_soon()


def outcome_of(call: Call) -> str:
    if call.voicemail_detected:
        return Outcome.VOICEMAIL
    if call.answered_at is not None:
        return Outcome.ANSWERED  # however it ended: who has talked to us is not called as unreached
    return _BY_STATUS[Call.Status(call.status)]


def settle(call_pk: int, now: datetime | None = None) -> bool:
    """Write down what a campaign's call came to; False if it is no campaign's, not over, or known
    already.

    Whoever was not reached and may be tried again goes back to pending; so does, without counting
    as a try, somebody whose call was withdrawn before it rang.
    """
    with transaction.atomic():
        made = (
            RecipientCall.objects.select_for_update(of=("self",))
            .select_related("call", "campaign")
            .filter(call=call_pk, settled_at=None)
            .first()
        )
        if made is None or made.call is None or not made.call.is_over:
            return False
        _settle(made, made.call, now or timezone.now())
    finish_if_done(made.campaign_id)
    return True


def _settle(made: RecipientCall, call: Call, now: datetime) -> None:
    recipient = Recipient.objects.select_for_update().get(pk=made.recipient_id)
    withdrawn = _rang_nowhere(call) and _times_lost(recipient) < MOST_LOST
    made.outcome = "" if withdrawn else outcome_of(call)
    made.cost_micros = price_micros(call.charged_minutes)
    made.settled_at = now
    made.save(update_fields=["outcome", "cost_micros", "settled_at"])
    if recipient.status != Recipient.Status.CALLING:
        return
    campaign = made.campaign
    over = campaign.status in {Campaign.Status.CANCELED, Campaign.Status.FAILED}
    if withdrawn:
        recipient.status = Recipient.Status.CANCELED if over else Recipient.Status.PENDING
        recipient.due_at = now
    elif (again := None if over else _again_at(campaign, recipient, made.outcome, now)) is not None:
        recipient.status, recipient.due_at = Recipient.Status.PENDING, again
        recipient.outcome = made.outcome
    else:
        recipient.status, recipient.outcome = Recipient.Status.DONE, made.outcome
        recipient.reason = call.error_message
    recipient.save(update_fields=["status", "outcome", "due_at", "reason"])


def _rang_nowhere(call: Call) -> bool:
    """Whether the call was withdrawn before the carrier had it, or the carrier never had it."""
    attempts = list(call.attempts.order_by("number"))
    if any(attempt.status in DialAttempt.OPEN for attempt in attempts):
        return False
    lost = bool(attempts) and attempts[-1].status == DialAttempt.Status.LOST
    return lost or call.status == Call.Status.CANCELED


def _times_lost(recipient: Recipient) -> int:
    return DialAttempt.objects.filter(
        call__recipient_call__recipient=recipient, status=DialAttempt.Status.LOST
    ).count()


def _again_at(
    campaign: Campaign, recipient: Recipient, outcome: str, now: datetime
) -> datetime | None:
    rule = campaign.retries.get(outcome)
    if not rule:
        return None
    tried = RecipientCall.objects.filter(recipient=recipient, outcome=outcome).count()
    if tried > int(rule["times"]):
        return None
    pause = timedelta(minutes=int(rule["after_minutes"]))
    return now + pause + (OTHER_HOUR if rule.get("other_hour") else timedelta())


def sweep(now: datetime | None = None) -> int:
    """Settle what no news told of, and finish what is done; return how many calls it was."""
    now = now or timezone.now()
    over = RecipientCall.objects.filter(settled_at=None, call__status__in=Call.TERMINAL)
    settled = 0
    for pk in over.values_list("call_id", flat=True)[:1000]:
        with by_itself(f"settling call {pk} of a campaign"):
            settled += bool(pk) and settle(pk, now)
    # A call that was erased while nobody had written down what it came to.
    for made in RecipientCall.objects.filter(settled_at=None, call=None)[:1000]:
        with by_itself(f"settling erased call {made.pk} of a campaign"):
            _settle_erased(made.pk, now)
    running = Campaign.objects.filter(status=Campaign.Status.RUNNING)
    for pk in running.values_list("pk", flat=True):
        with by_itself(f"finishing campaign {pk}"):
            finish_if_done(pk)
    return settled


@transaction.atomic
def _settle_erased(made_pk: int, now: datetime) -> None:
    made = RecipientCall.objects.select_for_update().get(pk=made_pk)
    if made.settled_at is not None:
        return
    made.outcome, made.settled_at = Outcome.CANCELED, now
    made.save(update_fields=["outcome", "settled_at"])
    Recipient.objects.filter(pk=made.recipient_id, status=Recipient.Status.CALLING).update(
        status=Recipient.Status.DONE, outcome=Outcome.CANCELED, reason="The call was erased."
    )
