"""What the person at the other end has heard: a clock estimate, and marks that correct it."""

from dataclasses import dataclass

# Audio that left us is in the ear this much later (carrier and jitter buffer).
WAY_TO_THE_EAR_MS = 100
# A mark that is this late after the estimated end is not coming: the clause counts as heard.
MARK_GRACE_MS = 1_500
# Speaking pace before any clause of a call has been measured.
MS_PER_CHARACTER = 65


@dataclass(slots=True)
class Spoken:
    """One clause on its way to the ear. Times are ms of the driver's clock."""

    clause_id: int
    text: str
    asked_at: int
    starts: int | None = None  # when its audio begins to play, as estimated
    audio_ms: int = 0  # how much of it went out so far
    complete: bool = False
    heard: bool = False

    def words_heard(self, t: int) -> str:
        """The words that had been played in full at ``t``, by their share of the clause's
        length.
        """
        if self.heard:
            return self.text
        if self.starts is None:
            return ""
        played = min(t - WAY_TO_THE_EAR_MS - self.starts, self.audio_ms)
        length = self.audio_ms
        if not self.complete:
            length = max(length, len(self.text) * MS_PER_CHARACTER)
        if played <= 0 or length <= 0:
            return ""
        reach = len(self.text) * played / length
        cut = 0
        for index, char in enumerate(self.text + " "):
            if char == " ":
                if index > reach:
                    break
                cut = index
        return self.text[:cut]


class Playout:
    """The clauses that were asked to be spoken and are not yet known to be heard or dropped."""

    def __init__(self) -> None:
        self.clauses: list[Spoken] = []
        self.play_end = 0  # when everything sent so far will have been played
        self.paused_at: int | None = None

    def add(self, t: int, clause_id: int, text: str) -> None:
        self.clauses.append(Spoken(clause_id, text, asked_at=t))

    def find(self, clause_id: int) -> Spoken | None:
        return next((clause for clause in self.clauses if clause.clause_id == clause_id), None)

    def audio(self, t: int, clause_id: int, ms: int) -> None:
        if (clause := self.find(clause_id)) is None:
            return
        start = max(t, self.play_end)
        if clause.starts is None:
            clause.starts = start
        clause.audio_ms += ms
        self.play_end = start + ms

    def sent(self, clause_id: int) -> None:
        if (clause := self.find(clause_id)) is not None:
            clause.complete = True
            if clause.audio_ms == 0:
                clause.heard = True

    def pause(self, t: int) -> None:
        """The line fell silent; what was not heard waits."""
        self.paused_at = t

    def resume(self, t: int) -> None:
        """It goes on with what was on its way to the ear: nothing is lost, a moment said twice."""
        if self.paused_at is None:
            return
        cut = self.paused_at - WAY_TO_THE_EAR_MS
        later = t - cut
        for clause in self.clauses:
            if clause.starts is None or clause.heard or clause.starts + clause.audio_ms <= cut:
                continue
            clause.starts += later
        self.play_end += later
        self.paused_at = None

    def heard(self, t: int, clause_id: int) -> None:
        """A mark came back. Of a clause that was cleared it says nothing."""
        if self.find(clause_id) is None:
            return
        for clause in self.clauses:
            if clause.clause_id <= clause_id:
                clause.heard = clause.complete = True
        if self.paused_at is not None:
            return
        self.play_end = t + sum(clause.audio_ms for clause in self.clauses if not clause.heard)

    def fail(self, clause_id: int) -> None:
        """No more of this clause is coming: it ends where its audio ends, or never began."""
        clause = self.find(clause_id)
        if clause is not None and clause.audio_ms == 0:
            self.clauses.remove(clause)
        elif clause is not None:
            clause.text = clause.words_heard(self.play_end + WAY_TO_THE_EAR_MS)
            clause.complete = True

    def started_at(self) -> int | None:
        """When the first of the clauses began to play."""
        return min((c.starts for c in self.clauses if c.starts is not None), default=None)

    def first_waiting(self) -> int | None:
        """The first clause that has not all gone out."""
        return next((c.clause_id for c in self.clauses if not c.complete), None)

    def waiting_since(self) -> int | None:
        return next((c.asked_at for c in self.clauses if not c.complete), None)

    def audible(self) -> bool:
        """Whether audio is playing, or on its way: then silence needs a clear."""
        return any(clause.starts is not None and not clause.heard for clause in self.clauses)

    def all_heard(self) -> bool:
        return all(clause.heard for clause in self.clauses)

    def overdue_at(self) -> int | None:
        """When clauses whose marks never came count as heard."""
        waiting = any(clause.complete and not clause.heard for clause in self.clauses)
        return self.play_end + MARK_GRACE_MS if waiting and self.paused_at is None else None

    def take_overdue(self, t: int) -> None:
        due = self.overdue_at()
        if due is not None and t >= due:
            for clause in self.clauses:
                if clause.complete:
                    clause.heard = True

    def cut(self, t: int) -> str:
        """Drop everything; return the words that had been heard at ``t``, or before a pause."""
        heard = self.heard_text(t if self.paused_at is None else self.paused_at)
        self.clauses = []
        self.paused_at = None
        self.play_end = t
        return heard

    def heard_text(self, t: int) -> str:
        return " ".join(filter(None, (clause.words_heard(t) for clause in self.clauses)))
