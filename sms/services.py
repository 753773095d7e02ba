"""What can be done with texts and threads: send, take over, hand back, read."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import ApiError, missing_field, not_found_error
from accounts.hours.enforcement import refuse_outside_hours
from accounts.models import Account
from accounts.suppression import TEXT, refuse_if_suppressed
from agents.models import Agent, Note, PhoneNumber
from sms import nudges, segments
from sms.models import Message, MessagePart, Thread

# Whoever wrote within this time is answered at any hour.
CONVERSATION = timedelta(hours=24)


def request_text(
    account: Account,
    *,
    agent_id: str,
    to_number: str,
    body: str,
    from_number: str | None = None,
    **about: Any,
) -> Message:
    """Send a text as an API client asks for it: by ids and numbers.

    ``about`` is what ``send_text`` takes. What cannot be sent is an ApiError and leaves no row:
    ``agent_not_found``, ``from_number_not_owned``, ``missing_field``, ``message_too_long``, 403
    ``recipient_unsubscribed`` and, where the account keeps to calling hours,
    ``outside_calling_hours``.
    """
    agent = find_active_agent(account, agent_id)
    number = number_to_text_from(account, agent, from_number)
    refuse_if_suppressed(account, to_number, TEXT)
    refuse_outside_hours(account, to_number, agent.timezone)
    return send_text(
        account,
        agent=agent,
        number=number,
        to_number=to_number,
        body=body,
        origin=Message.Origin.API,
        **about,
    )


def find_active_agent(account: Account, agent_id: str) -> Agent:
    agent = Agent.objects.of(account).filter(agent_id=agent_id).first()
    if agent is None:
        raise not_found_error("agent_not_found", "Agent not found", "agent_id")
    if not agent.is_active:
        raise not_found_error("agent_not_found", "This agent is not active. Set is_active first.")
    return agent


def number_to_text_from(account: Account, agent: Agent, wanted: str | None) -> PhoneNumber:
    """Return the number asked for, whoever it is attached to, else the agent's only one."""
    if wanted:
        return find_outbound_number(account, wanted)
    own = list(_outbound(account).filter(agent=agent).order_by("created_at", "pk")[:2])
    if len(own) == 1:
        return own[0]
    why = "has several numbers" if own else "has no number of its own"
    raise ApiError(
        "missing_field",
        f"from_number required - this agent {why}, so specify which imported number to send from",
        details={"field": "from_number"},
    )


def find_outbound_number(account: Account, phone_number: str) -> PhoneNumber:
    """Return the account's number (E.164) that texts may go out by; ApiError
    ``from_number_not_owned`` for any other.
    """
    number = _outbound(account).filter(phone_number=phone_number).first()
    if number is None:
        raise ApiError(
            "from_number_not_owned",
            "from_number is not one of your imported numbers with outbound enabled.",
            details={"field": "from_number"},
        )
    return number


def _outbound(account: Account) -> QuerySet[PhoneNumber]:
    numbers = PhoneNumber.objects.of(account).filter(outbound_enabled=True)
    return numbers.select_related("carrier_account")


@transaction.atomic
def send_text(
    account: Account,
    *,
    agent: Agent | None,
    number: PhoneNumber,
    to_number: str,
    body: str,
    origin: str,
    context_prompt: str = "",
    reply_window_hours: int | None = None,
    plain_punctuation: bool = False,
    metadata: dict[str, Any] | None = None,
    campaign_id: str = "",
    call_id: str = "",
    written_by: str = "",
    answers: Message | None = None,
    not_before: datetime | None = None,
) -> Message:
    """Record a text in its thread and have a worker send it once the row is committed.

    The caller has checked that ``agent`` and ``number`` are the account's; ``to_number`` is E.164.
    Above 1,600 characters it goes in several parts, in order, cut at the ends of words. With
    ``plain_punctuation`` curly quotes, dashes and the like become GSM-7 look-alikes first. It waits
    until ``not_before``. Raises
    ApiError ``missing_field`` for no words, ``message_too_long`` for more than ten parts.
    """
    body = segments.fold(body).strip() if plain_punctuation else body.strip()
    if not body:
        raise missing_field("body")
    pieces = segments.split(body)
    if len(pieces) > segments.MOST_PARTS:
        longest = segments.MOST_PARTS * segments.LONGEST
        raise ApiError(
            "message_too_long",
            f"The text is {len(body)} characters long; at most {longest} are sent.",
            details={"field": "body", "max_length": longest, "length": len(body)},
        )
    sizes = [segments.size_of(piece) for piece in pieces]
    thread = answers.thread if answers is not None else find_thread(account, number, to_number)
    now = timezone.now()
    message = Message.objects.create(
        account=account,
        thread=thread,
        direction=Message.Direction.OUTBOUND,
        origin=origin,
        agent=agent,
        agent_public_id=agent.agent_id if agent else "",
        from_number=number.phone_number,
        to_number=to_number,
        body=body,
        encoding=max(size.encoding for size in sizes),  # UCS-2 if any part is
        segments=sum(size.segments for size in sizes),
        context_prompt=context_prompt,
        reply_window_hours=reply_window_hours or (agent.sms_reply_window_hours if agent else None),
        metadata=metadata or {},
        campaign_id=campaign_id,
        call_id=call_id,
        written_by=written_by,
        answers=answers,
        created_at=now,
    )
    MessagePart.objects.bulk_create(
        MessagePart(
            message=message,
            thread=thread,
            number=position,
            body=piece,
            segments=size.segments,
            send_after=not_before or now,
        )
        for position, (piece, size) in enumerate(zip(pieces, sizes, strict=True), 1)
    )
    Thread.objects.filter(pk=thread.pk).update(last_message_at=now)
    transaction.on_commit(nudges.send, robust=True)
    return message


