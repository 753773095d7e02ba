"""What the model is told before a voice call's first turn (spec 6.6).

Two texts: a stable one that is the same for every call of an agent through a number in one
direction, so the model's provider can cache it, and after it the facts of this call.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agents import languages, variables
from agents.history import NOTHING, Memory
from agents.models import Agent, PhoneNumber

PURPOSE = "## PURPOSE OF THIS CALL"

_LENGTH = {
    Agent.ResponseLength.SHORT: "Answer in one or two short sentences.",
    Agent.ResponseLength.MEDIUM: "Answer in two to four sentences.",
    Agent.ResponseLength.LONG: "Answer as fully as the question needs, in at most eight sentences.",
}

_MANNERS = """\
- You are on a telephone call. What you write is read aloud word for word: plain spoken sentences, \
no lists, headings, markdown, emoji, web links or stage directions.
- {length} Ask one question at a time, then wait for the answer.
- Say times, dates and prices as people say them, and telephone numbers digit by digit.
- What the other person said reaches you as a transcript that can be wrong. If it makes no sense, \
say you did not catch it and ask again; never guess a name, number or address.
- If one of your answers breaks off, you were interrupted and the rest was not heard. Do not start \
over: answer what was said.
- A turn in which nothing was said means silence: ask once, kindly, whether they are still there.
- Say only what you know from these instructions and this call. Never claim to have booked, sent, \
changed or looked up anything that no tool did in this call.
- If they ask, say truthfully that you are an AI assistant.
- If they ask never to be called again, use opt_out, then apologise, tell them that they will not \
be called, and say goodbye."""

_MAY_END = """\
- When the conversation is over and goodbye has been said, or they ask to end the call, say a \
short goodbye and put [END_CALL] at the very end of it. It is removed before the words are spoken. \
Never use it while a question is open."""

_MAY_NOT_END = "- You cannot hang up. When all is said, say goodbye and let them hang up."

_MAY_TRANSFER = """\
- When they should speak to a person, say in one short sentence that you put them through, and use \
transfer_call, or the tag for it where your instructions give one, in the same answer. Only the \
numbers in your instructions can be reached."""

# "transfer", "transférer", "transferir", "trasferire"; how it is said in English and German.
_TRANSFERS = re.compile(r"tran?sf[eéè]r|\bput\b.{1,30}\bthrough\b|durchstell|weiterleit", re.I)

_OUTBOUND = """\
- You placed this call. When somebody answers, say who you are and for whom you call, then why; \
make sure you speak to the right person before you say anything private.
- If you hear a recorded greeting that asks to leave a message, or a beep, it is an answering \
machine: reply with only [VOICEMAIL]. A telephone menu ("press one for …") is not one."""

_MENUS = """\
- What a telephone menu says is marked [Phone menu]. It hears only keys: to press some, reply with \
only [PRESS: 2] or [PRESS: 5551#] (w waits half a second in between, W one). Choose what leads to \
the purpose of the call, else to a person. To keep listening or hold the line, reply with only \
[IVR]. Speak only where it asks you to. When a person answers, begin your reply with [IVR_END]."""

_INBOUND = "- They called you. Find out what they need and help with it."

_MULTI = """\
- Begin in {start}. If their first words are in another language, go on in that language and stay \
with it. After that change only when they clearly ask; a foreign word or name is no such request. \
If they say a whole sentence in another language, ask first whether to change.
- Use one language at a time, and no translations in brackets."""

_LOCKED = "- Speak only {name}, whatever language they speak."


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a prompt needs of one call. Numbers are E.164; ``started_at`` is aware."""

    call_id: str
    direction: str  # "inbound" | "outbound"
    our_number: str
    their_number: str
    started_at: datetime
    purpose: str = ""  # outbound: the call's own prompt; "" = what the agent's instructions say
    variables: Mapping[str, Any] = field(default_factory=dict)
    memory: Memory = NOTHING  # what is known of this person
    may_transfer: bool = False  # there is somebody to put the call through to

    @property
    def is_outbound(self) -> bool:
        return self.direction == "outbound"


def voice_prompt(*, agent: Agent, number: PhoneNumber | None, call: CallFacts) -> tuple[str, str]:
    """Return the system prompt of a voice call as (stable prefix, facts of this call).

    The prefix stays the same from call to call as long as the agent's instructions use only
    placeholders that do too (``agent_id``, ``business_phone``, ``call_direction``,
    ``current_timezone``).
    """
    values = call_variables(agent, call)
    stable = [
        variables.substitute(agent.system_prompt, values),
        *_business_profile(number, values),
        _rules(agent, call),
    ]
    facts = [_live_facts(values, call)]
    if call.is_outbound:
        facts.append(_purpose(call, values))
    if call.variables:
        facts.append(_details(call.variables))
    facts += _memory(agent, call)
    return "\n\n".join(part for part in stable if part), "\n\n".join(facts)


def teaches_menus(agent: Agent, number: PhoneNumber | None, purpose: str) -> bool:
    """Whether an outbound call's own instructions use the tags of phone menus."""
    profile = number.custom_prompt if number is not None and not purpose else ""
    texts = f"{agent.system_prompt} {profile} {purpose}"
    return "[IVR" in texts or "[PRESS" in texts


def speaks_of_transfers(agent: Agent, *instructions: str) -> bool:
    """Whether the agent may put callers through to people at all: it has a ``transfer_number``, or
    its ``instructions`` say something of it.
    """
    return bool(agent.transfer_number) or any(map(_TRANSFERS.search, instructions))


def call_variables(agent: Agent, call: CallFacts) -> dict[str, Any]:
    """Return every placeholder's value in this call; the engine's names win over the caller's."""
    now = call.started_at.astimezone(ZoneInfo(agent.timezone))
    engine = variables.engine_variables(
        now=now,
        timezone=agent.timezone,
        caller_phone=call.their_number,
        business_phone=call.our_number,
        direction=call.direction,
        call_id=call.call_id,
        agent_id=agent.agent_id,
        caller_history=call.memory.history,
    )
    return {**call.variables, **engine}


def _business_profile(number: PhoneNumber | None, values: Mapping[str, Any]) -> list[str]:
    if number is None or not number.custom_prompt:
        return []
    return [
        "## BUSINESS PROFILE\nThis is the business you speak for. Where it differs from the "
        "instructions above, it is right.\n" + variables.substitute(number.custom_prompt, values)
    ]


def _rules(agent: Agent, call: CallFacts) -> str:
    length = _LENGTH[Agent.ResponseLength(agent.response_length)]
    return "\n".join(
        [
            "## HOW TO SPEAK ON THE PHONE",
            _MANNERS.format(length=length),
            _language(agent),
            _OUTBOUND if call.is_outbound else _INBOUND,
            *([_MENUS] if call.is_outbound and not agent.hangup_on_ivr else []),
            *([_MAY_TRANSFER] if call.may_transfer else []),
            _MAY_END if agent.func_end_call else _MAY_NOT_END,
        ]
    )


def _language(agent: Agent) -> str:
    if agent.language != languages.MULTI:
        return _LOCKED.format(name=languages.name_of(agent.language))
    start = languages.start_language(agent.language, agent.system_prompt)
    return _MULTI.format(start=languages.name_of(start))


def _live_facts(values: Mapping[str, Any], call: CallFacts) -> str:
    way = "outbound (you called them)" if call.is_outbound else "inbound (they called you)"
    return "\n".join(
        [
            "## FACTS OF THIS CALL",
            f"Today: {values['current_date']} ({values['current_iso_date']})",
            f"Time when the call began: {values['current_time']} ({values['current_timezone']})",
            f"Tomorrow: {values['tomorrow_date']} ({values['tomorrow_iso_date']})",
            values["upcoming_days"],
            f"Direction: {way}",
            f"Their number: {call.their_number}",
            f"Your number: {call.our_number}",
        ]
    )


def _purpose(call: CallFacts, values: Mapping[str, Any]) -> str:
    purpose = variables.substitute(call.purpose, values) or (
        "Nothing was added for this call: do what your instructions above say."
    )
    return f"{PURPOSE}\n{purpose}"


def _memory(agent: Agent, call: CallFacts) -> list[str]:
    """What is known of the person, at the very end: it bows to all that stands before it."""
    placed = "{caller_history}" in agent.system_prompt + call.purpose
    memory = call.memory
    return [part for part in memory.sections if not (placed and part == memory.history)]


def _details(given: Mapping[str, Any]) -> str:
    lines = (f"- {name}: {variables.as_text(value)}" for name, value in given.items())
    return "## DETAILS GIVEN FOR THIS CALL\n" + "\n".join(lines)
