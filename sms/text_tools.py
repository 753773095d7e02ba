"""The tools that an answer by text has, and their use: each at most once, on record before it is
used, and a booking only after the person's yes where that is asked for."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.effective import Effective
from agents.history import Memory
from agents.models import Calendar, PhoneNumber
from agents.tools import identity
from agents.tools.base import Outcome, Tool, ToolCall
from agents.tools.calendar import calendar_tools
from agents.tools.functions import function_tools
from agents.tools.readback import is_yes
from agents.tools.using import use
from sms import news
from sms.models import Message, Thread
from sms.tool_models import ToolRound

MOST_ROUNDS = 3
_HELD = (
    "Held, nothing was written: they are asked by text to confirm exactly this. When they have "
    "answered yes, call {name} again with the same arguments; if they want something else, use "
    "that."
)
_ONE_AT_A_TIME = "Nothing was done: one thing at a time. Wait for their answer."
_DAY = timedelta(days=1)
_CALENDAR = "SELECT * FROM agents_calendar WHERE number_id = %s"
# That waits for a yes to the last text of ours whose time has come; as SQL, which is ready at once
# for each text.
_PROPOSED = """
    SELECT * FROM sms_toolround
    WHERE confirmed_at IS NULL AND question_id = (
        SELECT id FROM sms_message
        WHERE thread_id = %s AND direction = 'outbound' AND created_at < %s
            AND status NOT IN ('failed', 'undelivered')
            AND NOT EXISTS (
                SELECT 1 FROM sms_messagepart AS part
                WHERE part.message_id = sms_message.id AND part.status = 'waiting'
                    AND part.attempts = 0 AND part.send_after > %s
            )
        ORDER BY created_at DESC, id DESC
        LIMIT 1
    )
"""


def tools_of(
    thread: Thread,
    number: PhoneNumber,
    memory: Memory,
    holds: Effective,
    values: Mapping[str, Any],
) -> tuple[Tool, ...]:
    """Return the tools of an answer through ``number``, whose placeholders have ``values``: the
    number's functions and calendar, and the check of who it is where something is private."""
    calendar = next(iter(Calendar.objects.raw(_CALENDAR, [number.pk])), None)
    bookings = (
        calendar_tools(
            calendar,
            language=holds.start_language,
            confirm=holds.require_booking_confirmation,
            by_text=True,
        )
        if calendar
        else ()
    )
    check = (
        (identity.identity_tool(memory.private, tries=_tries(thread)),) if memory.private else ()
    )
    return (*function_tools(number, values), *bookings, *check)


def _tries(thread: Thread) -> int:
    """How often who it is was asked for in the last day: guessing by text must not be free."""
    rounds = ToolRound.objects.filter(
        message__thread=thread, created_at__gt=timezone.now() - _DAY
    ).values_list("asked", flat=True)
    return sum(block.get("name") == identity.NAME for asked in rounds for block in asked)


# --- a yes --------------------------------------------------------------------------------------


def confirmed_proposal(thread: Thread, newest: Message, language: str) -> ToolRound | None:
    """Return the proposal to which the person's texts since are a whole yes, and nothing else.

    It must be the last text of ours, and must have gone out before the answer came.
    """
    waiting = ToolRound.objects.raw(_PROPOSED, [thread.pk, newest.created_at, timezone.now()])
    proposed = next(iter(waiting), None)
    if proposed is None or (last := proposed.question) is None or last.sent_at is None:
        return None
    since = thread.messages.inbound().filter(
        created_at__gt=last.created_at, created_at__lte=newest.created_at
    )
    answers = list(since.order_by("created_at", "pk"))
    in_time = all(text.created_at >= last.sent_at for text in answers)
    words = " ".join(text.body for text in answers)
    return proposed if answers and in_time and is_yes(language, words) else None


def proposal_of(call: ToolCall) -> str:
    """Return a call and its arguments as what is compared: a yes is to exactly this."""
    return json.dumps([call.name, dict(call.arguments)], sort_keys=True, ensure_ascii=False)


def uses(confirmed: ToolRound | None, calls: Sequence[ToolCall]) -> bool:
    """Say whether one of ``calls`` is what the person said yes to."""
    return confirmed is not None and confirmed.proposal in [proposal_of(call) for call in calls]


def question_before(
    tools: Sequence[Tool], calls: Sequence[ToolCall], confirmed: ToolRound | None
) -> tuple[ToolCall, str] | None:
    """Return the first of ``calls`` that the person has yet to say yes to, and what to ask."""
    own = {tool.name: tool for tool in tools}
    for call in calls:
        tool = own.get(call.name)
        if tool is None or tool.read_back is None or uses(confirmed, [call]):
            continue
        try:
            return call, tool.read_back(call.arguments)
        except (ValueError, KeyError):
            continue  # the tool itself says what is wrong with its arguments, and writes nothing
    return None


# --- using --------------------------------------------------------------------------------------


def held_results(calls: Sequence[ToolCall], held: ToolCall) -> dict[str, dict[str, Any]]:
    """What the model is told where ``held`` waits for a yes: nothing was used."""
    return {
        call.id: _told(Outcome(_HELD.format(name=call.name) if call is held else _ONE_AT_A_TIME))
        for call in calls
    }


def use_all(tools: Sequence[Tool], calls: Sequence[ToolCall], said: str) -> dict[str, Outcome]:
    """Use tools side by side; return what came of each, by its id. Each has a time-out of its own
    and none raises."""
    # The same thing asked twice at once is done once.
    once = {proposal_of(call): call for call in reversed(calls)}

    async def together() -> list[Outcome]:
        return await asyncio.gather(*(use(tools, call, said) for call in once.values()))

    of = dict(zip(once, asyncio.run(together()), strict=True))
    return {
        call.id: of[proposal_of(call)]
        if once[proposal_of(call)] is call
        else Outcome("This is the same as another one: see there.")
        for call in calls
    }


@transaction.atomic
def note_results(round_pk: int, outcomes: Mapping[str, Outcome]) -> None:
    """Keep what came of a round, and tell listeners of what was booked."""
    one = (
        ToolRound.objects.select_for_update(of=("self",))
        .select_related("message__thread__account", "message__agent")
        .get(pk=round_pk)
    )
    one.results = {use_id: _told(outcome) for use_id, outcome in outcomes.items()}
    one.bookings = [dict(out.booking) for out in outcomes.values() if out.booking is not None]
    one.save(update_fields=["results", "bookings"])
    for booking in one.bookings:
        news.tell_booking(one.message, booking)


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"content": outcome.content, "failed": outcome.failed}
