"""What the model is asked about a call that is over, and which calls it is not asked about."""

import pytest

from agents.models import Note
from agents.tests.model_side import ModelServer
from calls import aftercare
from calls.factories import TurnFactory
from calls.tests.finished import GENERAL, listened, over, talk, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(model: ModelServer) -> ModelServer:
    model.answers = [GENERAL]
    return model


def test_what_was_not_heard_is_not_analysed(model):
    call = talk()
    TurnFactory.create(
        call=call,
        sequence=5,
        text="We also",
        full_text="We also close at five on Friday.",
        interrupted=True,
    )

    aftercare.care_for(call.pk)

    assert "We also" not in model.prompt()


@pytest.mark.parametrize(
    ("value", "claimed", "turn"),
    [
        ("Tuesday", 4, 3),  # as claimed
        ("Tuesday", 3, 3),  # the agent offered it, the caller said it
        ("Tuesday", 0, 3),
        ("Sarah Johnson", 4, 1),  # the claim has no word of it
        ("Bright Smile Dental", 0, 0),  # only the agent said it
        ("14:00", 4, 3),  # a paraphrase: the claim is all there is
        ("14:00", 99, None),
        (True, 2, 1),
        (False, 0, None),
    ],
)
def test_a_value_points_at_the_turn_in_which_it_was_said(model, value, claimed, turn):
    call = talk(agent__data_extraction_fields=[{"name": "it", "type": "text"}])
    if isinstance(value, bool):
        call.agent.data_extraction_fields[0]["type"] = "boolean"
        call.agent.save(update_fields=["data_extraction_fields"])
    model.answers = [GENERAL, {"extracted": {"it": value}, "said_in": {"it": claimed}}]

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert call.extracted_data == {"it": value}
    assert call.extracted_from.get("it", {}).get("turn") == turn


def test_many_fields_are_asked_for_a_few_at_a_time(model):
    fields = [{"name": f"field_{n}", "type": "text", "description": "x"} for n in range(23)]
    call = talk(agent__data_extraction_fields=fields)
    parts = [fields[:10], fields[10:20], fields[20:]]
    model.answers = [
        GENERAL,
        *(
            {
                "extracted": {field["name"]: field["name"] for field in part},
                "said_in": {field["name"]: 0 for field in part},
            }
            for part in parts
        ),
    ]

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert len(model.requests) == 4
    assert call.extracted_data == {f"field_{n}": f"field_{n}" for n in range(23)}


def test_the_older_extraction_schema_is_understood(model):
    schema = {"type": "object", "properties": {"party": {"type": "integer"}, "day": {}}}
    call = talk(agent__extraction_schema=schema)
    filled = {"extracted": {"party": 2, "day": "Tuesday"}, "said_in": {"party": 0, "day": 0}}
    model.answers = [GENERAL, filled]

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert call.extracted_data == {"party": 2, "day": "Tuesday"}
    assert call.extracted_from == {"day": {"turn": 3, "at_ms": 9000}}  # found by its word


@pytest.mark.parametrize(
    ("fields", "summary", "sentiment"),
    [
        (
            {"duration_ms": 0, "status": "busy", "ended_reason": "busy"},
            "The call was not connected (busy).",
            "",
        ),
        ({"voicemail_detected": True}, "The call reached an answering machine.", ""),
    ],
)
def test_nobody_on_the_line_costs_no_model_and_is_told_all_the_same(
    model, fields, summary, sentiment
):
    call = listened(talk(**fields))

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert model.requests == []
    assert (call.call_summary, call.caller_sentiment) == (summary, sentiment)
    assert call.call_successful is False
    assert told(call)[0]["successful"] is False
    assert Note.objects.count() == 0


@pytest.mark.parametrize(
    "said",
    [
        ("Hello?", "I want to book an appointment for Tuesday at two in the afternoon please."),
        ("Hello?", "Yes.", "Is that you?", "Yes it is, who is calling me please?"),
    ],
)
def test_a_caller_who_said_less_than_two_turns_or_ten_words_is_not_analysed(model, said):
    call = over(*said)

    aftercare.care_for(call.pk)

    call.refresh_from_db()
    assert model.requests == []
    assert call.caller_sentiment == "neutral"
    assert call.call_successful is False


def test_ten_words_in_two_turns_are_analysed(model):
    aftercare.care_for(
        over("Hello?", "Yes.", "Hi.", "I want an appointment for Tuesday at two please.").pk
    )

    assert len(model.requests) == 1


def test_an_agent_without_analysis_tells_the_bare_call(model):
    call = listened(talk(agent__enable_post_call_analysis=False))

    aftercare.care_for(call.pk)

    assert model.requests == []
    assert (told(call)[0]["event"], told(call)[0]["summary"]) == ("call.completed", None)
