"""Plays a conversation to the machine: events in, what it asked for out."""

from typing import Any, cast

from calls.live import LiveCall, SpokenTurn
from media.conversation import Conversation
from media.events import (
    Action,
    AskModel,
    ClauseAudio,
    ClauseSent,
    Clear,
    Event,
    HangUp,
    Heard,
    ModelDone,
    ModelText,
    Note,
    Opened,
    Speak,
    StoreTurn,
    Tick,
    TurnEnded,
    Words,
)
from media.factories import LiveCallFactory

OPENING = "Hello, how can I help you today?"
LONG = "We are open from nine to five on every weekday and from ten to two on Saturdays."


class Play:
    """A conversation and everything it has asked for so far. Times only move forward."""

    def __init__(self, **settings: Any) -> None:
        self.machine = Conversation(cast("LiveCall", LiveCallFactory(**settings)))
        self.t = 0
        self.actions: list[Action] = []

    def at(self, t: int) -> "Play":
        """Let time pass, waking the machine whenever it asked to be."""
        while (wake := self.machine.wake_at) is not None and wake <= t:
            self.t = max(self.t, wake)
            self._take(Tick(self.t))
        self.t = t
        return self

    def feed(self, event: Event) -> list[Action]:
        return self._take(event)

    def _take(self, event: Event) -> list[Action]:
        actions = self.machine.handle(event)
        self.actions += actions
        return actions

    def open(self) -> list[Action]:
        return self.feed(Opened(self.t))

    def model_says(self, text: str, *, done: bool = True) -> list[Action]:
        asked = self.all(AskModel)[-1]
        actions = self.feed(ModelText(self.t, asked.generation, text))
        if done:
            actions += self.feed(ModelDone(self.t, asked.generation))
        return actions

    def send(self, *milliseconds: int, complete: bool = True) -> None:
        """Send audio for the clauses that are asked for and have none, in their order."""
        clauses = [c for c in self.machine._agent.playout.clauses if c.starts is None]
        for clause, ms in zip(clauses, milliseconds, strict=False):
            self.feed(ClauseAudio(self.t, clause.clause_id, ms))
            if complete:
                self.feed(ClauseSent(self.t, clause.clause_id))

    def mark(self, clause_id: int) -> list[Action]:
        return self.feed(Heard(self.t, clause_id))

    def hears(self, text: str) -> list[Action]:
        return self.feed(Words(self.t, text))

    def caller_says(self, text: str, *, speech_ended: int | None = None) -> list[Action]:
        self.hears(text)
        ended = self.t if speech_ended is None else speech_ended
        return self.feed(TurnEnded(self.t, text, ended))

    def all[A](self, kind: type[A]) -> list[A]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def spoken(self) -> list[str]:
        return [speak.text for speak in self.all(Speak)]

    @property
    def turns(self) -> list[tuple[str, str]]:
        return [(store.turn.role, store.turn.text) for store in self.all(StoreTurn)]

    @property
    def last_turn(self) -> SpokenTurn:
        return self.all(StoreTurn)[-1].turn

    @property
    def notes(self) -> list[str]:
        return [note.kind for note in self.all(Note)]

    def notes_of(self, kind: str) -> list[Note]:
        return [note for note in self.all(Note) if note.kind == kind]

    @property
    def hung_up(self) -> str | None:
        ends = self.all(HangUp)
        return ends[-1].reason if ends else None

    @property
    def clears(self) -> int:
        return len(self.all(Clear))


def answering(**settings: Any) -> Play:
    """A call in which the caller has asked something and the model is about to write."""
    play = Play(inbound=True, speaks_first=False, **settings)
    play.open()
    play.at(1_000).caller_says("When are you open?", speech_ended=700)
    return play


def speaking(text: str = LONG, ms: int = 5_000, **settings: Any) -> Play:
    """The same, with the answer playing since t=1200."""
    play = answering(**settings)
    play.at(1_200).model_says(text)
    play.send(ms)
    return play
