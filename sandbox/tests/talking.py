"""Conversations with the simulated model, and a check that it makes nothing up."""

import itertools
import re
from dataclasses import dataclass

from sandbox.model import phrases
from sandbox.model.engine import reply_to
from sandbox.model.values import spoken_date
from sandbox.model.words import STOPWORDS, stem, tokens

SPEAK_FIRST = "[The call has just been answered. Speak first.]"
# Grammar, not content: what turning an instruction into speech may add.
GRAMMAR = (
    "i i'm i'll you your our we am are is do does did have",
    "can could tell me whether what",
)
COURTESIES = " ".join(
    itertools.chain(
        *phrases.ENGLISH.values(), *(table.values() for table in phrases.OTHER.values())
    )
)


@dataclass
class Spoken:
    """One side's words in a simulated call, in order."""

    replies: list[str]
    prompt: str
    heard: list[str]


def talk(prompt: str, *heard: str, first: str | None = SPEAK_FIRST) -> Spoken:
    """Hold a conversation and check after each reply that it was not made up."""
    messages: list[dict[str, str]] = []
    replies: list[str] = []
    for words in [*([first] if first else []), *heard]:
        messages.append({"role": "user", "content": words})
        body = {"model": "m", "max_tokens": 500, "system": prompt, "messages": messages}
        reply = reply_to(body).text
        assert reply == reply_to(body).text
        replies.append(reply)
        plain = re.sub(r"\[[A-Z_]+[^\]]*\]", "", reply).strip()
        messages.append({"role": "assistant", "content": plain or "(silence)"})
    spoken = Spoken(replies, prompt, list(heard))
    assert_nothing_invented(spoken)
    return spoken


def assert_nothing_invented(spoken: Spoken) -> None:
    """Every content word comes from the prompt, the caller or the table of courtesies.

    Dates of the prompt may be spoken with their weekday and month.
    """
    dates = [spoken_date(iso) for iso in re.findall(r"\d{4}-\d{2}-\d{2}", spoken.prompt)]
    source = " ".join([spoken.prompt, *spoken.heard, *dates, COURTESIES, *GRAMMAR])
    known = {stem(word) for word in tokens(source.replace("_", " "))} | STOPWORDS
    for reply in spoken.replies:
        tags = re.findall(r"\[[A-Z_]+", reply)
        assert all(tag in spoken.prompt for tag in tags)
        reply = re.sub(r"\[[A-Z_]+", "", reply)
        invented = [word for word in tokens(reply) if stem(word) not in known and word not in known]
        assert invented == [], f"{invented} in {reply!r}"
