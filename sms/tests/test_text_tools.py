import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.suppression import is_suppressed
from agents.factories import (
    CalendarFactory,
    CallerFactory,
    CustomFunctionFactory,
    NoteFactory,
)
from agents.tests.customer_server import CustomerServer, running_customer_server
from agents.tests.model_side import ModelServer
from sms import sending, text_tools
from sms.factories import PERSON, MessageFactory, ThreadFactory
from sms.models import Thread, ToolRound
from sms.tests.answered import answer_after, answers, with_meanwhile
from sms.tests.twilio_side import takes_texts, texts_us
from webhooks.factories import EndpointFactory
from webhooks.models import Event

pytestmark = pytest.mark.django_db

BOOK = {"start": "2026-05-29T10:00", "name": "Sam Carter", "email": "sam.carter@example.com"}
BOOKING = ("book_appointment", BOOK)
BOOKED = (201, {"status": "success", "data": {"uid": "scf821a4"}})


@pytest.fixture
def outside(settings: Any) -> Iterator[CustomerServer]:
    """The customer's own server, and Cal.com, which has what it is asked to book."""
    settings.OUTBOUND_ALLOW_PRIVATE = True
    with running_customer_server() as server:
        settings.CALCOM_API_URL = server.url.removesuffix("/hook")
        server.answer = BOOKED
        yield server


@pytest.fixture
def thread(outside: CustomerServer) -> Thread:
    """A thread whose number books, and asks before it does."""
    thread = ThreadFactory.create(open=True, number__require_booking_confirmation=True)
    CalendarFactory.create(number=thread.number)
    return thread


def ask(thread: Thread, body: str, telco: Any, *, after_s: float = 0) -> None:
    """A person texts, ``after_s`` later is answered, and the answer goes out."""
    with time_machine.travel(timezone.now() + timedelta(seconds=after_s)):
        texts_us(thread.number, body)
    answer_after(after_s + 5)
    with time_machine.travel(timezone.now() + timedelta(seconds=after_s + 10)):
        sending.send_due()


# --- use ------------------------------------------------------------------------------------------


def test_an_answer_uses_the_numbers_functions_and_says_what_they_found(
    model: ModelServer, outside: CustomerServer
):
    thread = ThreadFactory.create(open=True)
    CustomFunctionFactory.create(number=thread.number, url=outside.url, name="check_order")
    outside.answer = (200, {"result": "It left on Monday."})
    model.answers = [[("check_order", {"order": "4827"})], "It left on Monday."]
    texts_us(thread.number, "Where is order 4827?")

    assert answer_after(5) == 1

    [asked] = outside.got
    assert asked.json["args"] == {"order": "4827"}
    assert asked.json["variables"]["caller_phone"] == PERSON
    assert answers(thread) == ["It left on Monday."]
    assert [tool["name"] for tool in model.requests[0]["tools"]] == ["check_order", "opt_out"]
    assert model.requests[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1_0",
                    "name": "check_order",
                    "input": {"order": "4827"},
                }
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1_0",
                    "content": "It left on Monday.",
                    "is_error": False,
                }
            ],
        },
    ]


