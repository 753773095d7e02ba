"""Nova, which hears words and pauses: a turn ends where a pause is long enough.

A turn is what ``is_final`` pieces say until ``speech_final``; an ``UtteranceEnd`` with text still
pending ends it too, and one right after a ``speech_final`` means nothing.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

from deepgram.listen.v1.socket_client import AsyncV1SocketClient

from media.hearing import Hearing, Told, Unanswered
from media.providers import speech_client

UTTERANCE_END_MS = 1_000  # the least the service allows
LOWEST_ENDPOINTING_MS = 100


class Nova:
    """``/v1/listen``."""

    frames_at_once = 1
    reports_silence = False
    dies_unfed = True

    def __init__(self, hearing: Hearing, told: Told, unanswered: Unanswered) -> None:
        self._hearing = hearing
        self._told = told
        self._unanswered = unanswered
        self._finals: list[str] = []
        self._confidence = 1.0

    def connect(self) -> AbstractAsyncContextManager[AsyncV1SocketClient]:
        hearing = self._hearing
        socket: AbstractAsyncContextManager[AsyncV1SocketClient] = (
            speech_client().listen.v1.connect(
                model=hearing.model,
                language=hearing.language,
                encoding="mulaw",
                sample_rate=8000,
                channels=1,
                interim_results=True,
                endpointing=max(
                    LOWEST_ENDPOINTING_MS, hearing.max_silence_ms or hearing.eagerness_ms
                ),
                utterance_end_ms=UTTERANCE_END_MS,
                vad_events=True,
                smart_format=True,
                keyterm=list(hearing.keyterms) or None,
            )
        )
        return socket

    def take(self, message: Any) -> None:
        match getattr(message, "type", None):
            case "Results":
                self._take_results(message)
            case "UtteranceEnd" if self._finals:
                self._end_turn()
            case "Error":
                raise ConnectionError(str(getattr(message, "variant", "error")))

    def lost(self) -> None:
        """What is final stays; what is not comes again."""

    def _take_results(self, message: Any) -> None:
        alternatives = message.channel.alternatives
        text = alternatives[0].transcript.strip() if alternatives else ""
        if message.is_final:
            self._unanswered.answered(1000 * (message.start + message.duration))
            if text:
                self._finals.append(text)
                self._confidence = min(self._confidence, alternatives[0].confidence or 0.0)
            if message.speech_final:
                self._end_turn()
                return
        if text:
            so_far = self._finals if message.is_final else [*self._finals, text]
            self._told.words(" ".join(so_far))

    def _end_turn(self) -> None:
        text, confidence = " ".join(self._finals), self._confidence
        self._finals, self._confidence = [], 1.0
        if text:
            self._told.turn_end(text, confidence)
