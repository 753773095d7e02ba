"""A number's custom functions: kept over the API, called in mid-call (spec 3.7, 6.11)."""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema
from django.db import IntegrityError, transaction

from accounts.errors import ApiError, invalid_field, not_found_error
from accounts.net import RequestFailed, arequest
from agents import variables
from agents.models import PhoneNumber
from agents.tools.base import Outcome, Tool, shortened
from agents.tools.models import CustomFunction

USER_AGENT = "Nixflex-VoiceEngine/1.0"
LONGEST_TIMEOUT_MS = 45_000
MAKE_SCENARIO = "ask_business"
MAKE_TIMEOUT_MS = 10_000  # a scenario takes longer to start than a server to answer
# What a function is told besides its arguments.
_TOLD = (
    "caller_phone",
    "business_phone",
    "current_date",
    "current_iso_date",
    "current_time",
    "current_iso_time",
    "tomorrow_date",
    "tomorrow_iso_date",
    "current_day_of_week",
    "current_timezone",
    "call_direction",
    "call_id",
    "agent_id",
    "caller_history",
)
# As SQL, which is ready at once: a caller waits for it.
_OF_NUMBER = "SELECT * FROM agents_customfunction WHERE number_id = %s ORDER BY created_at, id"
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}")
_FAILED = "The request failed ({why}). Nothing is known of its outcome: do not claim one."


# --- keeping --------------------------------------------------------------------------------------


def find_function(number: PhoneNumber, function_id: str) -> CustomFunction:
    """Return one of the number's functions; ApiError ``function_not_found`` (404)."""
    found = None
    if "\0" not in function_id:
        found = CustomFunction.objects.filter(number=number, function_id=function_id).first()
    if found is None:
        raise not_found_error("function_not_found", "There is no such function on this number.")
    return found


def add_function(number: PhoneNumber, **fields: Any) -> CustomFunction:
    """Give a number one more function.

    Raises ApiError ``too_many_functions``, ``function_exists`` (409, the name is taken).
    """
    with transaction.atomic():
        # One at a time: the number of functions is counted, not constrained.
        PhoneNumber.objects.select_for_update(no_key=True).get(pk=number.pk)
        most = CustomFunction.MOST_PER_NUMBER
        if number.custom_functions.count() >= most:
            raise ApiError(
                "too_many_functions",
                f"This number has {most} functions, which is the most. Delete one first.",
                details={"limit": most},
            )
        return _saved(CustomFunction(number=number, **fields))


def change_function(function: CustomFunction, **fields: Any) -> CustomFunction:
    """Change the given fields, all or none; calls in progress keep what they started with."""
    for name, value in fields.items():
        setattr(function, name, value)
    return _saved(function, update_fields=[*fields]) if fields else function


def _saved(function: CustomFunction, **options: Any) -> CustomFunction:
    try:
        with transaction.atomic():
            function.save(**options)
    except IntegrityError as error:
        raise ApiError(
            "function_exists", f"This number has a function named {function.name} already.", 409
        ) from error
    return function


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise ApiError ``invalid_request`` unless this is a JSON schema of an object."""
    if parameters.get("type", "object") != "object":
        raise invalid_field("parameters", 'must be a JSON schema with "type": "object".')
    if len(json.dumps(parameters)) > 20_000:
        raise invalid_field("parameters", "is too long: at most 20,000 characters of JSON.")
    try:
        jsonschema.Draft202012Validator.check_schema(parameters)
    except jsonschema.SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "its top"
        raise invalid_field(
            "parameters", f"is not a JSON schema at {where}: {error.message}."
        ) from error


# --- calling --------------------------------------------------------------------------------------


def function_tools(number: PhoneNumber, values: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Return the number's functions as tools of a call whose placeholders have ``values``; its
    Make scenario is one of them.
    """
    told = {name: variables.as_text(values.get(name, "")) for name in _TOLD}
    scenario = (_make_scenario(number, told),) if number.make_in_call_url else ()
    functions = tuple(
        Tool(
            name=one.name,
            description=one.description,
            input_schema=one.schema,
            use=partial(
                _call,
                name=one.name,
                url=_PLACEHOLDER.sub(partial(_fill, values, quoted=True), one.url),
                method=one.method,
                headers={
                    header: _PLACEHOLDER.sub(partial(_fill, values, quoted=False), value)
                    for header, value in json.loads(one.headers_json or "{}").items()
                },
                told=told,
                timeout_s=one.timeout_ms / 1000,
            ),
            timeout_ms=one.timeout_ms,
            speak_during=one.speak_during,
        )
        for one in CustomFunction.objects.raw(_OF_NUMBER, [number.pk])
    )
    return (*functions, *scenario)


def _make_scenario(number: PhoneNumber, told: Mapping[str, str]) -> Tool:
    """Spec 6.11: Make's ``in_call_url`` is a custom function with one question as its argument."""
    return Tool(
        name=MAKE_SCENARIO,
        description="Ask the business's own systems: look something up, or have something done "
        "that no other tool does. Only its answer counts; never guess what it would be.",
        input_schema={
            "type": "object",
            "properties": {
                "request": {
                    "type": "string",
                    "description": "What is wanted, with every detail that is needed for it.",
                }
            },
            "required": ["request"],
        },
        use=partial(
            _call,
            name=MAKE_SCENARIO,
            url=number.make_in_call_url,
            method=CustomFunction.Method.POST,
            headers={},
            told=told,
            timeout_s=MAKE_TIMEOUT_MS / 1000,
        ),
        timeout_ms=MAKE_TIMEOUT_MS,
    )


def _fill(values: Mapping[str, Any], match: re.Match[str], *, quoted: bool) -> str:
    if match[1] not in values:
        return match[0]
    text = variables.as_text(values[match[1]])
    # A value is never an address, a header or a line of its own.
    return quote(text, safe="") if quoted else re.sub(r"[^\x20-\x7e]+", " ", text)


async def _call(
    arguments: Mapping[str, Any],
    said: str,
    *,
    name: str,
    url: str,
    method: str,
    headers: Mapping[str, str],
    told: Mapping[str, str],
    timeout_s: float,
) -> Outcome:
    content = None
    own = {"User-Agent": USER_AGENT}
    if method in {"GET", "DELETE"}:
        query = urlencode({key: variables.as_text(value) for key, value in arguments.items()})
        url = f"{url}{'&' if '?' in url else '?'}{query}" if query else url
    else:
        about = {"name": name, "args": dict(arguments), "variables": dict(told)}
        content = json.dumps(about, ensure_ascii=False).encode()
        own["Content-Type"] = "application/json"
    try:
        answer = await arequest(
            method, url, content=content, headers=own | dict(headers), timeout_s=timeout_s
        )
    except RequestFailed as failure:
        return Outcome(_FAILED.format(why=failure), failed=True)
    if not 200 <= answer.status < 300:
        return Outcome(_FAILED.format(why=f"status {answer.status}"), failed=True)
    return Outcome(shortened(_result(answer.content)))


def _result(content: bytes) -> str:
    """The answer's ``result`` if it is an object that has one, else all of it, as text."""
    text = content.decode("utf-8", errors="replace")
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or "Done."
    if isinstance(read, dict) and "result" in read:
        read = read["result"]
    return read if isinstance(read, str) else json.dumps(read, ensure_ascii=False)
