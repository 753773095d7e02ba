"""Texts as notes: what a later call, or a text through another number, may know of them; and what
campaigns know of those that were erased."""

from collections.abc import Iterable

from django.db.models import OuterRef, QuerySet, Subquery

from agents import history
from agents.models import Note
from sms import failures
from sms.models import Message, TextRecipient

# Nothing that somebody meant to say: the carrier's keywords, machines, our own confirmations.
_UNSAID = frozenset({Message.Reply.KEYWORD, Message.Reply.AUTOMATIC})

_QUOTES = str.maketrans("“”", '""')


def remember_received(messages: Iterable[Message]) -> None:
    """Keep what people wrote just now."""
    history.remember_new(_noted(message) for message in messages if message.reply not in _UNSAID)


def remember_sent(messages: Iterable[Message]) -> None:
    """Keep what we wrote, once the carrier has sent it on."""
    history.remember_new(
        _noted(message) for message in messages if message.origin != Message.Origin.OPT_OUT
    )


def forget_unsent(message: Message) -> None:
    """It did not reach them after all."""
    history.forget_source(message.account, message.message_id)


def keep_outcomes(texts: QuerySet[Message]) -> None:
    """Leave with the people of campaigns what became of their texts, which are about to be
    erased."""
    people = TextRecipient.objects.filter(message__in=texts)
    status = Message.objects.filter(pk=OuterRef("message")).values("status")
    people.update(outcome=Subquery(status))
    people.filter(outcome=Message.Status.QUEUED).update(
        outcome=Message.Status.FAILED, error_message=failures.ERASED
    )


def _quoted(words: str) -> str:
    """Mark somebody's very words as such: nothing in them ends the mark."""
    return f"“{words.translate(_QUOTES)}”"


def _noted(message: Message) -> Note:
    inbound = message.direction == Message.Direction.INBOUND
    words = " ".join(message.body.split())
    if words:
        words = _quoted(words)
    elif message.media:
        words = "sent a picture or file"
    return Note(
        account=message.account,
        source=message.message_id,
        person=message.from_number if inbound else message.to_number,
        our_number=message.to_number if inbound else message.from_number,
        kind=Note.Kind.TEXT,
        at=message.sent_at or message.created_at,
        text=words,
        is_outbound=not inbound,
    )
