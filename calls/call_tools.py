"""The tools that one call has: its number's functions and calendar, and the engine's own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from accounts.models import Suppression
from agents.effective import Effective
from agents.history import Memory
from agents.models import Calendar, PhoneNumber
from agents.tools.base import Outcome, Tool
from agents.tools.calendar import calendar_tools
from agents.tools.functions import function_tools
from agents.tools.identity import identity_tool
from calls.models import Call, Turn

OPT_OUT = "opt_out"
_SCOPES = {"calls": "voice", "texts": "text", "both": "all"}


def tools_of(
    call: Call,
    number: PhoneNumber | None,
    memory: Memory,
    holds: Effective,
    values: Mapping[str, Any],
    refuse_contact: Callable[..., bool],
) -> tuple[Tool, ...]:
    """Return the tools of ``call``, whose placeholders have ``values``.

    ``refuse_contact`` enters the person in the suppression ledger (``calls.live``).
    """
    own = function_tools(number, values) if number is not None else ()
    check = (identity_tool(memory.private),) if memory.private else ()
    calendar = Calendar.objects.filter(number=number).first() if number is not None else None
    bookings = (
        calendar_tools(
            calendar,
            language=holds.start_language,
            confirm=holds.require_booking_confirmation,
        )
        if calendar
        else ()
    )
    return (*own, *bookings, *check, _opt_out(call.pk, refuse_contact))


def _opt_out(call_pk: int, refuse_contact: Callable[..., bool]) -> Tool:
    return Tool(
        name=OPT_OUT,
        description="Use at once, and only, when the person clearly asks never to be contacted "
        "again. A bad time, a no to an offer or a wish to be called later is no such request.",
        input_schema={
            "type": "object",
            "properties": {
                "scope": {
                    "type": "string",
                    "enum": [*_SCOPES],
                    "description": "What they refuse; both unless they said which.",
                }
            },
            "required": ["scope"],
        },
        use=_enter(call_pk, refuse_contact),
    )


def _enter(
    call_pk: int, refuse_contact: Callable[..., bool]
) -> Callable[[Mapping[str, Any], str], Awaitable[Outcome]]:
    async def use(arguments: Mapping[str, Any], said: str) -> Outcome:
        scope = _SCOPES.get(str(arguments.get("scope")), Suppression.Scope.ALL)
        words = said.rpartition("\n")[2]
        await asyncio.to_thread(_refuse, call_pk, refuse_contact, words, scope)
        return Outcome(
            "Entered: they will not be contacted again. Tell them so, apologise, say goodbye."
        )

    return use


def _refuse(call_pk: int, refuse_contact: Callable[..., bool], words: str, scope: str) -> None:
    turns = Turn.objects.filter(call_id=call_pk, role=Turn.Role.CALLER)
    last = turns.order_by("-sequence").values_list("sequence", flat=True).first()
    refuse_contact(call_pk, last or 0, "model.opt_out", words=words, scope=scope)
