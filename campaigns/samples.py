"""How calls of a campaign may go, as text: the agent's own prompt and model, and a person who says
the usual things. Nobody is called, no tool is used, nothing is written down."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.utils import timezone

from agents import model
from agents.effective import effective
from agents.prompt import CallFacts, voice_prompt
from campaigns.models import Campaign, Recipient

# What people say, turn by turn, after the agent's words; the first is how they pick up.
PEOPLE = {
    "agrees": ("Hello?", "Yes, that's fine.", "Thank you. Goodbye."),
    "asks": ("Hello?", "Who is this, and what is it about?", "I see. Can I think about it?"),
    "declines": ("Hello?", "No, thank you. I'm not interested."),
}


@dataclass(slots=True)
class Conversation:
    """What was said to one person: ``lines`` are (``person`` or ``agent``, words). ``failure`` says
    why it broke off, else ""."""

    recipient: Recipient
    manner: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    failure: str = ""


def conversations(campaign: Campaign, how_many: int = len(PEOPLE)) -> Iterator[Conversation]:
    """Yield a conversation with each of the first people who wait, each in another manner."""
    waiting = campaign.recipients.filter(status=Recipient.Status.PENDING).order_by("row_index")
    for recipient, manner in zip(waiting[:how_many], PEOPLE, strict=False):
        yield _talk(campaign, recipient, manner)


def _talk(campaign: Campaign, recipient: Recipient, manner: str) -> Conversation:
    talk = Conversation(recipient, manner)
    agent = campaign.agent
    if agent is None:
        talk.failure = "The agent was deleted."
        return talk
    facts = CallFacts(
        call_id="rehearsal",
        direction="outbound",
        our_number=campaign.from_number,
        their_number=recipient.phone,
        started_at=timezone.now(),
        purpose=recipient.prompt_override or campaign.prompt,
        variables=recipient.variables,
    )
    stable, of_call = voice_prompt(agent=agent, number=None, call=facts)
    messages: list[dict[str, str]] = []
    for words in PEOPLE[manner]:
        talk.lines.append(("person", words))
        messages.append({"role": "user", "content": words})
        try:
            answer = model.write(
                model=effective(agent, campaign.number).llm_model,
                system_stable=stable,
                system_now=of_call,
                messages=messages,
            ).text.strip()
        except model.ModelFailed as failure:
            talk.failure = f"The model gave no answer: {failure}."
            return talk
        talk.lines.append(("agent", answer))
        messages.append({"role": "assistant", "content": answer})
        if "[END_CALL" in answer.upper():
            break
    return talk
