"""The emptiest values that a JSON schema still allows, for what a transcript does not say."""

from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any


def in_bounds(schema: dict[str, Any], value: float) -> bool:
    """Whether a number keeps a schema's limits."""
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and (not step or value % step == 0)
    )


def least_number(schema: dict[str, Any]) -> float:
    """A number near zero within the schema's bounds."""
    step = schema.get("multipleOf", 1)
    tries: list[float] = [0, step]
    for bound in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        if bound in schema:
            at = schema[bound]
            tries += [at, -(-at // step) * step, at // step * step, (at // step + 1) * step]
            tries += [(-(-at // step) - 1) * step]
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None and "multipleOf" not in schema:
        tries.append((low + high) / 2)
    whole = schema.get("type") == "integer"
    for value in tries:
        if in_bounds(schema, value) and (not whole or value == int(value)):
            return int(value) if whole or value == int(value) else value
    return 0


def empty_string(schema: dict[str, Any]) -> str:
    """A string that says nothing in the schema's format, pattern or length."""
    samples = {
        "date": "1970-01-01", "time": "00:00:00Z", "date-time": "1970-01-01T00:00:00Z",
        "email": "unknown@example.invalid", "uuid": "00000000-0000-0000-0000-000000000000",
        "uri": "about:blank", "hostname": "example.invalid", "ipv4": "192.0.2.1", "ipv6": "::",
        "duration": "PT0S",
    }  # fmt: skip
    if schema.get("format") in samples:
        return samples[schema["format"]]
    if pattern := schema.get("pattern"):
        return _matching(sre_parser.parse(pattern), schema.get("minLength", 0))
    return "-" * int(schema.get("minLength", 0))


def _matching(parsed: Any, at_least: int = 0) -> str:
    """A short text that matches a parsed pattern (literals, classes, repeats, branches, groups)."""
    text = ""
    for op, argument in parsed:
        if op is sre.LITERAL:
            text += chr(argument)
        elif op is sre.NOT_LITERAL:
            text += "a" if argument != ord("a") else "b"
        elif op is sre.ANY:
            text += "a"
        elif op is sre.IN:
            text += _one_of(argument)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            low, high, inner = argument
            one = _matching(inner)
            wanted = low
            while one and len(text) + len(one) * wanted < at_least and wanted < high:
                wanted += 1
            text += one * wanted
        elif op is sre.BRANCH:
            text += _matching(argument[1][0])
        elif op is sre.SUBPATTERN:
            text += _matching(argument[-1])
    return text


def _one_of(items: Any) -> str:
    categories = {sre.CATEGORY_DIGIT: "0", sre.CATEGORY_WORD: "a", sre.CATEGORY_SPACE: " "}
    if items[0][0] is sre.NEGATE:
        free = (c for c in "a0 -_b1A.~" if not any(_contains(item, c) for item in items[1:]))
        return next(free, "")
    op, argument = items[0]
    if op is sre.LITERAL:
        return chr(argument)
    if op is sre.RANGE:
        return chr(argument[0])
    return categories.get(argument, "-")


def _contains(item: Any, candidate: str) -> bool:
    op, argument = item
    if op is sre.LITERAL:
        return bool(chr(argument) == candidate)
    if op is sre.RANGE:
        return bool(argument[0] <= ord(candidate) <= argument[1])
    tests = {
        sre.CATEGORY_DIGIT: str.isdigit,
        sre.CATEGORY_SPACE: str.isspace,
        sre.CATEGORY_WORD: str.isalnum,
    }
    return bool(tests.get(argument, lambda _: False)(candidate))
