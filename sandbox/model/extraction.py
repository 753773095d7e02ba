"""Structured output: any JSON schema filled from a transcript, null or empty where it is silent."""

import re
from typing import Any

from sandbox.model import moves, summary, values
from sandbox.model.conversation import Turn
from sandbox.model.emptiest import empty_string, in_bounds, least_number
from sandbox.model.transcript import Transcript, read_transcript
from sandbox.model.words import content_stems, sentences

_UNKNOWN: Any = object()
_SPOKEN = {
    "happy": 1, "positive": 1, "satisfied": 1, "pleased": 1, "very positive": 1,
    "frustrated": -1, "negative": -1, "angry": -1, "unhappy": -1, "dissatisfied": -1, "upset": -1,
    "neutral": 0, "mixed": 0,
}  # fmt: skip
_NOBODY = ("unknown", "other", "none", "neutral", "n/a", "not_specified", "unspecified", "unclear")
_MAX_DEPTH = 12
_MAX_NESTED = 2  # a schema that refers to itself ends where it may be null


def extract(schema: dict[str, Any], instructions: str, turns: list[Turn]) -> Any:
    """A value valid for ``schema``, whose strings come from the transcript in ``turns``."""
    return fill(schema, read_transcript(turns), instructions)


def fill(schema: dict[str, Any], transcript: Transcript, instructions: str = "") -> Any:
    """As ``extract``, from a transcript that was read already."""
    return _Filler(schema, transcript, values.today_in(instructions)).value(schema, "", 0)