def find_thread(account: Account, number: PhoneNumber, their_number: str) -> Thread:
    """Return the thread of this number and person, made if there is none, with the number as it is
    imported now."""
    thread, _ = Thread.objects.get_or_create(
        account=account,
        our_number=number.phone_number,
        their_number=their_number,
        defaults={"number": number},
    )
    if thread.number_id != number.pk:  # it was removed and imported again
        thread.number = number
        thread.save(update_fields=["number"])
    return thread


def text_from_call(
    *,
    agent: Agent,
    number: PhoneNumber,
    to_number: str,
    body: str,
    call_id: str,
    origin: str,
    not_before: datetime | None = None,
) -> Message | None:
    """Text the person of a call, during it (``Origin.IN_CALL``) or after it (``POST_CALL``).

    None, and nothing is sent, where the agent's ``incall_sms_enabled`` or
    ``post_call_sms_enabled`` is off. Raises ApiError 403 ``recipient_unsubscribed``, and what
    ``send_text`` raises.
    """
    allowed = {
        Message.Origin.IN_CALL: agent.incall_sms_enabled,
        Message.Origin.POST_CALL: agent.post_call_sms_enabled,
    }
    if not allowed[Message.Origin(origin)]:
        return None
    refuse_if_suppressed(agent.account, to_number, TEXT)
    return send_text(
        agent.account,
        agent=agent,
        number=number,
        to_number=to_number,
        body=body,
        origin=origin,
        call_id=call_id,
        not_before=not_before,
    )


def calls_with(thread: Thread) -> QuerySet[Note]:
    """What calls with the thread's person left, through any of our numbers, newest first; a note's
    ``source`` is the call's id."""
    notes = Note.objects.about(thread.account, thread.their_number)
    return notes.filter(kind=Note.Kind.CALL)


# --- operators ----------------------------------------------------------------------------------


def write_as_operator(thread: Thread, body: str, by: str) -> Message:
    """Send what an operator wrote, in the thread's name. It opens the reply window again, and what
    waited for an automatic answer has had one.

    Raises ApiError: 403 ``recipient_unsubscribed``, ``number_not_found``, what ``send_text``
    raises and, to whoever has not written for a day, what ``refuse_outside_hours`` raises.
    """
    number = thread.number
    if number is None:
        raise not_found_error(
            "number_not_found", "The number of this thread is not imported any more."
        )
    agent = thread.agent or number.agent
    refuse_if_suppressed(thread.account, thread.their_number, TEXT)
    lately = timezone.now() - CONVERSATION
    if not thread.messages.inbound().filter(created_at__gt=lately).exists():
        zone = agent.timezone if agent else settings.TIME_ZONE
        refuse_outside_hours(thread.account, thread.their_number, zone)
    with transaction.atomic():
        Thread.objects.filter(pk=thread.pk).update(needs_human="", unread=0, answer_due_at=None)
        thread.messages.filter(reply=Message.Reply.PENDING).update(reply=Message.Reply.HUMAN)
        return send_text(
            thread.account,
            agent=agent,
            number=number,
            to_number=thread.their_number,
            body=body,
            origin=Message.Origin.OPERATOR,
            context_prompt=thread.context_prompt,
            written_by=by,
        )


@transaction.atomic
def take_over(thread_pk: int, by: str) -> bool:
    """Keep the agent from answering this person until ``hand_back``; False if somebody has it.

    An answer that is being written is not sent any more.
    """
    thread = Thread.objects.select_for_update(no_key=True).get(pk=thread_pk)
    if thread.taken_over_at is not None:
        return False
    thread.taken_over_at, thread.taken_over_by = timezone.now(), by
    thread.answer_due_at = None
    thread.save(update_fields=["taken_over_at", "taken_over_by", "answer_due_at"])
    thread.messages.filter(reply=Message.Reply.PENDING).update(reply=Message.Reply.HUMAN)
    return True


@transaction.atomic
def hand_back(thread_pk: int) -> bool:
    """Let the agent answer again, from the person's next text on; False if it could already."""
    thread = Thread.objects.select_for_update(no_key=True).get(pk=thread_pk)
    if thread.taken_over_at is None:
        return False
    thread.taken_over_at, thread.taken_over_by, thread.needs_human = None, "", ""
    thread.save(update_fields=["taken_over_at", "taken_over_by", "needs_human"])
    return True


def mark_read(thread_pk: int) -> None:
    """Note that a person has seen all texts of the thread."""
    Thread.objects.filter(pk=thread_pk).exclude(unread=0).update(unread=0)
