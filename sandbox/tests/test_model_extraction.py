"""Structured output: valid for any schema, true to the transcript, silent where it is silent."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.model.engine import reply_to

VALIDATOR = jsonschema.Draft202012Validator
CALL = """Agent: Hello, this is Mia. I'm calling to remind you about your appointment.
Caller: Oh hi, yes. My name is Sarah Connor. I want to move it to Thursday at 10:30.
Agent: Do you have insurance with us?
Caller: No, I don't.
Agent: How many people are coming?
Caller: Three of us.
Caller: You can write to sarah@example.org. Thank you, that was very helpful!
"""


def extract(schema: dict[str, Any], transcript: str = CALL) -> Any:
    body = {
        "max_tokens": 900,
        "system": "Today is Monday, May 25, 2026. Extract what the caller said.",
        "messages": [{"role": "user", "content": f"Transcript:\n{transcript}"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    return json.loads(reply_to(body).text)


def fields(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_fields_are_read_from_what_the_caller_said():
    maybe = {"type": ["string", "null"]}
    found = extract(
        fields(
            caller_name=maybe,
            email=maybe,
            phone=maybe,
            new_day=maybe,
            new_time=maybe,
            date={"type": "string", "format": "date"},
            caller_sentiment={"type": "string", "enum": ["happy", "neutral", "frustrated"]},
            call_successful={"type": "boolean"},
            has_insurance={"type": "boolean", "description": "Caller has insurance with us"},
            number_of_people={"type": ["integer", "null"], "description": "How many people come"},
            favourite_colour=maybe,
        )
    )

    assert found == {
        "caller_name": "Sarah Connor",
        "email": "sarah@example.org",
        "phone": None,
        "new_day": "Thursday",
        "new_time": "10:30",
        "date": "2026-05-28",
        "caller_sentiment": "happy",
        "call_successful": True,
        "has_insurance": False,
        "number_of_people": 3,
        "favourite_colour": None,
    }


def test_a_summary_tells_in_the_third_person_what_was_said():
    summary = extract(fields(call_summary={"type": "string"}))["call_summary"]

    assert summary == (
        "The agent called to remind them about their appointment. "
        "Sarah Connor said: I want to move it to Thursday at 10:30."
    )


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        (
            "Agent: You're booked for Friday, 29 May at 2 pm. Anything else?\nCaller: No, thanks.",
            "Sarah Connor booked Friday, 29 May at 2 pm.",
        ),
        (
            "Agent: You're booked for Friday, 29 May at 2 pm.\n"
            "Caller: I have moved to Leeds last week.\n"
            "Agent: Your appointment is moved to Monday, 1 June at 10 am.",
            "Sarah Connor moved the appointment to Monday, 1 June at 10 am. "
            "Sarah Connor said: I have moved to Leeds last week.",
        ),
        (
            "Agent: I'm calling to remind you about your visit. Does that still work for you?\n"
            "Caller: Yes, that is fine.",
            "The agent called to remind them about their visit. "
            "Sarah Connor confirmed the appointment.",
        ),
        ("Agent: How can I help you?\nCaller: Goodbye.", "The caller said nothing of note."),
    ],
)
def test_what_was_settled_stands_first_and_courtesies_are_left_out(said: str, summary: str):
    name = "" if summary.startswith("The caller") else "Caller: My name is Sarah Connor.\n"

    assert extract(fields(summary={"type": "string"}), name + said)["summary"] == summary


@pytest.mark.parametrize(
    ("said", "mood", "success"),
    [
        ("This is terrible, I am very disappointed. Don't call me again.", "frustrated", False),
        ("You have reached Dan. Please leave a message after the tone.", "neutral", False),
        ("Yes, that is perfect, thank you so much!", "happy", True),
        ("It is a kind offer but I'm really not interested in it.", "neutral", False),
    ],
)
def test_mood_and_success_follow_the_callers_words(said, mood, success):
    schema = fields(
        sentiment={"enum": ["happy", "neutral", "frustrated"]}, success={"type": "boolean"}
    )

    found = extract(schema, f"Agent: Is now a good time?\nCaller: {said}\n")

    assert found == {"sentiment": mood, "success": success}


def test_a_transcript_in_json_is_read_too():
    turns = [
        {"role": "agent", "text": "What is your name?"},
        {"role": "caller", "text": "Ngozi"},
    ]

    assert extract(fields(name={"type": ["string", "null"]}), json.dumps(turns)) == {
        "name": "Ngozi"
    }


def test_a_request_to_summarise_is_answered_with_a_summary_not_with_talk():
    body = {
        "max_tokens": 300,
        "system": "Summarise this call in one or two sentences.",
        "messages": [{"role": "user", "content": CALL}],
    }

    assert "I want to move it to Thursday at 10:30." in reply_to(body).text


NAMES = st.sampled_from(
    ["name", "email", "summary", "day", "time", "sentiment", "success", "count", "reason", "x_1"]
)
STRINGS = st.one_of(
    st.just({"type": "string"}),
    st.sampled_from(["date", "time", "date-time", "email", "uuid", "uri", "ipv4", "hostname"]).map(
        lambda form: {"type": "string", "format": form}
    ),
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(
        lambda ends: {"type": "string", "minLength": min(ends), "maxLength": max(ends)}
    ),
    st.sampled_from([r"^\d{3}-[a-f]+$", r"^(yes|no)$", r"^[^0-9]{2,4}\.$", r"^A\w?\s*B{2}$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
)
NUMBERS = st.one_of(
    st.sampled_from(
        [{"type": "integer"}, {"type": "number"}, {"type": "integer", "multipleOf": 5}]
    ),
    st.tuples(st.integers(-50, 50), st.integers(0, 50), st.sampled_from(["integer", "number"])).map(
        lambda at: {"type": at[2], "minimum": at[0], "maximum": at[0] + at[1]}
    ),
    st.integers(-9, 9).map(lambda low: {"type": "number", "exclusiveMinimum": low}),
)
LEAVES = st.one_of(
    STRINGS,
    NUMBERS,
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": "fixed"}, {"const": 7}, {}]),
    st.lists(st.sampled_from(["yes", "no", "other", "red", 3, None, True]), min_size=1, unique=True)
    .map(lambda choices: {"enum": choices}),
)  # fmt: skip


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.dictionaries(NAMES, inner, max_size=4).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties) or ["-"])).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": sorted(required & properties.keys()),
                "additionalProperties": False,
            }
        )
    )
    arrays = st.tuples(inner, st.integers(0, 3)).map(
        lambda made: {"type": "array", "items": made[0], "minItems": made[1], "maxItems": 4}
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices})
    return st.one_of(objects, arrays, unions)


@settings(max_examples=300, deadline=None)
@given(schema=st.recursive(LEAVES, nested, max_leaves=8))
def test_any_schema_is_answered_with_json_that_it_accepts(schema):
    found = extract(schema)

    VALIDATOR(schema, format_checker=VALIDATOR.FORMAT_CHECKER).validate(found)


def test_references_and_recursion_are_followed_to_an_end():
    schema = {
        "$ref": "#/$defs/Person",
        "$defs": {
            "Person": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "friend": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
                },
                "required": ["name", "friend"],
                "additionalProperties": False,
            }
        },
    }

    found = extract(schema)

    assert found["name"] == "Sarah Connor"
    jsonschema.validate(found, schema)