class _Filler:
    def __init__(self, root: dict[str, Any], transcript: Transcript, today: Any) -> None:
        self._root = root
        self._transcript = transcript
        self._today = today

    def value(self, schema: Any, about: str, depth: int) -> Any:
        found = self._known(schema, about, depth)
        if found is not _UNKNOWN:
            return found
        return None if self._nullable(schema) else self._default(schema, about, depth)

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """A schema with its references and ``allOf`` merged in."""
        if not isinstance(schema, dict):
            return {}
        found: dict[str, Any] = dict(schema)
        for _ in range(_MAX_DEPTH):
            ref = found.get("$ref")
            if not isinstance(ref, str):
                break
            target: Any = self._root
            for step in ref.lstrip("#").strip("/").split("/") if ref != "#" else []:
                target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
            resolved: dict[str, Any] = {**target, **found}
            del resolved["$ref"]
            found = {**resolved, **({"$ref": target["$ref"]} if "$ref" in target else {})}
        for part in found.get("allOf", []):
            inner = self._resolved(part)
            found = {
                **found,
                **{k: v for k, v in inner.items() if k not in ("properties", "required")},
                "properties": {**found.get("properties", {}), **inner.get("properties", {})},
                "required": [*found.get("required", []), *inner.get("required", [])],
            }
            if not found["properties"]:
                found = {k: v for k, v in found.items() if k not in ("properties", "required")}
        return found

    def _options(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
            return [{**rest, **self._resolved(choice)} for choice in choices]
        if isinstance(schema.get("type"), list):
            return [{**schema, "type": kind} for kind in schema["type"]]
        return []

    def _nullable(self, schema: Any) -> bool:
        schema = self._resolved(schema)
        if "enum" in schema:
            return None in schema["enum"]
        return schema.get("type") == "null" or any(map(self._nullable, self._options(schema)))

    def _known(self, schema: Any, about: str, depth: int) -> Any:
        """What the transcript says for a schema, or ``_UNKNOWN``."""
        schema = self._resolved(schema)
        about = f"{about} {schema.get('description', '')} {schema.get('title', '')}".strip()
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"], about)
        if options := self._options(schema):
            deep = depth > _MAX_NESTED and self._nullable(schema)
            for option in options:
                if option.get("type") != "null" and not (deep and "properties" in option):
                    found = self._known(option, about, depth + 1)
                    if found is not _UNKNOWN:
                        return found
            return _UNKNOWN
        kind = schema.get("type") or ("object" if "properties" in schema else None)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "boolean":
            return self._boolean(about)
        if kind in ("integer", "number"):
            return self._number(schema, about)
        if kind == "string":
            return self._string(schema, about)
        if kind == "array":
            return self._array(schema, about, depth)
        return _UNKNOWN

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        required = schema.get("required", [])
        made: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            about = name.replace("_", " ")
            if name in required:
                made[name] = self.value(inner, about, depth + 1)
            elif depth < _MAX_DEPTH:
                found = self._known(inner, about, depth + 1)
                if found is not _UNKNOWN:
                    made[name] = found
        return made

    def _array(self, schema: dict[str, Any], about: str, depth: int) -> Any:
        items = self._resolved(schema.get("items", {}))
        least = schema.get("minItems", 0)
        made: list[Any] = []
        shaped = items.keys() & {"enum", "pattern", "format"}
        if items.get("type") == "string" and not shaped:
            cue = content_stems(about)
            said = [
                s
                for line in self._transcript.lines
                if line.speaker == "caller"
                for s in sentences(line.text)
            ]
            made = [s for s in said if content_stems(s) & cue][: min(3, schema.get("maxItems", 3))]
            made = [s for s in dict.fromkeys(made) if self._fits(items, s)]
        for number in range(len(made), least):
            made.append(self._nth(items, about, depth, number, bool(schema.get("uniqueItems"))))
        return made

    def _nth(self, items: dict[str, Any], about: str, depth: int, number: int, unique: bool) -> Any:
        if unique and "enum" in items:
            return items["enum"][number % len(items["enum"])]
        value = self.value(items, about, depth + 1)
        if unique and number and isinstance(value, str):
            return f"{value}{number}"
        if unique and number and isinstance(value, (int, float)) and not isinstance(value, bool):
            return value + number * items.get("multipleOf", 1)
        return value

    def _choice(self, choices: list[Any], about: str) -> Any:
        words = {str(c).lower(): c for c in choices if isinstance(c, str)}
        moods = {word: _SPOKEN[word] for word in words if word in _SPOKEN}
        if len(moods) >= 2:
            mood = self._transcript.mood()
            sign = (mood > 0) - (mood < 0)
            for word, polarity in moods.items():
                if polarity == sign:
                    return words[word]
        if {"yes", "no"} <= words.keys():
            answer = self._boolean(about)
            if answer is not _UNKNOWN:
                return words["yes" if answer else "no"]
        said = content_stems(self._transcript.caller)
        scored = [
            (len(content_stems(word.replace("_", " ")) & said), -i, c)
            for i, (word, c) in enumerate(words.items())
        ]
        best = max(scored, default=(0, 0, None), key=lambda item: item[:2])
        if best[0]:
            return best[2]
        number = values.number(self._transcript.best(about) or "")
        if number is not None and number in choices:
            return choices[choices.index(number)]
        return next((words[word] for word in _NOBODY if word in words), _UNKNOWN)

    def _boolean(self, about: str) -> Any:
        said = self._transcript.caller
        if re.search(r"opt(?:ed)?.?out|do not call|unsubscrib", about, re.I):
            return bool(moves.OPT_OUT.search(said))
        if re.search(r"voice ?mail|answering machine", about, re.I):
            return bool(moves.VOICEMAIL.search(said))
        if re.search(r"success|achiev|goal|accomplish|resolved", about, re.I):
            refused = (
                moves.OPT_OUT.search(said)
                or moves.NOT_INTERESTED.search(said)
                or moves.VOICEMAIL.search(said)
                or moves.WRONG_NUMBER.search(said)
            )
            agreed = any(moves.YES.match(answer) for _, answer in self._transcript.answers())
            engaged = len(said.split()) >= 10
            return bool(not refused and self._transcript.mood() >= 0 and (agreed or engaged))
        cue = content_stems(about) - content_stems(
            "caller customer agent person whether true false if"
        )
        best: tuple[int, bool] | None = None
        for asked, answer in self._transcript.answers():
            shared = len(content_stems(asked) & cue)
            if shared and (moves.YES.match(answer) or moves.NO.match(answer)):
                best = max(best or (0, False), (shared, not moves.NO.match(answer)))
        for line in self._transcript.lines:
            for sentence in sentences(line.text) if line.speaker == "caller" else []:
                shared = len(content_stems(sentence) & cue)
                negated = re.search(r"\b(?:not|no|never|cannot)\b|n't\b", sentence, re.I)
                if shared and (best is None or shared > best[0]):
                    best = (shared, not negated)
        return _UNKNOWN if best is None else best[1]

    def _number(self, schema: dict[str, Any], about: str) -> Any:
        found = values.number(self._transcript.best(about) or "")
        if found is None:
            return _UNKNOWN
        value: float = int(found) if schema.get("type") == "integer" else found
        return value if value == found and in_bounds(schema, value) else _UNKNOWN

    def _string(self, schema: dict[str, Any], about: str) -> Any:
        found = self._text(schema, about)
        return found if isinstance(found, str) and self._fits(schema, found) else _UNKNOWN

    def _text(self, schema: dict[str, Any], about: str) -> str | None:
        said = self._transcript.caller
        key = about.lower()
        form = schema.get("format")
        day, clock = values.day(said), values.clock(said)
        if form == "date":
            return values.iso_day(day or "", self._today)
        if form == "time":
            time = values.iso_time(clock) if clock else None
            return f"{time}:00Z" if time else None
        if form == "date-time":
            date = values.iso_day(day or "", self._today)
            time = values.iso_time(clock) if clock else None
            return f"{date}T{time}:00Z" if date and time else None
        if form not in {None, "email"}:
            return None
        if form == "email" or re.search(r"\be-?mail\b", key):
            return values.email(said)
        if re.search(r"\bsummary|\bsummari[sz]e|\boverview|\brecap", key):
            return summary.of(self._transcript.lines)
        if re.search(r"\b(?:phone|telephone|mobile|callback number|contact number)\b", key):
            return values.phone(said)
        if re.search(r"^(?:\w+ )?(?:full |first |last )?name\b", key):
            return values.name(said) or self._answered_name()
        if re.search(
            r"\b(?:reference|account|order|booking) (?:id|number|reference|code)\b|\breference\b",
            key,
        ):
            code = re.search(r"\b(?=[A-Z0-9-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*\b", said)
            return code.group() if code and len(code.group()) > 2 else None
        if re.search(r"\b(?:day|date)\b", key) and not re.search(r"\bbirth", key):
            return day
        if re.search(r"\btime\b", key) and not re.search(r"\btimeline", key):
            return clock
        if re.search(r"\b(?:last call|intent|reason|wanted|request|topic|purpose)\b", key):
            spoken = [
                s
                for line in self._transcript.lines
                if line.speaker == "caller"
                for s in sentences(line.text)
                if not (values.name(s) or values.email(s))
            ]
            return max(spoken, key=lambda s: len(content_stems(s)), default=None)
        best = self._transcript.best(about)
        return values.bare(best) if best else None

    def _answered_name(self) -> str | None:
        for asked, answer in self._transcript.answers():
            plain = values.bare(answer)
            if (
                re.search(r"\byour (?:full |first )?name\b", asked, re.I)
                and len(plain.split()) <= 3
            ):
                return plain
        return None

    def _fits(self, schema: dict[str, Any], text: str) -> bool:
        low, high = schema.get("minLength", 0), schema.get("maxLength", 1 << 30)
        pattern = schema.get("pattern")
        return low <= len(text) <= high and (not pattern or bool(re.search(pattern, text)))

    def _default(self, schema: Any, about: str, depth: int) -> Any:
        """The emptiest value that the schema allows."""
        schema = self._resolved(schema)
        if "enum" in schema:
            return schema["enum"][0]
        if options := self._options(schema):
            plain = [o for o in options if o.get("type") not in ("object", "array")]
            return self.value((plain or options)[0], about, depth + 1)
        match schema.get("type"):
            case "string":
                return empty_string(schema)
            case "integer" | "number":
                return least_number(schema)
            case "boolean":
                return False
            case "array":
                return self._array(schema, about, depth)
            case "object":
                return self._object(schema, depth)
            case "null":
                return None
        return ""
