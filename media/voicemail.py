"""Who or what answered an outbound call: a person, voicemail, a call screener or a phone menu.

Pure: no clock, no sockets. All times are ms since the call was answered. Hanging up on a person
is the error that matters most, so a phrase counts by how unlikely a person is to say it, and
less in a question, beside words that show a person (``guard``), and in a reply to the agent.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from calls.machines import BY_CARRIER, BY_TRANSCRIPT, is_machine

from .phrases import Phrase, Words, normalise, search


class Answer(StrEnum):
    """What is at the other end."""

    UNDECIDED = "undecided"
    HUMAN = "human"
    VOICEMAIL = "voicemail"
    SCREENING = "screening"
    MENU = "menu"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What answered, as known at ``at_ms``; ``phrase`` is the id of the most telling phrase."""

    answer: Answer
    method: str | None = None
    phrase: str = ""
    confidence: float = 0.0
    at_ms: int = 0

    @property
    def machine(self) -> bool:
        """A machine of any kind answered; only ``voicemail`` is one to hang up on."""
        return self.answer in (Answer.VOICEMAIL, Answer.SCREENING, Answer.MENU)


_NEXT = {
    Answer.UNDECIDED: {Answer.HUMAN, Answer.VOICEMAIL, Answer.SCREENING, Answer.MENU},
    Answer.HUMAN: {Answer.VOICEMAIL, Answer.SCREENING, Answer.MENU},
    Answer.SCREENING: {Answer.HUMAN, Answer.VOICEMAIL, Answer.MENU},
    Answer.MENU: {Answer.HUMAN, Answer.VOICEMAIL, Answer.SCREENING},
    Answer.VOICEMAIL: set[Answer](),
}
"""A screener or a menu may still hand over to a person or to voicemail; voicemail is the end."""

_WEIGHT = {"decisive": 1.0, "strong": 0.7, "weak": 0.35}
_ENOUGH = 1.0
_ENOUGH_INTERIM = 1.3  # without a decisive phrase: the rest of the sentence may turn it round
_ENOUGH_AT_TURN_END = 0.7  # said, and then silence, as before a beep
_ENOUGH_WITH_BEEP = 0.35
_REPLY = 0.5  # weight of what is said in answer to the agent
_LATE = 0.6  # weight of a decisive phrase after the opening, once somebody has replied
_OPENING_MS = 12_000
_GUARD = 0.5  # what each sentence that only a person says takes from the weaker evidence
_GUARD_REACH = 6  # words before a decisive phrase within which a guard turns it round
_LONG, _VERY_LONG = 10, 18  # words said in one go, which few people do on picking up
_MONOLOGUE = 12  # words before a beep that need no phrase: a greeting in any language
_REPLY_AFTER_MS = 700  # who begins sooner after the agent did was not answering it
_TAIL = 8  # words of the last final in which a phrase may have begun
_GREETING = 4  # words at most
_ECHO = 3  # words at most of "Leave a message?" from a person, heard without its question mark
_REPLIES_OF_A_PERSON = 2


@dataclass(slots=True)
class _Reading:
    """What some words say about who speaks."""

    evidence: dict[Phrase, float] = field(default_factory=dict)
    guards: int = 0
    greets: bool = False
    asks: bool = False

    def add(self, other: "_Reading") -> None:
        for phrase, weight in other.evidence.items():
            self.evidence[phrase] = max(weight, self.evidence.get(phrase, 0.0))
        self.guards += other.guards
        self.greets |= other.greets
        self.asks |= other.asks

    def score(self, answer: Answer, words: int) -> tuple[float, str, bool]:
        """Return how much speaks for ``answer``, the most telling phrase, and if it decides."""
        found = [(w, p) for p, w in self.evidence.items() if p.answer == answer]
        if not found:
            return 0.0, "", False
        decisive = sum(w for w, p in found if p.strength == "decisive")
        other = sum(w for w, p in found if p.strength != "decisive")
        if answer is Answer.VOICEMAIL:
            if other and not self.guards and not self.asks:
                other += 0.3 if words >= _VERY_LONG else 0.15 if words >= _LONG else 0.0
            other -= _GUARD * self.guards
        most_telling = max(found, key=lambda weighed: weighed[0])[1]
        return decisive + max(0.0, other), most_telling.id, decisive >= _ENOUGH


