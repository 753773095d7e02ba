"""A text campaign's life: made, changed, launched, called off."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone

from accounts.errors import ApiError, not_found_error
from accounts.models import Account
from accounts.suppression import TEXT, suppressed_among
from agents.models import Agent, PhoneNumber
from campaigns.intake import check, place_for
from campaigns.rows import Row
from sms import failures
from sms.models import Message, MessagePart, TextCampaign, TextRecipient, Thread
from sms.sending import call_off

Status = TextCampaign.Status
State = TextRecipient.State
# By name: what is enqueued here imports what calls this.
DISPATCH = "campaigns.tasks.dispatch_texts"
_INVALID_SHOWN = 20
_AT_ONCE = 1_000
_CONFIRMED = {Message.Status.DELIVERED}
_UNCONFIRMED = {Message.Status.FAILED, Message.Status.UNDELIVERED, Message.Status.SENT}
# People whose text went to the carrier; of those whose text was erased, as far as was known then.
WAS_SENT = Q(message__sent_at__isnull=False) | Q(
    outcome__in=[Message.Status.SENT, Message.Status.DELIVERED, Message.Status.UNDELIVERED]
)
FIELDS = frozenset(
    {
        "name",
        "message_template",
        "context_prompt",
        "scheduled_at",
        "reply_window_hours",
        "windows",
        "follow_law",
        "timezone",
    }
)


def find(account: Account, campaign_id: str) -> TextCampaign:
    """Return the account's campaign; ApiError ``campaign_not_found`` (404) for others' too."""
    found = None
    if "\0" not in campaign_id:
        found = TextCampaign.objects.filter(account=account, campaign_id=campaign_id).first()
    if found is None:
        raise _not_found()
    return found


def _not_found() -> ApiError:
    return not_found_error("campaign_not_found", "SMS campaign not found.")


@transaction.atomic
def create(
    account: Account,
    *,
    agent: Agent,
    number: PhoneNumber,
    rows: Iterable[Row],
    start: str,
    **fields: Any,
) -> TextCampaign:
    """Make a campaign of valid people, each once; ``start`` is now, schedule or draft.

    ApiError ``invalid_phone_format`` names the rows that cannot be used; then nothing is left.
    """
    campaign = TextCampaign(
        account=account,
        agent=agent,
        agent_public_id=agent.agent_id,
        number=number,
        from_number=number.phone_number,
        status=Status.SCHEDULED if start == "schedule" else Status.DRAFT,
        **fields,
    )
    if not campaign.name:
        campaign.name = f"Text campaign of {timezone.now():%Y-%m-%d %H:%M}"
    campaign.save()
    _add(campaign, rows)
    if start == "now":
        _start(campaign)
    return campaign


def _add(campaign: TextCampaign, rows: Iterable[Row]) -> None:
    people: dict[str, TextRecipient] = {}
    invalid: list[dict[str, Any]] = []
    for row in rows:
        if problem := check(row):
            invalid.append({"row_index": row.index, "phone": row.phone, "reason": problem})
            continue
        place = place_for(row)
        person = TextRecipient(
            campaign=campaign,
            row_index=row.index,
            phone=row.phone,
            variables={**({"name": row.name} if row.name else {}), **row.variables},
            zones=list(place.zones),
            law=place.law,
        )
        people.setdefault(row.phone, person)
    if invalid:
        raise ApiError(
            "invalid_phone_format",
            f"recipients.{invalid[0]['row_index']}: {invalid[0]['reason']} Nothing was created.",
            details={"invalid": invalid[:_INVALID_SHOWN], "invalid_count": len(invalid)},
        )
    for phone in suppressed_among(campaign.account, people, TEXT):
        people[phone].state, people[phone].error_message = State.FAILED, failures.SUPPRESSED
    TextRecipient.objects.bulk_create(people.values(), batch_size=_AT_ONCE)


def _locked(campaign_pk: int) -> TextCampaign:
    """Lock a campaign's row; ApiError ``campaign_not_found`` where it was deleted meanwhile."""
    campaign = TextCampaign.objects.select_for_update(no_key=True).filter(pk=campaign_pk).first()
    if campaign is None:
        raise _not_found()
    return campaign


def _start(campaign: TextCampaign) -> None:
    move(campaign, Status.RUNNING)
    transaction.on_commit(partial(current_app.send_task, DISPATCH), robust=True)


def move(campaign: TextCampaign, status: str) -> bool:
    """Move a campaign, whose row the caller holds, along ``TextCampaign.NEXT``; return whether it
    did."""
    if status not in TextCampaign.NEXT.get(campaign.status, ()):
        return False
    campaign.status = Status(status)
    now = timezone.now()
    if status == Status.RUNNING:
        campaign.started_at = now
    elif status in TextCampaign.ENDED:
        campaign.ended_at = now
    campaign.save(update_fields=["status", "started_at", "ended_at"])
    return True


@transaction.atomic
def launch(campaign_pk: int) -> TextCampaign:
    """Start a draft or scheduled campaign now.

    ApiError ``campaign_already_running``, ``campaign_already_done``, ``campaign_no_recipients``.
    """
    campaign = _locked(campaign_pk)
    if campaign.status == Status.RUNNING:
        raise ApiError("campaign_already_running", "This SMS campaign is running already.")
    if campaign.status in TextCampaign.ENDED:
        raise ApiError("campaign_already_done", "This SMS campaign is over.")
    if not campaign.recipients.exists():
        raise ApiError("campaign_no_recipients", "This SMS campaign has nobody to text.")
    _start(campaign)
    return campaign


