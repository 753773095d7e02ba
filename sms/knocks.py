"""The carrier's knocks about texts, checked and committed as they came: texts that people wrote,
and reports on texts of ours. What they mean is found out by a worker.

Written as SQL, many at a time: a hundred a second come in here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

import structlog
from django.conf import settings
from django.utils import timezone

from accounts.encryption import decrypted
from carriers import twilio
from carriers.knocks import whole_number
from sms.inbound import refuse_at_removed_number
from sms.intake_connection import Database, beside
from sms.models import Arrival
from sms.statuses import STATUS, rank

log = structlog.get_logger(__name__)

_MEDIA_AT_MOST = 10
_token = lru_cache(maxsize=1_000)(decrypted)


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as it came: where (path and query), what, and by what it is signed."""

    path: str
    query: str
    form: Mapping[str, str]
    signature: str

    def is_signed(self, ciphertext: str) -> bool:
        """Say whether the carrier signed it with this auth token, which is at rest."""
        # What was signed is the address as the carrier knows it, query included.
        url = f"{settings.PUBLIC_URL}{self.path}" + (f"?{self.query}" if self.query else "")
        return twilio.verify_signature(_token(ciphertext), url, self.form, self.signature)

    @property
    def sid(self) -> str:
        """The carrier's id of the text."""
        return self.form["MessageSid"][:64]


# What a knock comes to: a text that is stored now; True if a worker has something to do; False if
# there is nothing to be done about it; None if it is not signed.
type Outcome = Arrival | bool | None


# --- texts that people wrote ----------------------------------------------------------------------

_NUMBERS = """
    SELECT number.phone_number, number.id, carrier.sid, carrier.auth_token
    FROM agents_phonenumber AS number
    JOIN accounts_carrieraccount AS carrier ON carrier.id = number.carrier_account_id
    WHERE number.phone_number = ANY(%s)
"""
# Stored is only what was checked against its number's carrier as that is now.
_STORE_TEXTS = """
    WITH checked AS (
        SELECT text.* FROM unnest(
            %s::int[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::jsonb[], %s::text[], %s::timestamptz[]
        ) AS text(
            place, number_id, phone_number, account_sid, auth_token, carrier_sid, from_number,
            body, media, opt_out_type, at
        )
        JOIN agents_phonenumber AS number
            ON number.id = text.number_id AND number.phone_number = text.phone_number
        JOIN accounts_carrieraccount AS carrier
            ON carrier.id = number.carrier_account_id AND carrier.sid = text.account_sid
            AND carrier.auth_token = text.auth_token
    ), stored AS (
        INSERT INTO sms_arrival
            (number_id, carrier_sid, from_number, body, media, opt_out_type, at, due_at, failures)
        SELECT number_id, carrier_sid, from_number, body, media, opt_out_type, at, at, 0
        FROM checked
        ORDER BY place
        ON CONFLICT (number_id, carrier_sid) DO NOTHING
    )
    SELECT place FROM checked
"""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of ours, as it was when it was last asked about, and who may bring its texts."""

    pk: int
    account_sid: str
    ciphertext: str


_known: dict[str, _Number] = {}
_KNOWN_AT_MOST = 10_000


async def store_texts(knocks: Sequence[Knock], database: Database) -> list[Outcome]:
    """Commit those texts that are signed; return what each came to.

    In one statement, where their numbers are known here and have not changed.
    """
    outcomes = await _store_checked(knocks, _known, database)
    # Of a number not known here, or known wrongly; or not signed.
    if again := [place for place, one in enumerate(outcomes) if one is None]:
        rest = [knocks[place] for place in again]
        numbers = await _ask_numbers(rest, database)
        stored = await _store_checked(rest, numbers, database)
        for place, knock, one in zip(again, rest, stored, strict=True):
            is_known = knock.form.get("To", "") in numbers
            outcomes[place] = one if is_known else await _of_unknown_number(knock, database)
    return outcomes


async def _ask_numbers(knocks: Sequence[Knock], database: Database) -> dict[str, _Number]:
    rows = await database.rows(_NUMBERS, [[knock.form.get("To", "") for knock in knocks]])
    found = {phone_number: _Number(*fields) for phone_number, *fields in rows}
    if len(_known) > _KNOWN_AT_MOST:
        _known.clear()
    _known.update(found)
    return found


async def _store_checked(
    knocks: Sequence[Knock], numbers: Mapping[str, _Number], database: Database
) -> list[Outcome]:
    """Commit the texts that their number's carrier signed, going by ``numbers``, if those are still
    so; None for the others."""
    outcomes: list[Outcome] = [None] * len(knocks)
    rows = []
    for place, knock in enumerate(knocks):
        to = knock.form.get("To", "")
        if (number := numbers.get(to)) is None or (text := _text(knock, number)) is None:
            continue
        outcomes[place] = text
        rows.append(
            (
                *(place, number.pk, to, number.account_sid, number.ciphertext),
                *(text.carrier_sid, text.from_number, text.body, json.dumps(text.media)),
                *(text.opt_out_type, text.at),
            )
        )
    if not rows:
        return outcomes
    columns = [list(column) for column in zip(*rows, strict=True)]
    stored = {place for (place,) in await database.rows(_STORE_TEXTS, columns)}
    return [one if place in stored else None for place, one in enumerate(outcomes)]


def _text(knock: Knock, number: _Number) -> Arrival | None:
    form = knock.form
    if number.account_sid != form.get("AccountSid") or not knock.is_signed(number.ciphertext):
        return None
    return Arrival(
        number_id=number.pk,
        carrier_sid=knock.sid,
        from_number=form.get("From", "")[:64],
        body=form.get("Body", ""),
        media=_media(form),
        opt_out_type=form.get("OptOutType", "")[:20],
        at=timezone.now(),
    )


async def _of_unknown_number(knock: Knock, database: Database) -> Outcome:
    """Say whether an account of ours brought it: then it need not be brought again."""
    rows = await database.rows(
        "SELECT account_id, auth_token FROM accounts_carrieraccount WHERE sid = %s",
        [knock.form.get("AccountSid", "")],
    )
    accounts = [pk for pk, ciphertext in rows if knock.is_signed(ciphertext)]
    if not accounts:
        return None
    log.warning("text_to_unknown_number", message_sid=knock.sid)
    await beside(refuse_at_removed_number, accounts, knock.form)
    return False


def _media(form: Mapping[str, str]) -> list[dict[str, str]]:
    found = min(whole_number(form.get("NumMedia", "")) or 0, _MEDIA_AT_MOST)
    return [
        {
            "url": form.get(f"MediaUrl{position}", ""),
            "content_type": form.get(f"MediaContentType{position}", ""),
        }
        for position in range(found)
    ]


# --- reports on texts of ours ---------------------------------------------------------------------

# By the token in the callback's address. A report may be the last thing that is heard through a
# number that was removed, or imported from elsewhere: any of the owner's carrier accounts may have
# signed it.
_PARTS = """
    SELECT part.token, part.id, part.carrier_sid, part.status, carrier.sid, carrier.auth_token
    FROM sms_messagepart AS part
    JOIN sms_thread AS thread ON thread.id = part.thread_id
    JOIN accounts_carrieraccount AS carrier ON carrier.account_id = thread.account_id
    WHERE part.token = ANY(%s)
