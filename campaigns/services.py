"""A campaign's life: created, launched, paused, finished. Nothing else writes its status."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.errors import ApiError, not_found_error
from accounts.models import Account
from agents.models import Agent, PhoneNumber
from calls.models import Call
from calls.services import number_to_call_from, withdraw
from campaigns import news, nudges
from campaigns.intake import Intake, take_in
from campaigns.models import Campaign, CampaignEvent, Recipient, RecipientCall
from campaigns.rows import Row

Status = Campaign.Status
# So many bad rows are kept with a campaign, for people to read.
INVALID_KEPT = 1_000
# Outcomes that "call the unanswered again" takes up.
UNANSWERED = (
    Recipient.Outcome.NO_ANSWER,
    Recipient.Outcome.BUSY,
    Recipient.Outcome.VOICEMAIL,
    Recipient.Outcome.FAILED,
)


def record(campaign: Campaign, kind: str, **data: Any) -> None:
    """Write down that something happened to ``campaign``, in the caller's transaction."""
    CampaignEvent.objects.create(campaign=campaign, kind=kind, data=data)


def find_campaign(account: Account, campaign_id: str) -> Campaign:
    """Return the account's campaign; ApiError ``campaign_not_found`` (404) for others' too."""
    found = None
    if "\0" not in campaign_id:
        found = Campaign.objects.of(account).filter(campaign_id=campaign_id).first()
    if found is None:
        raise not_found_error("campaign_not_found", "Campaign not found.")
    return found


def parties(account: Account, agent_id: str, from_number: str | None) -> tuple[Agent, PhoneNumber]:
    """Return who speaks and from which number, as for single calls.

    Raises ApiError ``agent_not_found`` (404), ``campaign_creation_failed`` for the number.
    """
    agent = Agent.objects.of(account).filter(agent_id=agent_id, is_active=True).first()
    if agent is None:
        raise not_found_error("agent_not_found", "Agent not found, or not active.", "agent_id")
    try:
        return agent, number_to_call_from(account, agent, from_number)
    except ApiError as error:
        raise ApiError(
            "campaign_creation_failed",
            f"The campaign was not created: {error.message}",
            details={"reason": error.code, "field": "from_number"},
        ) from error


@transaction.atomic
def create_campaign(
    account: Account, *, agent: Agent, number: PhoneNumber, name: str = "", **settings_: Any
) -> Campaign:
    """Make a draft, without people; ``intake.take_in`` adds them, ``launch`` or ``schedule`` starts
    it. ``settings_`` are fields of ``Campaign``."""
    now = timezone.now()
    campaign = Campaign.objects.create(
        account=account,
        agent=agent,
        agent_public_id=agent.agent_id,
        number=number,
        from_number=number.phone_number,
        name=name or f"Campaign of {now:%Y-%m-%d %H:%M}",
        **{"timezone": agent.timezone, **settings_},
    )
    record(campaign, "created")
    return campaign


@transaction.atomic
def add_people(
    campaign_pk: int, rows: Iterable[Row], progress: Callable[[int], None] | None = None
) -> Intake:
    """Add people to a campaign that is not over; bad rows are left out and reported.

    Raises ApiError ``campaign_wrong_state``, and what ``rows`` raise.
    """
    campaign = _locked(campaign_pk)
    if campaign.status in {Status.COMPLETED, Status.CANCELED, Status.FAILED}:
        raise _wrong_state(campaign, "given more people")
    intake = take_in(campaign, rows, progress=progress)
    campaign.intake = intake.as_json(shown=INVALID_KEPT)
    campaign.save(update_fields=["intake"])
    record(campaign, "recipients_added", added=intake.added, invalid=intake.invalid_count)
    _nudge(campaign)
    return intake


def _locked(campaign_pk: int) -> Campaign:
    return Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_pk)


