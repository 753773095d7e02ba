"""What is known as texts come in, in one question to the database for all of them.

Written as SQL: a hundred texts a second come in here, and building this query with the ORM takes
longer than all the rest of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from accounts.suppression import number_hashes
from sms.models import Arrival, Thread

# A machine that answers our answers shows within this time.
LOOK_BACK = timedelta(hours=1)
# As many times the same words in a row: a machine is at the other end.
SAME_WORDS = 3

_LOOK = """
    SELECT
        thread.*,
        asked.place,
        EXISTS (
            SELECT 1 FROM sms_message AS one
            WHERE one.account_id = thread.account_id AND one.carrier_sid = asked.carrier_sid
        ) AS seen,
        EXISTS (
            SELECT 1 FROM accounts_suppression AS entry
            WHERE entry.account_id = thread.account_id
                AND entry.number_hash = ANY(string_to_array(asked.number_hashes, ' '))
                AND entry.lifted_at IS NULL AND entry.scope IN ('all', 'text')
        ) AS suppressed,
        (
            SELECT count(*) FROM sms_message AS answer
            WHERE answer.thread_id = thread.id AND answer.origin = 'auto_reply'
                AND answer.created_at > asked.since
        ) AS answers,
        ARRAY (
            SELECT text.body FROM sms_message AS text
            WHERE text.thread_id = thread.id AND text.direction = 'inbound'
                AND text.created_at > asked.since
            ORDER BY text.created_at DESC, text.id DESC
            LIMIT %(before)s
        ) AS bodies
    FROM unnest(
        %(places)s::int[], %(accounts)s::bigint[], %(our_numbers)s::text[],
        %(their_numbers)s::text[], %(carrier_sids)s::text[], %(number_hashes)s::text[],
        %(since)s::timestamptz[]
    ) AS asked(place, account_id, our_number, their_number, carrier_sid, number_hashes, since)
    JOIN sms_thread AS thread
        ON thread.account_id = asked.account_id AND thread.our_number = asked.our_number
        AND thread.their_number = asked.their_number
    ORDER BY thread.id
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
        if self.answers >= most_answers:
            return True
        # A person sends several pictures, or says hello until somebody answers.
        said = [one.strip().lower() for one in (body, *self.bodies)]
        same = len(said) == SAME_WORDS and len(set(said)) == 1 and said[0] != ""
        return same and self.answers > 0


def look(arrivals: Sequence[Arrival]) -> list[Sight]:
    """Lock the threads of texts, made where there are none, and look around; in the texts' order.

    No two of the texts are of the same number and person.
    """
    asked = dict(enumerate(arrivals))
    found = _look(asked)
    if missing := {place: one for place, one in asked.items() if place not in found}:
        Thread.objects.bulk_create(
            [
                Thread(
                    account=one.number.account,
                    number=one.number,
                    our_number=one.number.phone_number,
                    their_number=one.from_number,
                )
                for one in missing.values()
            ],
            ignore_conflicts=True,  # another text of theirs came at the same time
        )
        found |= _look(missing)
    for place, one in asked.items():
        thread, number = found[place].thread, one.number
        if thread.number_id != number.pk:  # it was removed and imported again
            Thread.objects.filter(pk=thread.pk).update(number=number)
        thread.account, thread.number = number.account, number
        if thread.agent_id is not None and thread.agent_id == number.agent_id:
            thread.agent = number.agent
    return [found[place] for place in asked]


def _look(asked: Mapping[int, Arrival]) -> dict[int, Sight]:
    texts = asked.values()
    rows: Any = Thread.objects.raw(
        _LOOK,
        {
            "places": list(asked),
            "accounts": [one.number.account_id for one in texts],
            "our_numbers": [one.number.phone_number for one in texts],
            "their_numbers": [one.from_number for one in texts],
            "carrier_sids": [one.carrier_sid for one in texts],
            "number_hashes": [
                " ".join(number_hashes(one.number.account, one.from_number)) for one in texts
            ],
            "since": [one.at - LOOK_BACK for one in texts],
            "before": SAME_WORDS - 1,
        },
    )
    return {
        row.place: Sight(row, row.seen, row.suppressed, row.answers, tuple(row.bodies))
        for row in rows
    }
