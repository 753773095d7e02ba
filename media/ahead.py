"""A reply asked for before it is certain that the caller has finished.

Of it nothing is said, shown or done until they have: what the model writes, and the tools it wants,
wait here, and the audio of its first clause is made and held. It is used only if the model would
now be asked the very same thing; else it is dropped and paid for in vain, which every use and every
drop says in the call's log.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from media.clauses import Clause, ClauseSplitter
from media.events import (
    Action,
    AskModel,
    CancelModel,
    Forget,
    ModelDone,
    ModelFailed,
    ModelText,
    Note,
    Prepare,
    ToolsWanted,
)

ModelEvent = ModelText | ModelDone | ModelFailed | ToolsWanted
# A caller who pauses between all their words would have the model asked after each.
MOST_IN_VAIN = 2


@dataclass(slots=True)
class Guess:
    generation: int
    asked_at: int
    text: str
    messages: tuple[dict[str, Any], ...]
    events: list[ModelEvent] = field(default_factory=list)
    splitter: ClauseSplitter | None = field(default_factory=ClauseSplitter)  # until a first piece
    prepared: str = ""  # the first clause, if its audio is made


class Ahead:
    """At most one guess is open; ``do`` takes the actions."""

    def __init__(self, do: Callable[[Action], None]) -> None:
        self._do = do
        self._guess: Guess | None = None
        self._in_vain = 0  # since a guess was last asked about

    @property
    def may_begin(self) -> bool:
        return self._guess is None and self._in_vain < MOST_IN_VAIN

    def begin(
        self, t: int, generation: int, text: str, messages: tuple[dict[str, Any], ...]
    ) -> None:
        """Ask the model as if the caller's turn had ended with ``text``."""
        self._guess = Guess(generation, t, text, messages)
        self._do(AskModel(generation, messages))

    def keeps(self, event: ModelEvent) -> bool:
        """Whether this is of the guess: then it waits here."""
        if self._guess is None or event.generation != self._guess.generation:
            return False
        self._guess.events.append(event)
        self._prepare(self._guess, event)
        return True

    def _prepare(self, guess: Guess, event: ModelEvent) -> None:
        """Have the first thing that the reply says made, unless it does something before."""
        if guess.splitter is None or isinstance(event, ModelFailed):
            return
        if isinstance(event, ModelText):
            pieces = guess.splitter.feed(event.text)
        else:
            pieces = guess.splitter.finish()
        if not pieces:
            return
        guess.splitter = None
        if isinstance(pieces[0], Clause):
            guess.prepared = pieces[0].text
            self._do(Prepare(guess.prepared))

    def hear(self, text: str) -> None:
        """The turn has these words by now; other words than the guess's make it void."""
        if self._guess is not None and self._guess.text != text.strip():
            self.drop("more was said")

    def adopt(self, t: int, messages: tuple[dict[str, Any], ...]) -> Guess | None:
        """Return the guess if it answers these messages; the reply is the caller's from here on."""
        guess = self._guess
        if guess is not None and guess.messages != messages:
            self.drop("other words")
            guess = None
        if guess is not None:
            self._guess = None
            self._do(Note("speculation", {"used": True, "ahead_ms": t - guess.asked_at}))
        self._in_vain = 0
        return guess

    def drop(self, why: str) -> None:
        guess, self._guess = self._guess, None
        if guess is None:
            return
        self._in_vain += 1
        self._do(CancelModel())
        data: dict[str, Any] = {"used": False, "why": why}
        if guess.prepared:
            self._do(Forget())
            data["characters"] = len(guess.prepared)
        self._do(Note("speculation", data))
