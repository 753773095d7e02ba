"""One reply of the agent, from the moment it is due until it was heard or cut."""

from dataclasses import dataclass, field
from typing import Literal

from calls.transfer_rules import Destination
from media.clauses import ClauseSplitter

NO_REPLY = -1  # the generation of what is asked for without a reply that waits for it
Kind = Literal["opening", "answer", "fallback", "nudge", "farewell", "voicemail"]


@dataclass(slots=True)
class Reply:
    """At most one is alive in a call; its ``generation`` tells its model text from an earlier
    one's.
    """

    generation: int
    kind: Kind
    asked_at: int
    # The end of the caller's speech that this answers; None if it answers nobody.
    speech_ended: int | None = None
    endpoint_at: int | None = None
    splitter: ClauseSplitter = field(default_factory=ClauseSplitter)
    written: list[str] = field(default_factory=list)  # clauses in order, spoken or not
    held: list[str] = field(
        default_factory=list
    )  # clauses that wait for the beat before the opening
    hold: bool = False
    done: bool = False  # nothing more will be written
    tries: int = 1
    ends: str = ""  # the ended_reason, if the call ends when this was heard
    goes_to: Destination | None = None  # whom the caller is put through to when this was heard
    not_put_through: str = ""  # why the caller stays with us though the model wanted otherwise
    patience: int = 0  # ms of further silence that are allowed after it
    interruptible: bool = True
    may_be_silent: bool = False  # a reply of no words is one
    presses: bool = False  # keys are pressed in it
    played_until: int = 0  # when it had been heard
    turns_before: int = 0  # that it answers
    note: str = ""  # the engine's word to the model about it
    rounds: int = 0  # of tools
    filler: str = ""  # said while tools are in use, if they take their time
    filler_at: int = 0
    proposes: bool = False  # it ends with the engine's own question before a write
    said_first: int = 0  # clauses of the engine's own, before the model's
    written_before: int = 0  # clauses written before tools were last in use
    broken_at: int | None = None  # clauses written when the second model was to go on
    done_tags: set[str] = field(default_factory=set)  # names of tags that cannot be undone
    tools_due: int | None = None  # while tools are in use: when they are given up
    model_at: int | None = None
    text_at: int = 0  # when the model wrote last
    clause_at: int | None = None
    audio_at: int | None = None
    frame_at: int | None = None

    @property
    def full_text(self) -> str:
        return " ".join(self.written)

    @property
    def own_words(self) -> list[str]:
        """The clauses that the model wrote, or that were said in its stead."""
        return self.written[self.said_first :]

    @property
    def said_since(self) -> list[str]:
        """The clauses since tools were last in use: what the model wrote when it was asked last."""
        return self.written[self.written_before :]

    @property
    def may_be_cut(self) -> bool:
        """Whether the caller's words can stop it: not while a tool acts on the world."""
        return self.interruptible and self.tools_due is None

    @property
    def takes_leave(self) -> bool:
        """Whether the caller is let go of after it: thanks and goodbyes do not interrupt that."""
        return bool(self.ends) or self.goes_to is not None

    @property
    def is_empty(self) -> bool:
        """Whether the model wrote nothing that can be said or done."""
        acts = self.takes_leave or self.patience or self.not_put_through or self.may_be_silent
        return not self.own_words and not acts

    @property
    def asks(self) -> bool:
        return self.done and bool(self.written) and self.written[-1].endswith("?")

    def timings(self, *, heard_at: int) -> dict[str, int]:
        """The waterfall of an answer, in ms after the caller fell silent; empty where nobody was
        answered. ``heard_at`` is when it had been heard, or was cut.
        """
        if self.speech_ended is None:
            return {}
        steps = {
            "endpoint_ms": self.endpoint_at,
            "first_token_ms": self.model_at,
            "first_clause_ms": self.clause_at,
            "first_audio_ms": self.audio_at,
            "first_frame_ms": self.frame_at,
            "heard_ms": heard_at,
        }
        return {
            name: max(0, at - self.speech_ended) for name, at in steps.items() if at is not None
        }
