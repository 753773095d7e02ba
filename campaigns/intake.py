"""Taking people into a campaign: any number of rows, checked one by one, copied in batches.

Memory stays flat and the database does the merging: rows go by COPY into a table of this
transaction, and from there, the first of each number, into the campaign.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.hours.zones import Place, is_timezone, place_of
from accounts.phone_numbers import parse_e164
from accounts.suppression import suppressed_among
from campaigns.models import Campaign, Recipient, ZoneGroup
from campaigns.rows import Row

AT_ONCE = 5_000
# So many rows that cannot be used are shown; the rest is counted.
INVALID_SHOWN = 10_000
LONGEST_PROMPT = 16_000
SUPPRESSED = "This person asked not to be called."
_COLUMNS = "grp, row_index, phone, name, variables, prompt_override, metadata, status, reason"


@dataclass(slots=True)
class Intake:
    """What came in. ``invalid``: ``{"phone", "reason", "row_index"}``, of a CSV also ``line``."""

    rows: int = 0
    added: int = 0
    suppressed: int = 0
    duplicates: int = 0
    differing: int = 0  # duplicates with other variables than the row that is kept
    invalid_count: int = 0
    invalid: list[dict[str, Any]] = field(default_factory=list)

    @property
    def valid(self) -> int:
        return self.rows - self.invalid_count

    def as_json(self, shown: int = INVALID_SHOWN) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "added": self.added,
            "suppressed": self.suppressed,
            "duplicates": self.duplicates,
            "differing": self.differing,
            "invalid_count": self.invalid_count,
            "invalid": self.invalid[:shown],
        }


def check(row: Row) -> str:
    """Return why ``row`` cannot be used, in words, else ""."""
    if row.problem:
        return row.problem
    try:
        parse_e164(row.phone, "phone")
    except ApiError as error:
        return error.message
    if row.timezone and not is_timezone(row.timezone):
        return f"timezone {row.timezone!r} is no IANA time zone, as Europe/London."
    if len(row.prompt_override) > LONGEST_PROMPT:
        return f"prompt_override is longer than {LONGEST_PROMPT} characters."
    return ""


def place_for(row: Row) -> Place:
    """Return where a valid row's person is: as the row says, else as their number does."""
    place = place_of(row.phone)
    return Place((row.timezone,), place.law) if row.timezone else place


@transaction.atomic
def take_in(
    campaign: Campaign,
    rows: Iterable[Row],
    *,
    skip_invalid: bool = True,
    now: datetime | None = None,
    progress: Callable[[int], None] | None = None,
) -> Intake:
    """Add people to a campaign that is not over; return what became of the rows.

    Nobody is in a campaign twice: the first row of a number stays. Who is on the do-not-contact
    list is added as skipped. ``skip_invalid=False`` with any bad row is ApiError
    ``invalid_phone_format``, and nothing is added. ``progress`` is told how many rows were read.
    """
    intake = Intake()
    places: dict[Place, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE campaigns_intake (grp int, row_index int, phone text, "
            "name text, variables jsonb, prompt_override text, metadata jsonb, status text, "
            "reason text) ON COMMIT DROP"
        )
        for some in batched(_valid(rows, intake), AT_ONCE):
            unwanted = suppressed_among(campaign.account, [row.phone for row, _ in some])
            with cursor.copy(f"COPY campaigns_intake ({_COLUMNS}) FROM STDIN") as copy:
                for row, place in some:
                    group = places.setdefault(place, len(places))
                    copy.write_row(_record(row, group, row.phone in unwanted))
            if progress:
                progress(intake.rows)
        if intake.invalid_count and not skip_invalid:
            raise _invalid_rows(intake)
        _merge(cursor, campaign, places, intake, now or timezone.now())
        cursor.execute("DROP TABLE campaigns_intake")
    return intake


def _valid(rows: Iterable[Row], intake: Intake) -> Iterator[tuple[Row, Place]]:
    for row in rows:
        intake.rows += 1
        if reason := check(row):
            intake.invalid_count += 1
            if len(intake.invalid) < INVALID_SHOWN:
                bad = {"phone": row.phone[:64], "reason": reason, "row_index": row.index}
                intake.invalid.append(bad if row.line is None else {**bad, "line": row.line})
            continue
        yield row, place_for(row)


def _record(row: Row, group: int, skipped: bool) -> tuple[Any, ...]:
    return (
        group,
        row.index,
        row.phone,
        row.name[:120],
        json.dumps(row.variables),
        row.prompt_override,
        json.dumps(row.metadata),
        Recipient.Status.SKIPPED if skipped else Recipient.Status.PENDING,
        SUPPRESSED if skipped else "",
    )


def _merge(
    cursor: Any, campaign: Campaign, places: dict[Place, int], intake: Intake, now: datetime
) -> None:
    groups = {index: _group(campaign, place) for place, index in places.items()}
    cursor.execute(
        "WITH added AS ("
        "INSERT INTO campaigns_recipient (campaign_id, group_id, row_index, phone, name, variables,"
        " prompt_override, metadata, status, outcome, reason, due_at, attempts)"
        " SELECT %s, g.pk, i.row_index, i.phone, i.name, i.variables, i.prompt_override,"
        " i.metadata, i.status, '', i.reason, %s, 0"
        " FROM campaigns_intake i JOIN unnest(%s::int[], %s::bigint[]) AS g(grp, pk) USING (grp)"
        " ORDER BY i.row_index ON CONFLICT (campaign_id, phone) DO NOTHING RETURNING status)"
        " SELECT count(*), count(*) FILTER (WHERE status = 'skipped') FROM added",
        [campaign.pk, now, list(groups), list(groups.values())],
    )
    intake.added, intake.suppressed = cursor.fetchone()
    intake.duplicates = intake.valid - intake.added
    if intake.duplicates:
        cursor.execute(
            "SELECT count(*) FROM campaigns_intake i"
            " JOIN campaigns_recipient r ON r.campaign_id = %s AND r.phone = i.phone"
            " WHERE (r.variables, r.prompt_override)"
            " IS DISTINCT FROM (i.variables, i.prompt_override)",
            [campaign.pk],
        )
        (intake.differing,) = cursor.fetchone()


def _group(campaign: Campaign, place: Place) -> int:
    zones = list(place.zones) or [campaign.timezone]
    key = hashlib.sha256(json.dumps([zones, place.law]).encode()).hexdigest()
    group, _ = ZoneGroup.objects.get_or_create(
        campaign=campaign, key=key, defaults={"zones": zones, "law": place.law}
    )
    return group.pk


def _invalid_rows(intake: Intake) -> ApiError:
    return ApiError(
        "invalid_phone_format",
        f"{intake.invalid_count} recipient(s) have invalid phone numbers. Fix them or pass "
        "skip_invalid=true to dial only valid ones.",
        details={
            "total": intake.rows,
            "valid_count": intake.valid,
            "invalid_count": intake.invalid_count,
            "invalid": intake.invalid,
            "hint": "Fix the numbers or resend with skip_invalid=true to dial only the valid ones.",
        },
    )
