"""How calls of a campaign may go, as text: the live engine's own conversation with the agent's
prompt and model, and a person who says the usual things. Nobody is called, no tool is used, nothing
is written down.
"""

import time
from dataclasses import dataclass, field
from functools import partial

from django.db import transaction

from agents import model
from calls.live import LiveCall, foresee
from calls.models import Call
from campaigns.models import Campaign, Recipient
from media.events import AskModel
from media.in_text import TextCall

# What people say, turn by turn, after the agent's words; the first is how they pick up.
PEOPLE = {
    "agrees": ("Hello?", "Yes, that's fine.", "Thank you. Goodbye."),
    "asks": ("Hello?", "Who is this, and what is it about?", "I see. Can I think about it?"),
    "declines": ("Hello?", "No, thank you. I'm not interested."),
}
# For all that the model writes in one conversation: somebody waits for it.
LIMIT_S = 30.0
TIME_OUT = "time-out"


@dataclass(slots=True)
class Conversation:
    """What was said to one person: ``lines`` are (``person`` or ``agent``, words). ``failure`` says
    why it broke off, else ""."""

    recipient: Recipient
    manner: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    failure: str = ""


def people(campaign: Campaign, how_many: int = len(PEOPLE)) -> list[tuple[Recipient, str]]:
    """Return the first people who wait, each with a manner to talk in."""
    waiting = campaign.recipients.filter(status=Recipient.Status.PENDING).order_by("row_index")
    return list(zip(waiting[:how_many], PEOPLE, strict=False))


def converse(
    campaign: Campaign, recipient: Recipient, manner: str, *, within_s: float = LIMIT_S
) -> Conversation:
    """Return how a call to ``recipient`` may go, if they are somebody who ``manner`` (of
    ``PEOPLE``); what was said in ``within_s``, if the model takes longer."""
    talk = Conversation(recipient, manner)
    live = _foreseen(campaign, recipient)
    if live is None:
        talk.failure = "The agent or its number was deleted."
        return talk
    call = TextCall(live, partial(_write, live, time.monotonic() + within_s))
    for words in PEOPLE[manner]:
        call.say(words)
        if call.ended:
            break
    talk.lines = call.lines
    if call.failure == TIME_OUT:
        talk.failure = f"The model took longer than {within_s:g} s for this conversation."
    elif call.failure:
        talk.failure = f"The model gave no answer: {call.failure}."
    return talk


def _foreseen(campaign: Campaign, recipient: Recipient) -> LiveCall | None:
    """Return what the live engine would be told of a call to ``recipient`` now; the call that this
    takes is undone."""
    agent, number = campaign.agent, campaign.number
    if agent is None or number is None:
        return None
    with transaction.atomic():
        call = Call.objects.create(
            account=campaign.account,
            agent=agent,
            agent_public_id=agent.agent_id,
            number=number,
            direction=Call.Direction.OUTBOUND,
            from_number=number.phone_number,
            to_number=recipient.phone,
            prompt=recipient.prompt_override or campaign.prompt,
            variables=recipient.variables,
            status=Call.Status.RINGING,
        )
        live = foresee(call.pk)
        transaction.set_rollback(True)
    return live


def _write(live: LiveCall, until: float, ask: AskModel) -> model.Written:
    if (left_s := until - time.monotonic()) <= 0:
        raise model.ModelFailed(TIME_OUT)
    return model.write(
        model=live.model,
        system_stable=live.system_stable,
        system_now=live.system_call,
        messages=list(ask.messages),
        tools=[tool.definition for tool in live.tools],
        may_use_tools=ask.may_use_tools,
        within_s=left_s,
    )