"""
_STORE_REPORTS = """
    INSERT INTO sms_report (part_id, carrier_sid, word, error_code, at, due_at, failures)
    SELECT report.*, now(), now(), 0
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::int[])
        AS report(part_id, carrier_sid, word, error_code)
    JOIN sms_messagepart AS part ON part.id = report.part_id  -- else erased meanwhile
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text of ours, as it was read a moment ago, and who may report on it."""

    pk: int
    carrier_sid: str
    status: str
    account_sid: str
    ciphertext: str


async def store_reports(knocks: Sequence[Knock], database: Database) -> list[Outcome]:
    """Commit those reports that are signed and that are news, in one statement; return what each
    came to."""
    tokens = [parse_qs(knock.query).get("p", [""])[-1] for knock in knocks]
    found = await database.rows(_PARTS, [[token.replace("\0", "") for token in tokens]])
    parts: dict[tuple[str, str], _Part] = {}
    for token, *fields in found:
        part = _Part(*fields)
        parts[token, part.account_sid] = part
    outcomes: list[Outcome] = []
    rows: list[tuple[int, str, str, int | None]] = []
    for token, knock in zip(tokens, knocks, strict=True):
        known = parts.get((token, knock.form.get("AccountSid", "")))
        if known is None or not knock.is_signed(known.ciphertext):
            outcomes.append(None)
            continue
        word = knock.form.get("MessageStatus", "")[:20]
        # A part whose message at the carrier is not known yet learns it, whatever the word.
        is_news = not known.carrier_sid or (
            known.carrier_sid == knock.sid and rank(STATUS.get(word, "")) > rank(known.status)
        )
        outcomes.append(is_news)
        if is_news:
            error_code = whole_number(knock.form.get("ErrorCode", ""))
            rows.append((known.pk, knock.sid, word, error_code))
    if rows:
        await database.rows(_STORE_REPORTS, [list(column) for column in zip(*rows, strict=True)])
    return outcomes