@transaction.atomic
def start_if_due(campaign_pk: int, now: datetime) -> bool:
    """Start a scheduled campaign whose time has come; False if it is not."""
    campaign = _locked(campaign_pk)
    if campaign.status != Status.SCHEDULED or not campaign.scheduled_at:
        return False
    if campaign.scheduled_at > now:
        return False
    return move(campaign, Status.RUNNING)


@transaction.atomic
def edit(campaign_pk: int, *, rows: Iterable[Row] | None = None, **fields: Any) -> TextCampaign:
    """Change a campaign that has not begun; of one that has, only ``context_prompt``, also for the
    answers to what it has texted already.

    ``rows`` take the place of all people. ApiError ``campaign_not_editable``.
    """
    campaign = _locked(campaign_pk)
    if campaign.status not in {Status.DRAFT, Status.SCHEDULED} and (
        rows is not None or fields.keys() - {"context_prompt"}
    ):
        raise ApiError(
            "campaign_not_editable",
            "This SMS campaign has begun: only its context_prompt can still be changed.",
            details={"status": campaign.status},
        )
    for name, value in fields.items():
        setattr(campaign, name, value)
    if fields:
        campaign.save(update_fields=[*fields])
    if "context_prompt" in fields:
        _tell_context(campaign)
    if rows is not None:
        campaign.recipients.all().delete()
        _add(campaign, rows)
    return campaign


def _tell_context(campaign: TextCampaign) -> None:
    """Have answers to the texts that went out already know a campaign's context as it is now."""
    texts = Message.objects.filter(recipient__campaign=campaign).order_by("pk")
    # Locked in the order in which everybody does.
    pks = list(texts.select_for_update(no_key=True, of=("self",)).values_list("pk", flat=True))
    Message.objects.filter(pk__in=pks).update(context_prompt=campaign.context_prompt)
    newest = Message.objects.started().filter(thread=OuterRef("pk"), sent_at__isnull=False)
    threads = Thread.objects.filter(
        Exists(Message.objects.filter(pk__in=pks, thread=OuterRef("pk")))
    ).order_by("pk")
    held = threads.select_for_update(no_key=True, of=("self",)).annotate(
        newest=Subquery(newest.order_by("-sent_at", "-pk").values("pk")[:1])
    )
    ours = set(pks)
    told = [pk for pk, text in held.values_list("pk", "newest") if text in ours]
    Thread.objects.filter(pk__in=told).update(context_prompt=campaign.context_prompt)


@transaction.atomic
def delete(campaign_pk: int) -> int:
    """Delete a campaign and call off its texts, where the carrier has not got them yet; return how
    many people are not texted. Texts that were sent stay in their threads.

    ApiError ``campaign_already_done``.
    """
    campaign = _locked(campaign_pk)
    if campaign.status in TextCampaign.ENDED:
        raise ApiError("campaign_already_done", "This SMS campaign is over.")
    canceled = campaign.recipients.filter(state=State.PENDING).count()
    texts = Message.objects.filter(recipient__campaign=campaign).filter(
        Exists(MessagePart.objects.unsent().filter(message=OuterRef("pk")))
    )
    canceled += sum(call_off(pk) for pk in texts.values_list("pk", flat=True))
    campaign.delete()
    return canceled


def counts(campaigns: Iterable[TextCampaign]) -> dict[int, dict[str, int]]:
    """Return, by key, the counts of spec 4.5, as they are now: a text the carrier has sent on and
    not confirmed counts as failed."""
    delivered = Q(message__status__in=_CONFIRMED) | Q(outcome__in=_CONFIRMED)
    failed = (
        Q(state=State.FAILED) | Q(message__status__in=_UNCONFIRMED) | Q(outcome__in=_UNCONFIRMED)
    )
    # What people write is a reply to the newest text that we started.
    overtaken = Message.objects.started().filter(
        thread=OuterRef("thread"),
        sent_at__gt=OuterRef(OuterRef("message__sent_at")),
        sent_at__lt=OuterRef("created_at"),
    )
    reply = (
        Message.objects.inbound()
        .filter(thread=OuterRef("message__thread"), created_at__gt=OuterRef("message__sent_at"))
        .exclude(Exists(overtaken))
    )
    rows: Any = (
        TextRecipient.objects.filter(campaign__in=list(campaigns))
        .alias(replied=Exists(reply))
        .values("campaign")
        .annotate(
            total_count=Count("pk"),
            delivered_count=Count("pk", filter=delivered),
            failed_count=Count("pk", filter=failed),
            sent_count=Count("pk", filter=WAS_SENT),
            replied_count=Count("pk", filter=Q(replied=True)),
        )
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        numbers = {name: int(count) for name, count in row.items() if name != "campaign"}
        numbers["pending_count"] = (
            numbers["total_count"] - numbers["delivered_count"] - numbers["failed_count"]
        )
        found[row["campaign"]] = numbers
    return found