def test_later_answers_remember_what_was_done(
    model: ModelServer, outside: CustomerServer, telco: Any
):
    thread = ThreadFactory.create(open=True)
    takes_texts(thread)
    CustomFunctionFactory.create(number=thread.number, url=outside.url, name="check_order")
    model.answers = [[("check_order", {"order": "4827"})], "It left on Monday.", "You're welcome."]
    ask(thread, "Where is order 4827?", telco)

    ask(thread, "Thanks", telco, after_s=60)

    roles = [message["role"] for message in model.requests[-1]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert model.requests[-1]["messages"][1]["content"][0]["name"] == "check_order"
    assert len(outside.got) == 1


def test_a_booking_is_made_and_listeners_are_told_as_documented(
    model: ModelServer, outside: CustomerServer
):
    thread = ThreadFactory.create(open=True)
    CalendarFactory.create(number=thread.number)
    EndpointFactory.create(account=thread.account, events=["sms.booking"])
    MessageFactory.create(
        thread=thread, taken=True, created_at=timezone.now() - timedelta(minutes=5)
    )
    model.answers = [[BOOKING], "You are booked for Friday at 10."]
    texts_us(thread.number, "Friday at 10 please, Sam Carter, sam.carter@example.com")

    assert answer_after(5) == 1

    [event] = Event.objects.all()
    told = json.loads(event.body)
    assert told["at"].endswith("Z")
    message = thread.messages.inbound().get()
    assert told | {"at": ""} == {
        "event": "sms.booking",
        "from": PERSON,
        "to": thread.our_number,
        "agent_id": message.agent_public_id,
        "conversation": [
            {"role": "assistant", "text": "Your appointment is at 3 pm."},
            {"role": "user", "text": "Friday at 10 please, Sam Carter, sam.carter@example.com"},
        ],
        "booking": {
            "action": "created",
            "booking_uid": "scf821a4",
            "start": "2026-05-29T09:00:00.000Z",
            "attendee_name": "Sam Carter",
            "attendee_email": "sam.carter@example.com",
            "service": "30min",
            "timezone": "Europe/London",
        },
        "message_id": message.message_id,
        "at": "",
    }
    assert (event.type, event.subject) == ("sms.booking", message.message_id)


def test_a_worker_that_dies_over_a_booking_does_not_book_again(
    model: ModelServer, outside: CustomerServer, monkeypatch: pytest.MonkeyPatch
):
    thread = ThreadFactory.create(open=True)
    CalendarFactory.create(number=thread.number)
    model.answers = [[BOOKING], "I could not see whether that worked."]
    texts_us(thread.number, "Friday at 10 please")

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(text_tools, "note_results", die)
        with pytest.raises(SystemExit):
            answer_after(5)
    assert answer_after(30) == 0
    assert answer_after(200) == 1

    assert [asked.path for asked in outside.got] == ["/v2/bookings"]
    [result] = model.requests[1]["messages"][-1]["content"]
    assert (result["type"], result["is_error"]) == ("tool_result", True)
    assert result["content"].startswith("It is not known what became of this.")


def test_a_text_that_comes_while_a_tool_works_finds_it_done(
    model: ModelServer, outside: CustomerServer, monkeypatch: pytest.MonkeyPatch
):
    thread = ThreadFactory.create(open=True)
    CalendarFactory.create(number=thread.number)
    model.answers = [[BOOKING], "Booked, and yes, there is parking."]
    texts_us(thread.number, "Friday at 10 please")
    with_meanwhile(
        monkeypatch, text_tools.use_all, lambda: texts_us(thread.number, "Is there parking?")
    )

    assert answer_after(5) == 0
    assert answer_after(20) == 1

    assert len(outside.got) == 1
    last = model.requests[-1]["messages"][-1]["content"]
    assert [block["type"] for block in last] == ["tool_result", "text"]
    assert last[1]["text"] == "Is there parking?"
    assert answers(thread) == ["Booked, and yes, there is parking."]


def test_the_same_tool_asked_for_twice_at_once_is_used_once(
    model: ModelServer, outside: CustomerServer
):
    thread = ThreadFactory.create(open=True)
    CalendarFactory.create(number=thread.number)
    EndpointFactory.create(account=thread.account, events=["sms.booking"])
    model.answers = [[BOOKING, BOOKING], "Booked."]
    texts_us(thread.number, "Friday at 10 please")

    assert answer_after(5) == 1

    assert len(outside.got) == 1
    assert Event.objects.count() == 1
    assert len(model.requests[1]["messages"][-1]["content"]) == 2


def test_a_model_that_only_uses_tools_is_made_to_write(model: ModelServer, outside: CustomerServer):
    thread = ThreadFactory.create(open=True)
    CustomFunctionFactory.create(number=thread.number, url=outside.url, name="check_order")
    check = [("check_order", {"order": "1"})]
    model.answers = [check, check, check, "I cannot find it."]
    texts_us(thread.number, "Where is my order?")

    assert answer_after(5) == 1

    assert [asked.get("tool_choice") for asked in model.requests] == [None] * 3 + [{"type": "none"}]
    assert answers(thread) == ["I cannot find it."]


def test_who_wants_no_more_texts_gets_no_tool_used_either(
    model: ModelServer, outside: CustomerServer
):
    thread = ThreadFactory.create(open=True)
    CalendarFactory.create(number=thread.number)
    model.answers = [[BOOKING, ("opt_out", {})]]
    texts_us(thread.number, "I would rather we parted ways here, for good")

    assert answer_after(5) == 0

    assert outside.got == []
    assert is_suppressed(thread.account, PERSON, "text") is not None


# --- a yes before a booking -----------------------------------------------------------------------

QUESTION = (
    "Just to confirm: shall I book an appointment for Sam Carter, using sam.carter@example.com, "
    "on Friday 29 May at 10:00? Please reply YES to confirm."
)


def test_a_booking_is_proposed_by_text_and_made_once_the_person_says_yes(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    model.answers = [[BOOKING], [BOOKING], "You are booked."]
    ask(thread, "Friday at 10 please, Sam Carter", telco)
    assert outside.got == []
    assert answers(thread) == [QUESTION]

    ask(thread, "Yes, please!", telco, after_s=60)

    assert [asked.path for asked in outside.got] == ["/v2/bookings"]
    assert answers(thread) == [QUESTION, "You are booked."]
    [held] = model.requests[1]["messages"][2]["content"]
    assert held["content"].startswith("Held, nothing was written")
    assert model.requests[1]["messages"][3] == {"role": "assistant", "content": QUESTION}


@pytest.mark.parametrize("said", ["Yes, but make it 11", "no", "Who is this?", "yes no", "👍"])
def test_anything_but_a_whole_yes_books_nothing(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any, said: str
):
    takes_texts(thread)
    model.answers = [[BOOKING]]
    ask(thread, "Friday at 10 please, Sam Carter", telco)

    ask(thread, said, telco, after_s=60)

    assert outside.got == []
    assert answers(thread) == [QUESTION, QUESTION]


def test_a_yes_is_to_exactly_what_was_asked(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    later = ("book_appointment", BOOK | {"start": "2026-05-29T11:00"})
    model.answers = [[BOOKING], [later]]
    ask(thread, "Friday at 10 please, Sam Carter", telco)

    ask(thread, "Yes", telco, after_s=60)

    assert outside.got == []
    assert "at 11:00?" in answers(thread)[1]


def test_a_yes_is_good_for_one_booking(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    model.answers = [[BOOKING], [BOOKING], [BOOKING], "Hm."]
    ask(thread, "Friday at 10 please, Sam Carter", telco)

    ask(thread, "Yes", telco, after_s=60)

    assert len(outside.got) == 1
    assert answers(thread) == [QUESTION, QUESTION]


def test_a_yes_that_was_written_before_the_question_went_out_does_not_count(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    model.answers = [[BOOKING]]
    texts_us(thread.number, "Friday at 10 please, Sam Carter")
    answer_after(5)
    with time_machine.travel(timezone.now() + timedelta(seconds=10)):
        texts_us(thread.number, "Yes")
    with time_machine.travel(timezone.now() + timedelta(seconds=15)):
        sending.send_due()

    answer_after(20)

    assert outside.got == []
    assert answers(thread) == [QUESTION, QUESTION]


def test_a_yes_after_something_else_we_wrote_is_no_yes_to_the_question(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    model.answers = [[BOOKING]]
    ask(thread, "Friday at 10 please, Sam Carter", telco)
    MessageFactory.create(
        thread=thread,
        taken=True,
        body="Do you like our new website?",
        created_at=timezone.now() + timedelta(seconds=30),
        sent_at=timezone.now() + timedelta(seconds=30),
    )

    ask(thread, "Yes", telco, after_s=60)

    assert outside.got == []


def test_a_text_that_waits_for_the_morning_stands_between_no_question_and_its_yes(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    model.answers = [[BOOKING], [BOOKING], "You are booked."]
    ask(thread, "Friday at 10 please, Sam Carter", telco)
    held = MessageFactory.create(thread=thread, created_at=timezone.now() + timedelta(seconds=30))
    held.parts.update(send_after=timezone.now() + timedelta(hours=5))

    ask(thread, "Yes", telco, after_s=60)

    assert [asked.path for asked in outside.got] == ["/v2/bookings"]


def test_one_thing_at_a_time_is_proposed_and_nothing_else_is_done(
    model: ModelServer, outside: CustomerServer, thread: Thread, telco: Any
):
    takes_texts(thread)
    find = ("find_booking", {"email": "sam.carter@example.com"})
    model.answers = [[find, BOOKING]]

    ask(thread, "Friday at 10 please, Sam Carter", telco)

    assert outside.got == []
    results = ToolRound.objects.get().results
    assert results["toolu_1_0"]["content"].startswith("Nothing was done: one thing at a time")


def test_reading_is_never_held(model: ModelServer, outside: CustomerServer, thread: Thread):
    model.answers = [[("find_booking", {"email": "sam.carter@example.com"})], "There is none."]
    outside.answer = (200, {"data": []})
    texts_us(thread.number, "When is my appointment?")

    assert answer_after(5) == 1

    assert len(outside.got) == 1
    assert answers(thread) == ["There is none."]


# --- who it is ------------------------------------------------------------------------------------


def test_private_notes_open_to_who_writes_what_is_on_file(model: ModelServer, telco: Any):
    thread = ThreadFactory.create(open=True, number__agent__identity_check="reference_id")
    takes_texts(thread)
    CallerFactory.create(number=thread.number, caller_number=PERSON, reference_id="4827")
    NoteFactory.create(account=thread.account, text="Is in therapy.", is_private=True)
    model.answers = [
        "What is your reference?",
        [("confirm_identity", {"answer": "4827"})],
        "I see it.",
    ]

    ask(thread, "What do you have on me?", telco)
    ask(thread, "It is 4827", telco, after_s=60)

    assert all("therapy" not in json.dumps(one) for one in model.requests[:2])
    assert "## PRIVATE NOTES" in model.system
    assert "Is in therapy." in model.requests[2]["messages"][-1]["content"][0]["content"]


def test_guessing_who_it_is_ends_after_three_tries_however_many_texts(
    model: ModelServer, telco: Any
):
    thread = ThreadFactory.create(open=True, number__agent__identity_check="reference_id")
    takes_texts(thread)
    CallerFactory.create(number=thread.number, caller_number=PERSON, reference_id="4827")
    NoteFactory.create(account=thread.account, text="Is in therapy.", is_private=True)
    for guess in range(3):
        model.answers = [[("confirm_identity", {"answer": str(guess)})], "No."]
        ask(thread, f"It is {guess}", telco, after_s=guess * 60)

    model.answers = [[("confirm_identity", {"answer": "4827"})], "No."]
    ask(thread, "It is 4827", telco, after_s=240)

    assert "therapy" not in json.dumps(model.requests)