@dataclass(slots=True)
class _Turn:
    """What the far end said since it last fell silent."""

    reply: bool = False  # said after the agent, not over it
    answers: bool = False  # the first since the agent spoke
    words: int = 0
    said: _Reading = field(default_factory=_Reading)


class AnswerClassifier:
    """Listens to the beginning of an outbound call and says what answered.

    Every event method returns the new ``Verdict`` when the event changed it, else None;
    ``verdict`` is the present one. ``human`` is a provisional verdict until ``settled``. The
    first machine verdict wins over AMD for good. A screener or a menu may hand over to a person
    or to voicemail; voicemail is the end. Transcripts are those of the far end only.
    """

    def __init__(self) -> None:
        self.verdict = Verdict(Answer.UNDECIDED)
        self.settled = False
        """True after voicemail, or when two real replies have shown a person: events are free."""
        self.beep_promised = False
        """The far end has said that a tone follows its greeting."""
        self._said = _Reading()  # all finals since the last machine verdict
        self._last_final = Words()
        self._turn: _Turn | None = None
        self._longest = 0  # words of the longest turn that was no reply
        self._first_ms: int | None = None
        self._agent_ms: int | None = None  # when the agent began, if nobody has spoken since
        self._in_reply = False
        self._replies = 0
        self._interim = _Reading()
        self._nearly: Answer | None = None  # what the last interim would have decided

    def heard(
        self, text: str, at_ms: int, *, final: bool, started_ms: int | None = None
    ) -> Verdict | None:
        """Take a transcript: an interim is replaced by what comes next, a final stands.

        ``started_ms`` is when the words began, if the transcriber says so; else ``at_ms``.
        """
        if self.settled or not (fresh := normalise(text)).words:
            return None
        started_ms = at_ms if started_ms is None else started_ms
        turn = self._turn = self._turn or self._new_turn(started_ms)
        reading = self._read(fresh, turn, at_ms, fuzzy=final)
        count = turn.words + len(fresh.words)
        if final:
            self._said.add(reading)
            turn.said.add(reading)
            turn.words = count
            if not turn.reply:
                self._longest = max(self._longest, count)
            self._last_final, self._interim, self._nearly = fresh, _Reading(), None
            return self._decide(self._said, count, _ENOUGH, at_ms)
        self._interim = reading
        so_far = _Reading()
        so_far.add(self._said)
        so_far.add(reading)
        return self._decide_interim(so_far, count, at_ms)

    def turn_ended(self, at_ms: int) -> Verdict | None:
        """The far end fell silent after its last final."""
        turn, self._turn = self._turn, None
        if self.settled or turn is None or not turn.words:
            return None
        said = turn.said
        greeting = turn.words <= _GREETING and (said.greets or said.guards > 0)
        telling = any(phrase.strength != "weak" for phrase in said.evidence)
        if not self.verdict.machine and turn.answers and not telling and not greeting:
            self._replies += 1
            if self._replies >= _REPLIES_OF_A_PERSON:
                self.settled = True
                return self._change(Answer.HUMAN, BY_TRANSCRIPT, "", 0.95, at_ms)
        person = said.asks or said.guards > 0
        echo = turn.words <= _ECHO
        enough = _ENOUGH if turn.reply or person or echo else _ENOUGH_AT_TURN_END
        if verdict := self._decide(self._said, turn.words, enough, at_ms):
            return verdict
        if self.verdict.machine:
            # A menu asks and apologises too; a person who is put through says hello.
            is_person = greeting and not said.evidence
        else:
            is_person = person or (
                not said.evidence and (said.greets or turn.reply or turn.words <= _GREETING)
            )
        if not is_person:
            return None
        return self._change(Answer.HUMAN, BY_TRANSCRIPT, "", 0.8 if person else 0.6, at_ms)

    def agent_started(self, at_ms: int) -> None:
        """Our own voice began to play to the far end."""
        self._agent_ms = at_ms

    def amd(self, answered_by: str, at_ms: int) -> Verdict | None:
        """Take Twilio's ``AnsweredBy``.

        A machine's verdict counts unless another machine verdict came first or the far end has
        talked *with* us (AMD goes by length, and takes a receptionist's greeting for a machine).
        ``human`` is noted if nothing is known yet; ``unknown`` says nothing.
        """
        if self.settled or self.verdict.machine:
            return None
        if is_machine(answered_by):
            guards = self._said.guards + self._interim.guards
            if self._replies or (guards and not self._said.evidence):
                return None
            return self._change(Answer.VOICEMAIL, BY_CARRIER, "", 0.9, at_ms)
        if answered_by == "human" and self.verdict.answer is Answer.UNDECIDED:
            return self._change(Answer.HUMAN, BY_CARRIER, "", 0.6, at_ms)
        return None

    def beep(self, at_ms: int) -> Verdict | None:
        """A single tone was heard (``media.beep``). Alone it proves nothing."""
        if self.settled or self._replies or self.verdict.answer is Answer.SCREENING:
            return None
        score, phrase, _ = self._said.score(Answer.VOICEMAIL, self._longest)
        person = bool(self._said.guards or self._said.asks)
        menu = self.verdict.answer is Answer.MENU  # talks at length, and its queue may beep
        monologue = self._longest >= _MONOLOGUE and not person and not menu
        if score >= (_ENOUGH_AT_TURN_END if menu else _ENOUGH_WITH_BEEP) or monologue:
            return self._change(Answer.VOICEMAIL, BY_TRANSCRIPT, phrase, 0.8, at_ms)
        return None

    def _new_turn(self, started_ms: int) -> _Turn:
        if self._first_ms is None:
            self._first_ms = started_ms
        agent_ms, self._agent_ms = self._agent_ms, None
        if agent_ms is not None:
            self._last_final = Words()  # nobody goes on with a phrase after the agent spoke
            self._in_reply = started_ms >= agent_ms + _REPLY_AFTER_MS
        return _Turn(reply=self._in_reply, answers=self._in_reply and agent_ms is not None)

    def _read(self, fresh: Words, turn: _Turn, at_ms: int, *, fuzzy: bool) -> _Reading:
        text = fresh.after(self._last_final, _TAIL)
        tail = len(text.words) - len(fresh.words)
        hits = [hit for hit in search(text.words, fuzzy=fuzzy) if hit.end > tail]
        guards = [hit for hit in hits if hit.phrase.answer == "guard"]
        guarded = {text.sentence_of[guard.start] for guard in guards}
        opened = self._first_ms is not None and at_ms > self._first_ms + _OPENING_MS
        reading = _Reading(guards=len(guarded))
        reading.asks = any(sentence in text.questions for sentence in text.sentence_of[tail:])
        for hit in hits:
            phrase, sentence = hit.phrase, text.sentence_of[hit.end - 1]
            if phrase.answer == "greeting":
                reading.greets |= hit.start == tail
            if not phrase.strength or sentence in text.questions:
                continue
            weight = _WEIGHT[phrase.strength]
            if phrase.strength == "decisive":
                if any(g.start <= hit.start <= g.end + _GUARD_REACH for g in guards):
                    continue
                weight *= _LATE if opened and self._replies else 1.0
            elif sentence in guarded:
                continue
            else:
                weight *= _REPLY if turn.reply else 1.0
            reading.evidence[phrase] = weight
            self.beep_promised |= phrase.promises_beep
        return reading

    def _decide(self, said: _Reading, words: int, enough: float, at_ms: int) -> Verdict | None:
        best = self._best(said, words)
        if best is None or best[1] < enough:
            return None
        answer, score, phrase, decisive = best
        confidence = 0.95 if decisive else min(0.9, 0.5 + 0.3 * score)
        return self._change(answer, BY_TRANSCRIPT, phrase, confidence, at_ms)

    def _decide_interim(self, said: _Reading, words: int, at_ms: int) -> Verdict | None:
        """Decide before the final only on what two interims in a row say."""
        best = self._best(said, words)
        if best is None or (best[1] < _ENOUGH_INTERIM and not best[3]):
            self._nearly = None
            return None
        before, self._nearly = self._nearly, best[0]
        return self._decide(said, words, _ENOUGH, at_ms) if before is best[0] else None

    def _best(self, said: _Reading, words: int) -> tuple[Answer, float, str, bool] | None:
        """The machine with most to say for it; a decisive screener before voicemail, then menu."""
        if not said.evidence:
            return None
        scored = [
            (answer, *said.score(answer, words))
            for answer in (Answer.SCREENING, Answer.VOICEMAIL, Answer.MENU)
            if answer in _NEXT[self.verdict.answer]
        ]
        decisive = [candidate for candidate in scored if candidate[3]]
        return decisive[0] if decisive else max(scored, key=lambda candidate: candidate[1])

    def _change(
        self, answer: Answer, method: str, phrase: str, confidence: float, at_ms: int
    ) -> Verdict | None:
        if answer not in _NEXT[self.verdict.answer]:
            return None
        was_machine = self.verdict.machine
        self.verdict = Verdict(answer, method, phrase, round(confidence, 2), at_ms)
        self._nearly = None
        if was_machine or self.verdict.machine:
            self._said = _Reading()  # what comes next must speak for itself
        if answer is Answer.VOICEMAIL:
            self.settled = True
        return self.verdict


