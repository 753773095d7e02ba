"""The tools that one call has: its number's functions and calendar, and the engine's own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from accounts.models import Suppression
from agents.effective import Effective
from agents.history import Memory, is_person
from agents.models import Calendar, PhoneNumber
from agents.tools import identity
from agents.tools.base import Outcome, Tool
from agents.tools.calendar import calendar_tools
from agents.tools.functions import function_tools
from calls.models import Call, Turn
from calls.transfer_rules import DEFAULT, TRANSFER_CALL, NotAllowed, TransferRules

OPT_OUT = "opt_out"
SEND_SMS = "send_sms"
LONGEST_TEXT = 1_600  # characters: one text of the carrier's; the model is asked for less
_SCOPES = {"calls": "voice", "texts": "text", "both": "all"}


def tools_of(
    call: Call,
    number: PhoneNumber | None,
    memory: Memory,
    holds: Effective,
    values: Mapping[str, Any],
    refuse_contact: Callable[..., bool],
    text_caller: Callable[[int, str], str],
    *,
    transfers: TransferRules,
) -> tuple[Tool, ...]:
    """Return the tools of ``call``, whose placeholders have ``values``.

    ``refuse_contact`` enters the person in the suppression ledger, ``text_caller`` texts them
    (both of ``calls.live``); ``transfers`` says where the call may be put through to.
    """
    own = function_tools(number, values) if number is not None else ()
    check = (identity.identity_tool(memory.private, tries=_tries(call)),) if memory.private else ()
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
    may_text = call.agent is not None and call.agent.incall_sms_enabled and number is not None
    texts = (_send_sms(call.pk, text_caller),) if may_text and is_person(call.their_number) else ()
    away = (_transfer_call(transfers),) if transfers.numbers else ()
    return (*own, *bookings, *texts, *away, *check, _opt_out(call.pk, refuse_contact))


def _tries(call: Call) -> int:
    """How often who it is was asked for on this call, through whatever socket."""
    return call.events.filter(kind="tool", data__name=identity.NAME).count()


def _transfer_call(rules: TransferRules) -> Tool:
    """Only a destination that may not be dialled comes to ``use``: the engine itself puts a call
    through, once what the agent says of it was heard.
    """

    async def use(arguments: Mapping[str, Any], said: str) -> Outcome:
        try:
            rules.destination(str(arguments["number"]))
        except NotAllowed as refusal:
            return Outcome(f"The call was not put through: {refusal}.", failed=True)
        return Outcome("The call was not put through. Try again.", failed=True)

    default = f' "{DEFAULT}" where none fits.' if rules.default else ""
    return Tool(
        name=TRANSFER_CALL,
        description="Put the person on the phone through to a colleague. Say in one short sentence "
        "that you do so, and use this in the same answer; you leave the call when it works.",
        input_schema={
            "type": "object",
            "properties": {
                "number": {
                    "type": "string",
                    "description": "A number that your instructions name for it, with + and "
                    f"country code.{default}",
                }
            },
            "required": ["number"],
        },
        use=use,
    )


def _send_sms(call_pk: int, text_caller: Callable[[int, str], str]) -> Tool:
    sent: set[str] = set()

    async def use(arguments: Mapping[str, Any], said: str) -> Outcome:
        text = " ".join(str(arguments["text"]).split())
        if len(text) > LONGEST_TEXT:
            return Outcome(
                f"Nothing was sent: a text has at most {LONGEST_TEXT} characters. Be shorter.",
                failed=True,
            )
        if text in sent:
            return Outcome("This very text was sent already in this call; it was not sent again.")
        problem = await asyncio.to_thread(text_caller, call_pk, text)
        if problem:
            return Outcome(f"The text did not go out: {problem} Tell them so.", failed=True)
        sent.add(text)
        return Outcome("The text is on its way to the number they are calling with.")

    return Tool(
        name=SEND_SMS,
        description="Text the person on the phone, at the number of this call: an address, a "
        "link, a summary. Only when they want it.",
        input_schema={
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "What to send, at most 600 characters."}
            },
            "required": ["text"],
        },
        use=use,
    )


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