def _move(campaign: Campaign, status: str, reason: str = "", **fields: Any) -> bool:
    """Move a locked campaign along ``NEXT``; return whether anything changed."""
    if status not in Campaign.NEXT.get(campaign.status, ()):
        return False
    campaign.status, campaign.status_reason = status, reason
    ends = status in {Status.COMPLETED, Status.CANCELED, Status.FAILED}
    fields = {"ended_at": timezone.now() if ends else None, **fields}
    for name, value in fields.items():
        setattr(campaign, name, value)
    campaign.save(update_fields=["status", "status_reason", *fields])
    record(campaign, status, **({"reason": reason} if reason else {}))
    news.tell(campaign)
    return True


def _nudge(campaign: Campaign) -> None:
    transaction.on_commit(nudges.dispatch, robust=True)


def credentials_problem(campaign: Campaign) -> str:
    """Return why nobody can be called from the campaign's number, else ""."""
    number = campaign.number
    if number is None or campaign.agent is None:
        return "The agent or the number to call from was deleted."
    if not campaign.account.is_active:
        return "The account is not active."
    if not campaign.agent.is_active:
        return f"The agent {campaign.agent} is not active. Set its is_active."
    if not number.outbound_enabled:
        return f"{number.phone_number} may not call out. Set its outbound_enabled."
    carrier = number.carrier_account
    if not (carrier.sid and carrier.auth_token):
        return f"{number.phone_number} has no Twilio credentials. Import it again with them."
    return ""


def launch(campaign_pk: int) -> Campaign:
    """Start a campaign now, whatever its schedule says; one that runs goes on as it is.

    Raises ApiError ``campaign_already_completed``, ``campaign_no_recipients`` and, with the
    campaign marked as failed, ``campaign_launch_failed``.
    """
    with transaction.atomic():
        campaign = _locked(campaign_pk)
        if campaign.status == Status.RUNNING:
            return campaign
        if campaign.status in {Status.COMPLETED, Status.CANCELED}:
            raise ApiError(
                "campaign_already_completed",
                f"This campaign is {campaign.status}. Create a new one.",
            )
        if not campaign.recipients.exists():
            raise ApiError("campaign_no_recipients", "This campaign has nobody to call.")
        problem = credentials_problem(campaign)
        if not problem:
            _start(campaign)
            return campaign
        _move(campaign, Status.FAILED, problem)
    raise ApiError(
        "campaign_launch_failed",
        f"The campaign was not started: {problem}",
        details={"campaign_id": campaign.campaign_id},
    )


def _start(campaign: Campaign, since: datetime | None = None) -> None:
    """Start a locked campaign; ``since`` is when it should have, where nobody asks for it now."""
    now = timezone.now()
    _move(
        campaign,
        Status.RUNNING,
        launched_at=campaign.launched_at or now,
        breaker_since=since or now,
    )
    _nudge(campaign)
    transaction.on_commit(partial(finish_if_done, campaign.pk), robust=True)


@transaction.atomic
def schedule(campaign_pk: int, starts_at: datetime) -> Campaign:
    """Have a draft start by itself at ``starts_at``, or at the first opening after it."""
    campaign = _locked(campaign_pk)
    if not _move(campaign, Status.SCHEDULED, starts_at=starts_at):
        raise _wrong_state(campaign, "scheduled")
    return campaign


@transaction.atomic
def start_if_due(campaign_pk: int, now: datetime) -> bool:
    """Start a scheduled campaign whose time has come; a campaign that cannot start has failed."""
    campaign = (
        Campaign.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(pk=campaign_pk, status=Status.SCHEDULED, starts_at__lte=now)
        .first()
    )
    if campaign is None:
        return False
    if problem := credentials_problem(campaign):
        _move(campaign, Status.FAILED, problem)
        return False
    _start(campaign, since=campaign.starts_at)
    return True


@transaction.atomic
def pause(campaign_pk: int, why: str = "Paused by hand.") -> Campaign:
    """Call nobody from now on. Calls that wait for a line are taken back; those that ring or talk
    go on to their end."""
    campaign = _locked(campaign_pk)
    if campaign.status != Status.PAUSED and not _move(campaign, Status.PAUSED, why):
        raise _wrong_state(campaign, "paused")
    _withdraw_waiting(campaign, why)
    return campaign


