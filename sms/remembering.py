"""Texts as notes: what a later call, or a text through another number, may know of them."""

from agents import history
from agents.models import Note
from sms.models import Message

# Nothing that somebody meant to say: the carrier's keywords, machines, our own confirmations.
_UNSAID = frozenset({Message.Reply.KEYWORD, Message.Reply.AUTOMATIC})

_QUOTES = str.maketrans("“”", '""')


def remember_received(message: Message) -> None:
    """Keep what a person wrote."""
    if message.reply not in _UNSAID:
        _remember(message, person=message.from_number)


def remember_sent(message: Message) -> None:
    """Keep what we wrote, once the carrier has sent it on."""
    if message.origin != Message.Origin.OPT_OUT:
        _remember(message, person=message.to_number)


def forget_unsent(message: Message) -> None:
    """It did not reach them after all."""
    history.forget_source(message.account, message.message_id)


def _quoted(words: str) -> str:
    """Mark somebody's very words as such: nothing in them ends the mark."""
    return f"“{words.translate(_QUOTES)}”"


def _remember(message: Message, *, person: str) -> None:
    inbound = message.direction == Message.Direction.INBOUND
    words = " ".join(message.body.split()) or ("sent a picture or file" if message.media else "")
    if not words:
        return
    history.remember(
        message.account,
        person=person,
        our_number=message.to_number if inbound else message.from_number,
        kind=Note.Kind.TEXT,
        source=message.message_id,
        at=message.sent_at or message.created_at,
        text=_quoted(words) if message.body.strip() else words,
        is_outbound=not inbound,
        is_new=inbound,
    )