_AFTER_BEEP_MS = 200
_GREETING_OVER_MS = 1_000
_PROMISED_BEEP_MS = 3_000  # a silence before a beep that was promised
_WAIT_AT_MOST_MS = 25_000
_GREETING_GOES_ON_MS = 600  # speech over our message that is more than a click or an echo
_RESTARTS = 2


class MessageMoment:
    """Says when to begin speaking a message to voicemail, so that it is recorded whole.

    After the beep; else 1 s into the silence after the greeting (3 s where a beep was promised);
    else 25 s after the answer. Make one when voicemail is the verdict and a message is wanted,
    feed it, and begin when ``due_ms`` has come. If the greeting goes on or the beep comes while
    the message plays, the method that noticed returns True: stop, and begin again when due.
    """

    def __init__(
        self, *, speaking: bool, at_ms: int, beep_promised: bool = False, answered_ms: int = 0
    ) -> None:
        """``speaking``: is the greeting still going on at ``at_ms``, or silent since then?"""
        self._latest_ms = answered_ms + _WAIT_AT_MOST_MS
        self._wait_ms = _PROMISED_BEEP_MS if beep_promised else _GREETING_OVER_MS
        self._restarts = 0
        self._speech_ms: int | None = at_ms if speaking else None
        self._began_ms: int | None = None
        self._beeped = False
        self.due_ms = self._latest_ms
        """When to begin; it moves with each event."""
        if not speaking:
            self.silent(at_ms)

    def began(self, at_ms: int) -> None:
        """The message's first audio was sent."""
        self._began_ms, self._speech_ms = at_ms, None

    def speaking(self, at_ms: int) -> bool:
        """The far end speaks at ``at_ms``; call repeatedly while it does. True: begin again."""
        if self._speech_ms is None:
            self._speech_ms = at_ms
        if self._began_ms is None:
            if not self._beeped:
                self.due_ms = self._latest_ms
            return False
        if self._beeped or at_ms - self._speech_ms < _GREETING_GOES_ON_MS:
            return False
        return self._again(at_ms + _WAIT_AT_MOST_MS)

    def silent(self, at_ms: int) -> None:
        """The far end fell silent at ``at_ms``."""
        self._speech_ms = None
        if self._began_ms is None and not self._beeped:
            self.due_ms = min(self._latest_ms, at_ms + self._wait_ms)

    def beep(self, ended_ms: int) -> bool:
        """The tone ended at ``ended_ms``. True: the message had begun and must begin again."""
        if self._beeped:
            return False
        again = self._began_ms is not None and self._again(ended_ms)
        if self._began_ms is None:
            self._beeped = True
            self.due_ms = ended_ms + _AFTER_BEEP_MS
        return again

    def _again(self, latest_ms: int) -> bool:
        if self._restarts >= _RESTARTS:
            return False
        self._restarts += 1
        self._began_ms = None
        self._latest_ms = self.due_ms = latest_ms
        return True
