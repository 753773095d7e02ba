"""Texts come in: each stored once, and at once decided whether it gets an automatic answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Suppression
from accounts.refusals import Refusal, find_refusal
from accounts.suppression import BY_CARRIER, BY_TEXT, lift, suppress
from agents.effective import effective
from agents.models import Agent, PhoneNumber
from sms import news, nudges, segments
from sms.confirmations import confirmation
from sms.keywords import Keyword, is_from_machine, keyword_in
from sms.models import Arrival, Message, Thread
from sms.remembering import remember_received
from sms.services import send_text
from sms.sight import Sight, look

log = structlog.get_logger(__name__)

Reply = Message.Reply

MAY_REFUSE = "The person may not want to be contacted any more."


# Of as many threads as texts came in, in one statement.
_NOTE = """
    UPDATE sms_thread AS thread
    SET last_message_at = greatest(thread.last_message_at, text.at), unread = thread.unread + 1,
        answer_due_at = text.answer_due_at, answer_failures = text.answer_failures,
        needs_human = text.needs_human
    FROM unnest(
        %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::smallint[], %s::text[]
    ) AS text(thread_id, at, answer_due_at, answer_failures, needs_human)
    WHERE thread.id = text.thread_id
"""


def receive(arrival: Arrival) -> Message | None:
    """Store one text, as ``receive_all`` does; None if it was stored before.

    The text need not be a row, but its number is one of ``known_numbers``.
    """
    try:
        return next(iter(receive_all([arrival])), None)
    except IntegrityError:
        # Its copy came at the same time and was stored first; all that this one did is undone.
        account, sid = arrival.number.account, arrival.carrier_sid
        if Message.objects.filter(account=account, carrier_sid=sid).exists():
            return None
        raise


@transaction.atomic
def receive_all(arrivals: Sequence[Arrival]) -> list[Message]:
    """Store texts and have them answered, where they may be; return those not stored before.

    At most one of each number and person, with numbers as ``known_numbers`` has them.
    IntegrityError if one is stored elsewhere at the same time: then none is stored here.

    Who opts out, in a keyword or in plain words, is entered in the suppression ledger here, before
    anything is answered. The carrier's own keywords it answers itself; to others one confirmation
    goes out, and then nothing.
    """
    messages = [
        _settle(arrival, sight)
        for arrival, sight in zip(arrivals, look(arrivals), strict=True)
        if not sight.seen
    ]
    if not messages:
        return messages
    Message.objects.bulk_create(messages)
    remember_received(messages)
    threads = [message.thread for message in messages]
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE,
            [
                [thread.pk for thread in threads],
                [message.created_at for message in messages],
                [thread.answer_due_at for thread in threads],
                [thread.answer_failures for thread in threads],
                [thread.needs_human for thread in threads],
            ],
        )
    news.tell_received(messages)
    if any(message.reply == Reply.PENDING for message in messages):
        nudge = partial(nudges.answer, settings.SMS_ANSWER_AFTER_SECONDS)
        transaction.on_commit(nudge, robust=True)
    return messages


def _settle(arrival: Arrival, sight: Sight) -> Message:
    """Decide what a text gets for an answer; return it and its thread as they are to be stored."""
    number, body, thread = arrival.number, arrival.body, sight.thread
    size, agent = segments.size_of(body), thread.agent or number.agent
    message = Message(
        account=number.account,
        carrier_sid=arrival.carrier_sid,
        thread=thread,
        direction=Message.Direction.INBOUND,
        origin=Message.Origin.PERSON,
        agent=agent,
        agent_public_id=agent.agent_id if agent else "",
        from_number=arrival.from_number,
        to_number=number.phone_number,
        body=body,
        encoding=size.encoding,
        segments=size.segments,
        media=arrival.media,
        status=Message.Status.RECEIVED,
        created_at=arrival.at,
    )
    keyword, refusal = keyword_in(body, arrival.opt_out_type), find_refusal(body)
    if keyword is not None and (reply := _act_on(keyword, message, sight, number)):
        message.reply = reply
    elif refusal is not None and _enter(refusal, message, sight, number):
        message.reply = Reply.OPT_OUT
    else:
        message.reply = _decide(message, sight, number)
        if refusal is not None and refusal.needs_confirmation:
            # The model asks, or uses its tool; and a person looks.
            thread.needs_human = MAY_REFUSE
    if message.reply == Reply.PENDING:
        wait = timedelta(seconds=settings.SMS_ANSWER_AFTER_SECONDS)
        thread.answer_due_at, thread.answer_failures = timezone.now() + wait, 0
    elif message.reply in {Reply.OPT_OUT, Reply.LIMIT}:
        thread.answer_due_at = None  # nothing that waits is answered any more
        thread.messages.filter(reply=Reply.PENDING).update(reply=message.reply)
    if message.reply in FOR_HUMANS and not thread.needs_human:
        thread.needs_human = FOR_HUMANS[Reply(message.reply)]
    return message


def takes_effect_at_once(arrival: Arrival) -> bool:
    """Say whether a text changes what this person may be sent: a keyword, or a certain refusal."""
    if keyword_in(arrival.body, arrival.opt_out_type) is not None:
        return True
    refusal = find_refusal(arrival.body)
    return refusal is not None and not refusal.needs_confirmation


FOR_HUMANS = {
    Reply.WINDOW_CLOSED: "The person wrote after the reply window had closed.",
    Reply.UNSOLICITED: "The person wrote first.",
    Reply.NO_AGENT: "No active agent answers this number.",
    Reply.LIMIT: "The agent has answered too often: another machine may be at the other end.",
    Reply.HUMAN: "The person answered.",
    Reply.OFF: "Automatic answers are switched off.",
}


def _act_on(keyword: Keyword, message: Message, sight: Sight, number: PhoneNumber) -> str:
    """Do what a keyword asks; return "" if it turns out to be an ordinary word."""
    match keyword.meaning:
        case "stop":
            if _took_back(message, {"start"}):
                return Reply.KEYWORD
            is_new = opt_out(
                message,
                Suppression.Source.SMS_KEYWORD,
                phrase=" ".join(message.body.split())[:40],
            )
            if is_new and not keyword.carrier_answers:
                _confirm(message, sight, number, confirmation(keyword.language))
            return Reply.OPT_OUT
        case "start" | "yes":
            if _took_back(message, {"stop"}):
                return Reply.KEYWORD if keyword.meaning == "start" else ""
            # Of texts that are found late, the one that was written last counts.
            lifted = lift(
                number.account,
                message.from_number,
                sources=BY_TEXT if keyword.meaning == "start" else BY_CARRIER,
                until=message.created_at,
                by="the person, by text",
            )
            # Nothing to lift: "yes" is an answer to a question.
            return Reply.KEYWORD if lifted else ""
        case "help":
            return Reply.KEYWORD if keyword.carrier_answers else ""


def _took_back(message: Message, wishes: set[str]) -> bool:
    """Say whether the person wrote one of ``wishes`` after ``message``, which was found late."""
    later = Message.objects.inbound().filter(
        account=message.account,
        from_number=message.from_number,
        created_at__gt=message.created_at,
    )
    return any(_wish(body) in wishes for body in later.values_list("body", flat=True))


def _wish(body: str) -> str:
    if keyword := keyword_in(body):
        return keyword.meaning
    refusal = find_refusal(body)
    return "stop" if refusal is not None and not refusal.needs_confirmation else ""


def _enter(refusal: Refusal, message: Message, sight: Sight, number: PhoneNumber) -> bool:
    """Enter a certain refusal, and confirm it; return whether it is one of texts."""
    if refusal.needs_confirmation or _took_back(message, {"start"}):
        return False
    is_new = opt_out(
        message, Suppression.Source.SMS_PLAIN, phrase=refusal.phrase, scope=refusal.scope
    )
    if refusal.scope == Suppression.Scope.VOICE:
        return False
    if is_new:
        texts_only = refusal.scope == Suppression.Scope.TEXT
        words = confirmation(refusal.language, texts_only=texts_only)
        _confirm(message, sight, number, words)
    return True


def opt_out(
    message: Message, source: str, *, phrase: str, scope: str = Suppression.Scope.ALL
) -> bool:
    """Enter who wrote ``message`` in the suppression ledger; return whether that is news."""
    _, is_new = suppress(
        message.account,
        message.from_number,
        source=source,
        scope=scope,
        reason="Asked by text not to be contacted.",
        evidence={"message_id": message.message_id, "phrase": phrase, "text": message.body},
        at=message.created_at,
    )
    return is_new


def refuse_at_removed_number(accounts: Sequence[int], form: Mapping[str, str]) -> None:
    """Enter who answers a text of ours with a stop, though its number was removed meanwhile.

    ``form`` is the carrier's, and signed by these accounts. There is no number to store the text
    with, or to answer by.
    """
    body = form.get("Body", "")
    keyword, refusal = keyword_in(body, form.get("OptOutType", "")), find_refusal(body)
    if keyword is not None and keyword.meaning == "stop":
        source, scope, phrase = Suppression.Source.SMS_KEYWORD, Suppression.Scope.ALL, body[:40]
    elif refusal is not None and not refusal.needs_confirmation:
        source, scope = Suppression.Source.SMS_PLAIN, Suppression.Scope(refusal.scope)
        phrase = refusal.phrase
    else:
        return
    for thread in Thread.objects.select_related("account").filter(
        account__in=accounts, our_number=form.get("To", ""), their_number=form.get("From", "")
    ):
        suppress(
            thread.account,
            thread.their_number,
            source=source,
            scope=scope,
            reason="Asked by text not to be contacted.",
            evidence={"phrase": phrase, "text": body},
        )


def _confirm(message: Message, sight: Sight, number: PhoneNumber, words: str) -> None:
    # Whoever said so before was told once, by us or the carrier: from then on there is silence.
    if not sight.suppressed and not is_from_machine(message.from_number, message.body):
        send_text(
            number.account,
            agent=message.agent,
            number=number,
            to_number=message.from_number,
            body=words,
            origin=Message.Origin.OPT_OUT,
        )


def _decide(message: Message, sight: Sight, number: PhoneNumber) -> str:
    """Return whether an automatic answer is due, or why not."""
    thread = sight.thread
    if is_from_machine(message.from_number, message.body):
        return Reply.AUTOMATIC
    if sight.suppressed:
        return Reply.OPT_OUT
    if thread.taken_over_at is not None:
        return Reply.HUMAN
    agent = answering_agent(thread, number, message.created_at)
    if isinstance(agent, str):
        return agent
    if sight.is_loop(message.body, settings.SMS_ANSWERS_PER_HOUR):
        return Reply.LIMIT
    return Reply.PENDING


def answering_agent(thread: Thread, number: PhoneNumber, now: datetime) -> Agent | str:
    """Return the agent who may answer a text that came at ``now``, or why nobody may.

    Within the window it is the one of the newest text we started. A person who writes first is
    answered only where the number's own ``sms_reply_enabled`` says so.
    """
    if not number.account.is_active:
        return Reply.NO_AGENT
    started = thread.reply_until is not None
    if thread.is_open(now):
        agent = thread.agent or number.agent
        if agent is None or not agent.is_active:
            return Reply.NO_AGENT
        return agent if effective(agent, number).sms_reply_enabled else Reply.OFF
    if started and not settings.SMS_ANSWER_AFTER_WINDOW:
        return Reply.WINDOW_CLOSED
    if not number.sms_reply_enabled:
        return Reply.WINDOW_CLOSED if started else Reply.UNSOLICITED
    agent = number.agent
    return agent if agent is not None and agent.is_active else Reply.NO_AGENT
