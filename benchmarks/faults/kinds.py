"""The faults: how the sandbox is told of each, and what is to come of it."""

from dataclasses import dataclass, field
from typing import Any

OPENING = "Hello, this is Acme Dental."
FALLBACK = "Sorry, could you say that again?"
PROMPT = (
    "You are Mia of Acme Dental. We open at nine in the morning, and we close at five in the "
    "afternoon. There is parking behind the house."
)
HOURS, PARKING = "When are you open?", "Where can I park my car?"
LONG = (
    "Hello, my tooth has been hurting since last Monday, and I would like to come and see you as "
    "soon as I can. When are you open?"
)
GOODBYE = "Thank you."

NINE, FIVE, AGAIN = r"(9|nine)", r"(5|five)", r"say that again"
ANSWERED = (NINE, FIVE)
HAIKU = {"only": "haiku", "asked": "open"}  # the first model, asked about the hours


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A fault: ``faults`` by part, narrowed down to the call when it is placed.

    The person asks ``asks``, takes their turn after ``waits_s`` of silence, and asks something
    else. ``hears``: patterns that are heard in this order before that, and no part of the answer
    twice; ``events`` are on the call's record, with such data; ``counted`` are labels of the
    provider errors' metric.
    """

    name: str
    what: str
    faults: dict[str, list[dict[str, Any]]]
    hears: tuple[str, ...] = ANSWERED
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    counted: tuple[tuple[str, str], ...] = ()
    asks: str = HOURS
    waits_s: float = 0.0
    patience_s: float = 30.0
    goes_on: bool = True
    before_a_word: bool = field(default=False)  # it is not even greeted


def _event(name: str, **data: Any) -> tuple[str, dict[str, Any]]:
    return name, data


_ABSENCE = {"kind": "gone", "after_speech_s": 0.3, "count": 1}

KINDS = (
    Kind(
        name="transcriber gone for good",
        what="transcriber: gone for 20 s, three times in a row",
        faults={"transcriber": [_ABSENCE]},
        hears=("can't hear you", "technical problem", "goodbye"),
        events=(_event("transcriber_lost"), _event("deaf_too_long")),
        counted=(("transcriber", "ConnectionClosedError"), ("transcriber", "refused 503")),
        patience_s=60.0,
        goes_on=False,
    ),
    Kind(
        name="transcriber gone for a while",
        what="transcriber: gone for more than 10 s while the caller spoke",
        faults={"transcriber": [_ABSENCE | {"seconds": 14}]},
        hears=("couldn't hear you", AGAIN),
        events=(_event("transcriber_lost"), _event("hears_again")),
        counted=(("transcriber", "ConnectionClosedError"), ("transcriber", "refused 503")),
    ),
    Kind(
        name="transcriber closed",
        what="transcriber: the socket closes while the caller speaks",
        faults={"transcriber": [{"kind": "close", "after_speech_s": 0.3, "count": 1}]},
        events=(_event("transcriber_lost", error="ConnectionClosedError"), _event("hears_again")),
        counted=(("transcriber", "ConnectionClosedError"),),
    ),
    Kind(
        name="transcriber silent",
        what="transcriber: the socket is open and says nothing to 4 s of voice",
        faults={"transcriber": [{"kind": "silent", "count": 1}]},
        events=(_event("transcriber_lost", error="silent"), _event("hears_again")),
        counted=(("transcriber", "silent"),),
        asks=LONG,
    ),
    Kind(
        name="transcriber refused",
        what="transcriber: upgrades refused (429), one accepted within 10 s",
        faults={"transcriber": [{"kind": "refuse", "count": 3}]},
        events=(_event("transcriber_lost", error="refused 429", tries=3),),
        counted=(("transcriber", "refused 429"),),
    ),
    Kind(
        name="model overloaded",
        what="model: overloaded (529)",
        faults={"model": [{"kind": "overloaded", **HAIKU}]},
        events=(_event("model_failed", error="overloaded_error", spoken=False),),
        counted=(("model", "overloaded_error"),),
    ),
    Kind(
        name="model stalled",
        what="model: stalled before its first word",
        faults={"model": [{"kind": "stall", "after_tokens": 0, **HAIKU}]},
        events=(_event("model_failed", error="stalled", spoken=False),),
        counted=(("model", "stalled"),),
    ),
    Kind(
        name="model broken off",
        what="model: broken off before its first word",
        faults={"model": [{"kind": "drop", "after_tokens": 0, **HAIKU}]},
        events=(_event("model_failed", error="broken off", spoken=False),),
        counted=(("model", "broken off"),),
    ),
    Kind(
        name="model refuses",
        what="model: refuses",
        faults={"model": [{"kind": "refusal", **HAIKU}]},
        events=(_event("model_failed", error="refusal", spoken=False),),
        counted=(("model", "refusal"),),
    ),
    Kind(
        name="both models overloaded",
        what="model: both of them",
        faults={"model": [{"kind": "overloaded", "asked": "open"}]},
        hears=(AGAIN,),
        events=(
            _event("model_failed", error="overloaded_error", tries=1),
            _event("model_failed", error="overloaded_error", tries=2),
        ),
        counted=(("model", "overloaded_error"), ("model", "overloaded_error")),
    ),
    Kind(
        name="model stalled behind a sentence",
        what="model: stalled behind a whole sentence",
        faults={"model": [{"kind": "stall", "after_text": "afternoon. Is", **HAIKU}]},
        events=(
            _event("model_failed", error="stalled", spoken=True),
            _event("model_continued", went_on=True),
        ),
        counted=(("model", "stalled"),),
        waits_s=9.0,
    ),
    Kind(
        name="model broken in half a sentence",
        what="model: broken off in half a sentence that was spoken",
        faults={"model": [{"kind": "drop", "after_text": "morning, and", **HAIKU}]},
        events=(
            _event("model_failed", error="broken off", spoken=True),
            _event("model_continued", went_on=True),
        ),
        counted=(("model", "broken off"),),
        waits_s=3.0,
    ),
    Kind(
        name="both models broken in half a sentence",
        what="model: broken off in half a sentence, and the second model overloaded",
        faults={
            "model": [
                {"kind": "drop", "after_text": "morning, and", **HAIKU},
                {"kind": "overloaded", "asked": "cut off"},
            ]
        },
        hears=(NINE, AGAIN),
        events=(
            _event("model_failed", error="broken off", spoken=True),
            _event("model_failed", error="overloaded_error", spoken=True),
        ),
        counted=(("model", "broken off"), ("model", "overloaded_error")),
        waits_s=3.0,
    ),
    Kind(
        name="voice socket refused",
        what="voice: the socket is refused (429)",
        faults={"voice": [{"kind": "refuse"}]},
        events=(_event("voice_lost", error="ApiError"),),
        counted=(("voice", "ApiError"),),
    ),
    Kind(
        name="voice lost between clauses",
        what="voice: the socket is lost between two clauses",
        faults={"voice": [{"kind": "close", "only": "morning", "count": 1}]},
        events=(_event("voice_lost", error="ConnectionClosedError"),),
        counted=(("voice", "ConnectionClosedError"),),
    ),
    Kind(
        name="voice silent",
        what="voice: the socket is open and says nothing for 4 s",
        faults={"voice": [{"kind": "silent", "only": "morning", "count": 1}]},
        events=(_event("voice_lost", error="TimeoutError"),),
        counted=(("voice", "TimeoutError"),),
    ),
    Kind(
        name="voice broken in a clause",
        what="voice: lost in the middle of a clause",
        faults={"voice": [{"kind": "break_off", "only": "morning", "count": 1}]},
        hears=(FIVE,),
        events=(_event("voice_failed", error="broken off: ConnectionClosedError"),),
        counted=(("voice", "ConnectionClosedError"),),
        waits_s=2.0,
    ),
    Kind(
        name="voice gone",
        what="voice: refused by REST as well, twice in a row",
        faults={"voice": [{"kind": "refuse"}], "voice_rest": [{"kind": "refuse"}]},
        hears=("technical problem", "end this call", "goodbye"),
        events=(_event("voice_failed"), _event("voice_failed")),
        counted=(("voice", "ApiError"), ("voice_rest", "ApiError"), ("voice_rest", "ApiError")),
        goes_on=False,
        before_a_word=True,
    ),
)
