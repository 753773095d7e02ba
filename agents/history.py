"""What an account knows of a person: dated notes of calls and texts, and what they told of
themselves.

Notes follow a person across all numbers of an account; a ``Caller`` record stays with one number.
Whoever has something to remember calls ``remember``; a prompt is given a ``Memory``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from accounts.models import Account
from agents.models import Agent, Caller, Note, PhoneNumber

MOST_NOTES = 100  # read from the database; the token budget ends far earlier
LONGEST_NOTE = 400  # characters of one note
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# Twilio's From of callers who withhold their number: many people, not one.
_NOBODY = frozenset({"+266696687", "+7378742833", "+2562533", "+8566696", "+86282452253", "+464"})

_HISTORY = """\
## CALLER HISTORY
- Background: what earlier calls and texts with this number recorded, newest first. You may say \
what is recorded, with its day, as in "when we spoke on Friday you booked Tuesday at two"; never \
add to it.
- It was true on its day. If they say otherwise now, do not argue: what they say now holds.
- It is no action of this call: never say that you booked, changed, cancelled or sent anything \
unless a tool did so in this call.
- A number is a hint, never proof of who speaks. If it is somebody else, do not tell them any of \
this."""

_CONTEXT = """\
## CALLER CONTEXT
- Use the details below naturally and do not ask for them again.
- If they give another name, or are clearly somebody else, use the new name for this call and do \
not mention the old one, nor anything else that stands here.
- Never take a detail for an action before they have confirmed it in this call. Say a detail that \
stands here; do not spell it. Read back a new one letter by letter.
- If they give a different value now, it holds for this call; do not insist on the old one.
- Earlier requests, preferences and open items are background: find out what they need now.
- Never conclude from them that something was done; confirm only what a tool did or showed now."""

_WITHHELD = """\
## PRIVATE NOTES
- There is more on record about this person, and you do not see it until they have shown who they \
are. If it is needed, ask for their {check} and call confirm_identity with exactly what they say. \
Never guess it, never say or hint what would be right, and do not mention private notes."""

_CHECKS = {
    "name": "full name",
    "reference_id": "reference number",
    "email": "email address",
    "phone": "contact number",
    "location": "address or postcode",
}
LABELS = {
    "name": "Name",
    "email": "Email",
    "phone": "Contact number",
    "location": "Location",
    "reference_id": "Reference",
    "preference": "Preference",
    "open_item": "Still open",
}  # last_call is stored and shown to operators, not to the agent (spec 6.5)


@dataclass(frozen=True, slots=True)
class Private:
    """What is withheld until the caller said ``expected``, the value on file of the field
    ``check``."""

    check: str
    expected: str
    text: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What a prompt may say of a person. Empty texts for somebody we never met."""

    history: str = ""
    context: str = ""
    name: str = ""  # to greet by; "" if it is private
    private: Private | None = None
    record: tuple[dict[str, Any], ...] = ()  # what was put in and what was held back, for the call

    def __bool__(self) -> bool:
        return bool(self.record)

    @property
    def sections(self) -> tuple[str, ...]:
        """What goes to the very end of a prompt, in order."""
        return tuple(part for part in (self.history, self.withheld, self.context) if part)

    @property
    def withheld(self) -> str:
        """The section that says there is more, or ""."""
        return _WITHHELD.format(check=_CHECKS[self.private.check]) if self.private else ""


def is_person(phone_number: str) -> bool:
    """Whether a number in E.164 is somebody's: a withheld caller ID is nobody's, or everybody's."""
    return bool(_E164.fullmatch(phone_number)) and phone_number not in _NOBODY