@transaction.atomic
def resume(campaign_pk: int) -> Campaign:
    """Go on with a paused campaign. What failed before no longer counts for the breaker."""
    campaign = _locked(campaign_pk)
    if campaign.status == Status.RUNNING:
        return campaign
    if campaign.status != Status.PAUSED:
        raise _wrong_state(campaign, "resumed")
    now = timezone.now()
    if campaign.launched_at is None and campaign.starts_at and campaign.starts_at > now:
        # Paused before its time: it waits for it again.
        campaign.status, campaign.status_reason = Status.SCHEDULED, ""
        campaign.save(update_fields=["status", "status_reason"])
        record(campaign, Status.SCHEDULED)
    else:
        _start(campaign)
    return campaign


@transaction.atomic
def cancel(campaign_pk: int) -> Campaign:
    """End a campaign for good: nobody else is called; calls that ring or talk go on to their
    end."""
    campaign = _locked(campaign_pk)
    if campaign.status != Status.CANCELED and not _move(
        campaign, Status.CANCELED, "Canceled by hand."
    ):
        raise _wrong_state(campaign, "canceled")
    campaign.recipients.filter(status=Recipient.Status.PENDING).update(
        status=Recipient.Status.CANCELED
    )
    _withdraw_waiting(campaign, "The campaign was canceled.")
    return campaign


def _withdraw_waiting(campaign: Campaign, why: str) -> None:
    waiting = Call.objects.filter(
        recipient_call__campaign=campaign,
        recipient_call__settled_at=None,
        status=Call.Status.QUEUED,
    )
    for pk in waiting.order_by("pk").values_list("pk", flat=True):
        withdraw(pk, why)


def on_call_put_back(sender: object, call_pk: int, **_: Any) -> None:
    """The receiver of ``calls.signals.call_put_back``: a call that was on its way to the carrier
    when its campaign was stopped, and did not get there, is taken back as those that waited."""
    stopped = Campaign.objects.filter(calls__call=call_pk).exclude(status=Status.RUNNING).first()
    if stopped is not None:
        withdraw(call_pk, stopped.status_reason)


@transaction.atomic
def retry_unanswered(campaign_pk: int) -> int:
    """Put whoever was not reached in their turn again, and go on; return how many it is.

    Raises ApiError ``campaign_no_recipients`` if everybody was reached.
    """
    campaign = _locked(campaign_pk)
    if campaign.status not in {Status.RUNNING, Status.PAUSED, Status.COMPLETED}:
        raise _wrong_state(campaign, "retried")
    again = campaign.recipients.filter(status=Recipient.Status.DONE, outcome__in=UNANSWERED).update(
        status=Recipient.Status.PENDING, due_at=timezone.now(), reason=""
    )
    if not again:
        raise ApiError("campaign_no_recipients", "Nobody is left unanswered.")
    record(campaign, "retrying", recipients=again)
    if campaign.status == Status.COMPLETED:
        _start(campaign)
    _nudge(campaign)
    return again


@transaction.atomic
def finish_if_done(campaign_pk: int) -> bool:
    """Complete a running campaign in which nobody waits and nobody is on the line."""
    open_ones = Recipient.objects.filter(
        campaign=campaign_pk, status__in=[Recipient.Status.PENDING, Recipient.Status.CALLING]
    )
    if open_ones.exists():
        return False
    campaign = _locked(campaign_pk)
    if campaign.status != Status.RUNNING or open_ones.exists():
        return False
    return _move(campaign, Status.COMPLETED)


def pause_because(campaign: Campaign, why: str) -> None:
    """Pause a campaign that is locked by the caller, by itself and for a reason shown to people."""
    if _move(campaign, Status.PAUSED, why):
        _withdraw_waiting(campaign, why)


def cost_micros(campaign: Campaign) -> int:
    """Return what the campaign's ended calls cost so far, in micro-dollars."""
    total = RecipientCall.objects.filter(campaign=campaign).aggregate(sum=Sum("cost_micros"))
    return total["sum"] or 0


def _wrong_state(campaign: Campaign, wanted: str) -> ApiError:
    return ApiError(
        "campaign_wrong_state",
        f"A campaign that is {campaign.status} cannot be {wanted}.",
        409,
        {"status": campaign.status},
    )
