"""Hands a running campaign's texts to the queue, a few at a time, at each person's hours."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.hours.enforcement import PATIENCE
from accounts.suppression import TEXT, is_suppressed
from agents.variables import substitute
from campaigns.texts.services import WAS_SENT, State, Status, move, start_if_due
from sms import failures
from sms.hours import next_hours
from sms.models import Message, MessagePart, TextCampaign, TextRecipient
from sms.services import send_text

logger = logging.getLogger(__name__)

# So many texts of a number wait to be sent: more would hold up what people are answered …
AHEAD = 5
# … and so many seconds' worth, where a number may send faster: runs come every two seconds.
AHEAD_S = 3
# Whose row broke comes again so much later.
AGAIN_AFTER = timedelta(minutes=5)


def dispatch_all(now: datetime | None = None) -> int:
    """Start what is due, hand on the next texts of all running campaigns, and end those that are
    through; return how many texts were handed on. Safe to run at once, any number of times."""
    now = now or timezone.now()
    due = TextCampaign.objects.filter(status=Status.SCHEDULED, scheduled_at__lte=now)
    for pk in due.values_list("pk", flat=True):
        try:
            start_if_due(pk, now)
        except Exception:  # one campaign's trouble must not stop the others
            logger.exception("cannot start text campaign %s", pk)
    handed = 0
    running = TextCampaign.objects.filter(status=Status.RUNNING).order_by("started_at", "pk")
    for pk in running.values_list("pk", flat=True):
        try:
            handed += dispatch(pk, now)
        except Exception:  # likewise
            logger.exception("cannot dispatch text campaign %s", pk)
    return handed


@transaction.atomic
def dispatch(campaign_pk: int, now: datetime) -> int:
    """Hand on one campaign's next texts; return how many."""
    campaign = (
        TextCampaign.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .select_related("account", "agent", "number")
        .filter(pk=campaign_pk, status=Status.RUNNING)
        .first()
    )
    if campaign is None or _is_switched_off(campaign):
        return 0
    # Those held until their person's hours open take nobody's place.
    waiting = MessagePart.objects.unsent().filter(
        thread__our_number=campaign.from_number, send_after__lte=now
    )
    ahead = max(AHEAD, AHEAD_S * settings.SMS_PER_NUMBER_PER_SECOND)
    room, handed = ahead - waiting.count(), 0
    pending = campaign.recipients.filter(state=State.PENDING, send_after__lte=now)
    is_late = room > 0 and _stood_still(campaign, now)
    # Those outside their hours are put off, and cost no room.
    for person in pending.order_by("send_after", "pk")[: ahead * 20]:
        if handed >= room:
            break
        try:
            with transaction.atomic():
                handed += _hand(campaign, person, now, is_late=is_late)
        except Exception:  # one person's trouble must not stop those behind
            logger.exception("cannot text person %s of campaign %s", person.pk, campaign.pk)
            TextRecipient.objects.filter(pk=person.pk).update(send_after=now + AGAIN_AFTER)
    if not campaign.recipients.filter(state=State.PENDING).exists():
        _end(campaign)
    return handed


def _is_switched_off(campaign: TextCampaign) -> bool:
    """Whether it waits until somebody switches its account, agent or number on again. One whose
    agent or number was removed goes on as far as it can."""
    account, agent, number = campaign.account, campaign.agent, campaign.number
    return not (
        account.is_active
        and (agent is None or agent.is_active)
        and (number is None or number.outbound_enabled)
    )


def _stood_still(campaign: TextCampaign, now: datetime) -> bool:
    """Whether somebody was due for ``PATIENCE``, and nobody's text was handed on for as long."""
    before = now - PATIENCE
    started_at = [at for at in (campaign.started_at, campaign.scheduled_at) if at is not None]
    if min(started_at, default=now) > before:
        return False
    if not campaign.recipients.filter(state=State.PENDING, send_after__lte=before).exists():
        return False
    handed = Message.objects.filter(recipient__campaign=campaign).order_by("-pk")
    last = handed.values_list("created_at", flat=True).first()
    return last is None or last <= before


def _hand(campaign: TextCampaign, person: TextRecipient, now: datetime, *, is_late: bool) -> bool:
    """Text a person, if it is their hours; return whether it was done. Of a campaign that stood
    still they are the lawful ones."""
    if opens_at := next_hours(campaign, person, now, lawful=is_late):
        person.send_after = opens_at
        person.save(update_fields=["send_after"])
        return False
    if campaign.number is None:
        return _fail(person, failures.NO_NUMBER)
    if is_suppressed(campaign.account, person.phone, TEXT):
        return _fail(person, failures.SUPPRESSED)
    try:
        person.message = send_text(
            campaign.account,
            agent=campaign.agent,
            number=campaign.number,
            to_number=person.phone,
            body=rendered(campaign, person),
            origin=Message.Origin.CAMPAIGN,
            context_prompt=campaign.context_prompt,
            reply_window_hours=campaign.reply_window_hours,
            campaign_id=campaign.campaign_id,
        )
    except ApiError as error:
        return _fail(person, error.message)
    person.state = State.HANDED
    person.save(update_fields=["message", "state"])
    return True


def _fail(person: TextRecipient, why: str) -> bool:
    person.state, person.error_message = State.FAILED, why
    person.save(update_fields=["state", "error_message"])
    return False


def rendered(campaign: TextCampaign, person: TextRecipient) -> str:
    """Return the template with this person's variables; unknown placeholders stay as they are."""
    return substitute(campaign.message_template, person.variables)


def _end(campaign: TextCampaign) -> None:
    """End a campaign once the carrier has, or has refused, each of its texts."""
    texts = Message.objects.filter(recipient__campaign=campaign)
    if MessagePart.objects.unsent().filter(message__in=texts).exists():
        return
    move(campaign, Status.DONE if campaign.recipients.filter(WAS_SENT).exists() else Status.FAILED)
