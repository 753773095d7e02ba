"""Which faults there are, and what may be set of each: ``docs/sandbox.md`` says what they do."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

Rule = Callable[[Any], str]
"""What a value must be, where it is not that; ``""`` where it is."""


def _number(low: float, high: float) -> Rule:
    def rule(value: Any) -> str:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number and low <= value <= high else f"a number from {low:g} to {high:g}"

    return rule


def _whole(low: int, high: int) -> Rule:
    def rule(value: Any) -> str:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and low <= value <= high else f"a whole number from {low} to {high}"

    return rule


def _one_of(*choices: str) -> Rule:
    return lambda value: "" if value in choices else f"one of {', '.join(choices)}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "a text"


def _texts(value: Any) -> str:
    texts = value if isinstance(value, list) else [value]
    return "a text or a list of texts" if not texts or any(map(_text, texts)) else ""


def _range(value: Any) -> str:
    seconds = _number(0, 600)
    good = isinstance(value, list | tuple) and len(value) == 2 and not any(map(seconds, value))
    return "" if good and value[0] <= value[1] else "two numbers of seconds, [least, most]"


_SECONDS, _STATUS, _SHARE = _number(0, 3600), _whole(400, 599), _number(0, 1)
_LOSE_ANSWER = _one_of("reset", "500", "timeout")
_ALWAYS: dict[str, Rule] = {"count": _whole(0, 1_000_000), "probability": _SHARE}
_ONLY: dict[str, Rule] = {"only": _texts}

SOCKET_LOSS = ("next_verb", "end_call", "half_open")

PLAIN: Mapping[str, dict[str, Rule]] = {
    "create_call": {"lose_answer": _LOSE_ANSWER, "seconds": _SECONDS, "refuse": _whole(1, 99999)},
    "create_message": {
        "lose_answer": _LOSE_ANSWER,
        "seconds": _SECONDS,
        "refuse": _whole(1, 99999),
    },
    "callbacks": {"double": _SHARE, "reorder": _SHARE, "drop": _SHARE, "delay_s": _range},
    "stream": {"close_after_s": _SECONDS},
    "calendar": {"refuse": _STATUS, "lose_answer": _whole(0, 1)},
}
"""Parts with one way to fail."""

_MOMENT: dict[str, Rule] = {"after_s": _SECONDS, "after_speech_s": _SECONDS}
_ASKED: dict[str, Rule] = {"asked": _text}
_BREAK: dict[str, Rule] = {"after_tokens": _whole(0, 100_000), "after_text": _text, **_ASKED}

KINDS: Mapping[str, dict[str, dict[str, Rule]]] = {
    "transcriber": {
        "refuse": {"status": _STATUS},
        "close": _MOMENT,
        "gone": {**_MOMENT, "seconds": _SECONDS, "status": _STATUS},
        "silent": {},
        "slow": {"seconds": _SECONDS},
    },
    "voice": {
        "refuse": {"status": _STATUS},
        "close": {},
        "break_off": {},
        "silent": {},
        "slow": {"seconds": _SECONDS},
    },
    "voice_rest": {"refuse": {"status": _STATUS}, "silent": {}, "slow": {"seconds": _SECONDS}},
    "model": {
        "overloaded": _ASKED,
        "rate_limited": {"retry_after": _whole(0, 3600), **_ASKED},
        "refusal": _ASKED,
        "error_mid_stream": _BREAK,
        "stall": {**_BREAK, "seconds": _SECONDS},
        "drop": _BREAK,
    },
}
"""Parts with several ways to fail, each by its ``kind``."""

PARTS = frozenset([*PLAIN, *KINDS])


def check(faults: Mapping[str, Any]) -> None:
    """Raise ValueError with a sentence about the first thing that is wrong."""
    _known("", faults, {*PARTS, "socket_loss", "seed"})
    if wrong := _one_of(*SOCKET_LOSS)(faults.get("socket_loss", "next_verb")):
        raise ValueError(f"socket_loss must be {wrong}")
    if wrong := _whole(0, 2**63)(faults.get("seed", 0)):
        raise ValueError(f"seed must be {wrong}")
    for part in sorted(faults.keys() & PARTS):
        asked = faults[part] if isinstance(faults[part], list) else [faults[part]]
        for fault in asked:
            if not isinstance(fault, dict):
                raise ValueError(f"{part} must be an object, or a list of objects")
            if part in PLAIN:
                _check_one(part, fault, PLAIN[part])
            elif fault:
                _check_kind(part, fault)
        if part in PLAIN and len(asked) > 1:
            raise ValueError(f"{part} must be one object")


def _check_kind(part: str, fault: dict[str, Any]) -> None:
    kinds, kind = KINDS[part], fault.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        wrong = "has no kind" if kind is None else f"has no kind {kind!r}"
        raise ValueError(f"{part} {wrong}; known: {', '.join(sorted(kinds))}")
    settings = {name: value for name, value in fault.items() if name != "kind"}
    _check_one(f"{part}, {kind}", settings, kinds[kind] | _ONLY)


def _check_one(where: str, fault: dict[str, Any], rules: dict[str, Rule]) -> None:
    rules = rules | _ALWAYS
    _known(where, fault, rules)
    for name, value in fault.items():
        if wrong := rules[name](value):
            raise ValueError(f"{where}: {name} must be {wrong}, not {value!r}")


def _known(where: str, names: Collection[str], known: Collection[str]) -> None:
    if unknown := set(names) - set(known):
        where = f"{where}: " if where else ""
        raise ValueError(
            f"{where}unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
