"""What is known as a text comes in, in one question to the database.

Written as SQL: a hundred texts a second come in here, and building this query with the ORM takes
longer than all the rest of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.suppression import number_hash
from agents.models import PhoneNumber
from sms.models import Thread
from sms.services import find_thread

# A machine that answers our answers shows within this time.
LOOK_BACK = timedelta(hours=1)
# As many times the same words in a row: a machine is at the other end.
SAME_WORDS = 3

_LOOK = """
    SELECT
        thread.*,
        EXISTS (
            SELECT 1 FROM sms_message AS one
            WHERE one.account_id = thread.account_id AND one.carrier_sid = %(carrier_sid)s
        ) AS seen,
        EXISTS (
            SELECT 1 FROM accounts_suppression AS entry
            WHERE entry.account_id = thread.account_id AND entry.number_hash = %(number_hash)s
                AND entry.lifted_at IS NULL AND entry.scope IN ('all', 'text')
        ) AS suppressed,
        (
            SELECT count(*) FROM sms_message AS answer
            WHERE answer.thread_id = thread.id AND answer.origin = 'auto_reply'
                AND answer.created_at > %(since)s
        ) AS answers,
        ARRAY (
            SELECT text.body FROM sms_message AS text
            WHERE text.thread_id = thread.id AND text.direction = 'inbound'
                AND text.created_at > %(since)s
            ORDER BY text.created_at DESC, text.id DESC
            LIMIT %(before)s
        ) AS bodies
    FROM sms_thread AS thread
    WHERE thread.account_id = %(account)s AND thread.our_number = %(our_number)s
        AND thread.their_number = %(their_number)s
    FOR NO KEY UPDATE OF thread
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """A thread, locked, as one text to it comes in. Another text may have been stored while its row
    was waited for, so ``seen`` is certain only where it is true."""

    thread: Thread
    seen: bool  # the text was stored before
    suppressed: bool  # texts to the person are forbidden
    answers: int  # automatic ones in the last hour
    bodies: tuple[str, ...]  # the person's newest texts of the last hour, without this one

    def is_loop(self, body: str, most_answers: int) -> bool:
        """Say whether the other side looks like a machine that answers our answers."""
        said = [one.strip().lower() for one in (body, *self.bodies)]
        return self.answers >= most_answers or (len(said) == SAME_WORDS and len(set(said)) == 1)


def look(number: PhoneNumber, their_number: str, carrier_sid: str, now: datetime) -> Sight:
    """Lock the thread of a number and a person, made if there is none, and look around."""
    found = _look(number, their_number, carrier_sid, now)
    if found is None:
        Thread.objects.bulk_create(
            [
                Thread(
                    account=number.account,
                    number=number,
                    our_number=number.phone_number,
                    their_number=their_number,
                )
            ],
            ignore_conflicts=True,  # another text of theirs came at the same time
        )
        found = _look(number, their_number, carrier_sid, now)
    if found is None or found.thread.number_id != number.pk:
        find_thread(number.account, number, their_number)
        found = _look(number, their_number, carrier_sid, now)
        assert found is not None  # noqa: S101 (it was found or made just now)
    found.thread.account, found.thread.number = number.account, number
    if found.thread.agent_id is not None and found.thread.agent_id == number.agent_id:
        found.thread.agent = number.agent
    return found


def _look(number: PhoneNumber, their_number: str, carrier_sid: str, now: datetime) -> Sight | None:
    rows = Thread.objects.raw(
        _LOOK,
        {
            "account": number.account_id,
            "our_number": number.phone_number,
            "their_number": their_number,
            "carrier_sid": carrier_sid,
            "number_hash": number_hash(number.account, their_number),
            "since": now - LOOK_BACK,
            "before": SAME_WORDS - 1,
        },
    )
    for row in rows:
        seen: Any = row
        return Sight(row, seen.seen, seen.suppressed, seen.answers, tuple(seen.bodies))
    return None
