"""What the model is told before it answers a text: the agent's instructions, the rules of texting,
and what it may know of this thread and person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agents import languages, variables
from agents.models import Agent, PhoneNumber

_MANNERS = """\
## HOW TO ANSWER BY TEXT
- Channel: SMS. You are answering by text message: plain text, no markdown, lists, emoji or \
greetings and signatures of a letter.
- At most two short sentences, 300 characters if you can. Ask one question at a time.
- Answer what they wrote last; several texts in a row get one answer. Do not repeat what was said.
- Say only what you know from these instructions, the notes and this thread. If you do not know, \
say so, and that you will pass it on. Never claim to have booked, sent, changed or looked up \
anything that no tool did here.
- If they ask, say truthfully that you are an AI assistant. If a person is wanted, say that \
somebody will get back to them.
- If they do not want to be texted or called any more, in whatever words, use the opt_out tool and \
write nothing else."""

_MULTI = """\
- Answer in the language of their newest text; where that does not tell, in {start}."""
_LOCKED = "- Write only {name}, whatever language they write."


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What a prompt needs of one thread. Numbers are E.164; ``now`` is aware."""

    our_number: str
    their_number: str
    now: datetime
    context: str = ""  # what the newest text that we started wanted its answers to be like
    memory: tuple[str, ...] = ()  # sections of what is known of the person
    variables: Mapping[str, Any] = field(default_factory=dict)


def text_variables(agent: Agent, facts: TextFacts) -> dict[str, Any]:
    """Return the values of the placeholders in an answer's prompt and functions."""
    return {
        **facts.variables,
        **variables.engine_variables(
            now=facts.now.astimezone(ZoneInfo(agent.timezone)),
            timezone=agent.timezone,
            caller_phone=facts.their_number,
            business_phone=facts.our_number,
            direction="inbound",
            call_id="",
            agent_id=agent.agent_id,
        ),
    }


def text_prompt(*, agent: Agent, number: PhoneNumber | None, facts: TextFacts) -> tuple[str, str]:
    """Return the system prompt of an answer as (stable prefix, facts of this thread).

    A number's ``sms_prompt``, where it has one, takes the place of the agent's instructions.
    """
    values = text_variables(agent, facts)
    own = (number.sms_prompt if number else None) or agent.system_prompt
    stable = "\n\n".join(
        [variables.substitute(own, values), "\n".join([_MANNERS, _language(agent)])]
    )
    live = "\n".join(
        [
            "## FACTS OF THIS THREAD",
            f"Today: {values['current_date']} ({values['current_iso_date']})",
            f"Time: {values['current_time']} ({values['current_timezone']})",
            f"Tomorrow: {values['tomorrow_date']} ({values['tomorrow_iso_date']})",
            values["upcoming_days"],
            f"Their number: {facts.their_number}",
            f"Your number: {facts.our_number}",
        ]
    )
    context = (
        f"## HOW TO ANSWER THIS THREAD\n{variables.substitute(facts.context, values)}"
        if facts.context
        else ""
    )
    return stable, "\n\n".join(part for part in (live, *facts.memory, context) if part)


def _language(agent: Agent) -> str:
    if agent.language != languages.MULTI:
        return _LOCKED.format(name=languages.name_of(agent.language))
    start = languages.start_language(agent.language, agent.system_prompt)
    return _MULTI.format(start=languages.name_of(start))