def tokens(text: str) -> int:
    """Return about how many tokens a text costs; rather too many than too few."""
    return -(-len(text.encode()) // 3)


NOTHING = Memory()

# As SQL, which is ready at once: a caller waits for the first, and both are asked for each text.
_NOTES = """
    SELECT * FROM agents_note
    WHERE account_id = %(account)s AND person = %(person)s AND at < %(before)s
        AND NOT (kind = 'text' AND our_number = %(thread_of)s AND our_number <> '')
    ORDER BY at DESC, id DESC
    LIMIT %(most)s
"""
_CALLER = "SELECT * FROM agents_caller WHERE number_id = %s AND caller_number = %s"

# --- writing --------------------------------------------------------------------------------------


def remember(
    account: Account,
    *,
    person: str,
    our_number: str,
    kind: Note.Kind,
    source: str,
    at: datetime,
    text: str,
    is_outbound: bool,
) -> Note | None:
    """Keep what a call or text left, under its id; the same ``source`` again replaces the text.

    ``source`` is the public id (``call_…``, ``msg_…``), ``text`` says what was recorded, in the
    third person. None, and nothing kept, for a withheld number or an empty text. An operator's
    private mark stays.
    """
    words = " ".join(text.split())
    if not words or not is_person(person):
        return None
    fields = {
        "person": person,
        "our_number": our_number,
        "kind": kind,
        "is_outbound": is_outbound,
        "at": at,
        "text": words,
    }
    note, _ = Note.objects.update_or_create(account=account, source=source, defaults=fields)
    return note


def remember_new(notes: Iterable[Note]) -> None:
    """Keep many notes, in one statement, under ids under which nothing can have been kept. What
    ``remember`` would not keep is left out."""
    Note.objects.bulk_create(note for note in notes if note.text and is_person(note.person))


def forget_source(account: Account, source: str) -> None:
    """Delete what ``remember`` kept under a public id: it turned out not to have happened."""
    Note.objects.filter(account=account, source=source).delete()


@transaction.atomic
def forget(account: Account, person: str) -> int:
    """Delete every note and every number's record of a person; return how many rows went."""
    notes, _ = Note.objects.about(account, person).delete()
    callers, _ = Caller.objects.filter(number__account=account, caller_number=person).delete()
    return notes + callers


def forget_before(moment: datetime) -> int:
    """Delete notes of calls and texts from before ``moment``, in every account."""
    deleted, _ = Note.objects.filter(at__lt=moment).exclude(kind=Note.Kind.OPERATOR).delete()
    return deleted


# --- reading --------------------------------------------------------------------------------------


def memory_of(
    agent: Agent,
    number: PhoneNumber | None,
    person: str,
    *,
    before: datetime,
    given: Mapping[str, str] | None = None,
    in_thread: bool = False,
) -> Memory:
    """Return what ``agent`` may know of ``person`` (E.164) in a call or text through ``number``.

    Only notes from earlier than ``before`` count. ``given`` are caller fields that hold for this
    call alone and win over what is on file (the pre-call gate's). ``in_thread``: the texts with
    this number are before the model's eyes already, and are no history.
    """
    facts, private_fields = _facts(number, person, given or {})
    seen = number.phone_number if in_thread and number is not None else ""
    notes = list(_notes(agent.account_id, person, before, seen)) if is_person(person) else []
    private = _private(agent, facts, private_fields, [note for note in notes if note.is_private])
    hidden = private_fields | ({private.check} if private else set())
    shown = {name: value for name, value in facts.items() if name not in hidden}
    zone = ZoneInfo(agent.timezone)
    lines, used = _within_budget([note for note in notes if not note.is_private], zone)
    context = [f"{LABELS[name]}: {shown[name]}" for name in LABELS if name in shown]
    return Memory(
        history="\n".join([_HISTORY, *lines]) if lines else "",
        context="\n".join([_CONTEXT, *context]) if context else "",
        name=shown.get("name", ""),
        private=private,
        record=_record(used, [note for note in notes if note.is_private], facts, hidden),
    )


def _notes(account_id: int, person: str, before: datetime, thread_of: str) -> Iterable[Note]:
    asked = {
        "account": account_id,
        "person": person,
        "before": before,
        "thread_of": thread_of,
        "most": MOST_NOTES,
    }
    return Note.objects.raw(_NOTES, asked)


def _facts(
    number: PhoneNumber | None, person: str, given: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """The facts on file by field, with ``given`` over them, and which of them are private."""
    caller = None
    if number is not None and is_person(person):
        caller = next(iter(Caller.objects.raw(_CALLER, [number.pk, person])), None)
    stored = {name: getattr(caller, name) for name in LABELS} if caller else {}
    for_now = {name: value for name, value in given.items() if value}
    facts = {name: value for name, value in (stored | for_now).items() if value}
    return facts, set(caller.private_fields) & set(facts) if caller else set()


def _private(
    agent: Agent, facts: Mapping[str, str], fields: set[str], notes: Sequence[Note]
) -> Private | None:
    """What is withheld, where there is something on file that can be asked for; else None."""
    check, zone = agent.identity_check, ZoneInfo(agent.timezone)
    if not (fields - {check} or notes) or not facts.get(check):
        return None
    lines = [
        f"{LABELS[name]}: {facts[name]}" for name in LABELS if name in fields and name != check
    ]
    return Private(check, facts[check], "\n".join([*lines, *_within_budget(notes, zone)[0]]))


def _within_budget(notes: Sequence[Note], zone: ZoneInfo) -> tuple[list[str], list[Note]]:
    """The newest notes as lines, as many as the budget holds, and those notes. A long exchange of
    texts leaves half of it to the calls."""
    lines: list[str] = []
    used: list[Note] = []
    left = settings.HISTORY_TOKENS
    has_calls = any(note.kind != Note.Kind.TEXT for note in notes)
    left_for_texts = left // 2 if has_calls else left
    for note in notes:
        line = _line(note, zone)
        cost = tokens(line) + 1
        if note.kind == Note.Kind.TEXT:
            left_for_texts -= cost
            if left_for_texts < 0:
                continue
        left -= cost
        if left < 0:
            break
        lines.append(line)
        used.append(note)
    if len(used) < len(notes):
        lines.append("- Older ones are left out: do not guess what was said in them.")
    return lines, used


def _line(note: Note, zone: ZoneInfo) -> str:
    day = note.at.astimezone(zone)
    way = {
        (Note.Kind.CALL, True): "we called them",
        (Note.Kind.CALL, False): "they called us",
        (Note.Kind.TEXT, True): "text from us",
        (Note.Kind.TEXT, False): "text from them",
    }.get((Note.Kind(note.kind), note.is_outbound), "noted by staff")
    text = note.text if len(note.text) <= LONGEST_NOTE else f"{note.text[: LONGEST_NOTE - 1]}…"
    return f"- {day:%Y-%m-%d} ({day:%A}, {way}): {text}"


def _record(
    used: Sequence[Note],
    private: Sequence[Note],
    facts: Mapping[str, str],
    hidden: set[str],
) -> tuple[dict[str, Any], ...]:
    notes = [
        {
            "kind": note.kind,
            "source": note.source,
            "at": note.at.isoformat(),
            "withheld": note.is_private,
        }
        for note in (*used, *private)
    ]
    fields = [
        {"kind": "field", "source": name, "withheld": name in hidden}
        for name in LABELS
        if name in facts
    ]
    return (*notes, *fields)
