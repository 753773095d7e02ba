"""Flux, which hears turns: it judges by voice and words whether the caller has finished, and says
when they may have.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

from deepgram.listen.v2.socket_client import AsyncV2SocketClient

from media.hearing import Hearing, Told, Unanswered
from media.providers import speech_client

# Silence after which a turn ends whatever the words sound like; the service's own 5 s are an
# awkward silence on the telephone.
TIMEOUT_MS = 2_500
LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS = 500, 60_000
EAGER_BELOW_END = 0.3
LEAST_EAGER = 0.3
MOST_END = 0.9
# Where nobody speaks, so much of the latest audio may be the beginning of a word.
ONSET_MS = 500
# Numbers are not written as digits in these languages, nor where the language is not known.
WITHOUT_NUMERALS = frozenset({"hi", "ja", "multi"})


def thresholds(hearing: Hearing) -> tuple[float, float, int]:
    """Return ``eager_eot_threshold``, ``eot_threshold`` and ``eot_timeout_ms``.

    ``response_eagerness`` says how sure the service must be: 0.5 at 0 ms, its default of 0.7 at
    200 ms, 0.9 at 1,000 ms, linear between them. ``stt_max_silence_ms`` is the silence that ends a
    turn in any case.
    """
    eagerness = hearing.eagerness_ms
    sure = 0.5 + eagerness / 1_000 if eagerness <= 200 else 0.65 + eagerness / 4_000
    end = round(min(sure, MOST_END), 3)
    eager = round(max(LEAST_EAGER, end - EAGER_BELOW_END), 3)
    silence = hearing.max_silence_ms or TIMEOUT_MS
    return eager, end, min(max(silence, LEAST_TIMEOUT_MS), MOST_TIMEOUT_MS)


class Flux:
    """``/v2/listen``. A turn's transcript is cumulative, and starts anew with each socket."""

    frames_at_once = 4  # 80 ms, as the service wants it; barge-in goes by our own ear
    reports_silence = True
    dies_unfed = False

    def __init__(self, hearing: Hearing, told: Told, unanswered: Unanswered) -> None:
        self._hearing = hearing
        self._told = told
        self._unanswered = unanswered
        self._before = ""  # words of this turn that an earlier socket heard
        self._text = ""
        self._window_end_ms = 0.0

    def connect(self) -> AbstractAsyncContextManager[AsyncV2SocketClient]:
        hearing = self._hearing
        eager, end, timeout_ms = thresholds(hearing)
        hinted = hearing.model == "flux-general-multi" and hearing.language != "multi"
        socket: AbstractAsyncContextManager[AsyncV2SocketClient] = (
            speech_client().listen.v2.connect(
                model=hearing.model,
                encoding="mulaw",
                sample_rate=8000,
                eager_eot_threshold=eager,
                eot_threshold=end,
                eot_timeout_ms=timeout_ms,
                keyterm=list(hearing.keyterms) or None,
                language_hint=[hearing.language] if hinted else None,
                numerals=None if hearing.language.split("-")[0] in WITHOUT_NUMERALS else True,
            )
        )
        return socket

    def take(self, message: Any) -> None:
        match getattr(message, "type", None):
            case "TurnInfo":
                self._take_turn(message)
            case "Error":
                raise ConnectionError(str(getattr(message, "code", "error")))

    def lost(self) -> None:
        """The turn is heard again from its beginning; of a very long one, what came since."""
        if self._unanswered.whole:
            self._before = ""
        else:
            self._before = self._text
            self._unanswered.answered(self._window_end_ms)
        self._window_end_ms = 0.0

    def _take_turn(self, turn: Any) -> None:
        heard = turn.transcript.strip()
        text = f"{self._before} {heard}".strip()
        self._window_end_ms = 1000 * turn.audio_window_end
        if turn.event == "EndOfTurn":
            self._before = self._text = ""
            self._unanswered.answered(self._window_end_ms)
            if text:
                self._told.turn_end(text, _confidence(turn.words))
            return
        if not text:
            self._unanswered.answered(self._window_end_ms - ONSET_MS)
            return
        if turn.event == "TurnResumed":
            self._told.resumed(text)
        if text != self._text:
            self._text = text
            self._told.words(text)
        if turn.event == "EagerEndOfTurn":
            self._told.may_end(text)


def _confidence(words: Any) -> float:
    """The mean of the words' own: the service gives none for the whole."""
    sure = [word.confidence for word in words]
    return sum(sure) / len(sure) if sure else 1.0
