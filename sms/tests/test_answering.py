import inspect
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError
from django.utils import timezone

import agents.model
from accounts.models import Account, Suppression
from accounts.suppression import is_suppressed, suppress
from agents.history import remember
from agents.model import ModelFailed, Written
from agents.models import Agent, Note, PhoneNumber
from agents.tests.model_side import ModelServer, running_model
from agents.text_prompt import text_prompt
from sms import answering, questions, recovery, services
from sms.factories import PERSON, MessageFactory, ThreadFactory, new_sid
from sms.inbound import receive
from sms.models import Arrival, Thread
from sms.tests.answered import answer_after, answers, with_meanwhile
from sms.tests.stored import newest
from sms.tests.twilio_side import texts_us

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """The model; what the test does ``meanwhile`` happens once its answer is written."""
    with running_model() as running:
        settings.ANTHROPIC_API_URL = running.url

        def meanwhile() -> None:
            happens, running.meanwhile = running.meanwhile, None
            if happens is not None:
                happens()

        with_meanwhile(monkeypatch, agents.model.write, meanwhile)
        yield running


def test_an_answer_comes_from_the_agents_prompt_and_the_thread(model: ModelServer):
    thread = ThreadFactory.create(
        open=True,
        number__agent__system_prompt="You are Mia of Bright Smile Dental.",
        context_prompt="If they want another day, offer Tuesday.",
    )
    MessageFactory.create(
        thread=thread, taken=True, created_at=timezone.now() - timedelta(minutes=5)
    )
    texts_us(thread.number, "What time is it again?")

    assert answer_after(5) == 1

    assert answers(thread) == ["It is at 3 pm."]
    [asked] = model.requests
    assert asked["messages"] == [
        {"role": "user", "content": "[You texted first.]"},
        {"role": "assistant", "content": "Your appointment is at 3 pm."},
        {"role": "user", "content": "What time is it again?"},
    ]
    assert model.system.startswith("You are Mia of Bright Smile Dental.")
    assert "Channel: SMS." in model.system
    assert model.system.endswith("If they want another day, offer Tuesday.")
    assert [tool["name"] for tool in asked["tools"]] == ["opt_out"]
    message = thread.messages.inbound().get()
    assert message.reply == "answered"
    assert message.answer.agent_public_id == thread.agent.agent_id  # type: ignore[union-attr]
    thread.refresh_from_db()
    assert thread.answer_due_at is None


def test_the_agent_knows_what_calls_with_the_person_left(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    remember(
        thread.account,
        person=PERSON,
        our_number=thread.our_number,
        kind=Note.Kind.CALL,
        source="call_1",
        at=timezone.now() - timedelta(days=1),
        text="They moved the check-up to Thursday at 9.",
        is_outbound=True,
    )
    texts_us(thread.number, "When is it?")

    answer_after(5)

    assert "They moved the check-up to Thursday at 9." in model.system


def test_a_numbers_own_text_prompt_takes_the_place_of_the_agents(model: ModelServer):
    thread = ThreadFactory.create(
        open=True,
        number__sms_prompt="You are the texting desk of {business_phone}.",
        number__agent__system_prompt="You speak on the phone.",
    )
    texts_us(thread.number, "Hello")

    answer_after(5)

    assert model.system.startswith(f"You are the texting desk of {thread.our_number}.")
    assert "You speak on the phone" not in model.system


def test_several_texts_within_a_few_seconds_get_one_answer(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    start = timezone.now()
    for second, body in ((0, "Hi"), (3, "Is it still on?"), (6, "At 3?")):
        with time_machine.travel(start + timedelta(seconds=second), tick=False):
            texts_us(thread.number, body)
            assert answering.answer_due() == 0

    with time_machine.travel(start + timedelta(seconds=10)):
        assert answering.answer_due() == 1
        assert answering.answer_due() == 0

    assert len(answers(thread)) == 1
    assert model.requests[0]["messages"] == [
        {"role": "user", "content": "Hi\nIs it still on?\nAt 3?"}
    ]
    assert set(thread.messages.inbound().values_list("reply", flat=True)) == {"answered"}


def test_answers_are_written_side_by_side_and_one_that_fails_harms_no_other(
    monkeypatch: pytest.MonkeyPatch,
):
    all_at_once = threading.Barrier(3, timeout=10)

    def written(**request: Any) -> Written:
        all_at_once.wait()
        if "Never" in str(request["messages"]):
            raise ModelFailed("overloaded_error")
        return Written("It is at 3 pm.")

    monkeypatch.setattr(answering, "write", written)
    first, second, third = ThreadFactory.create_batch(3, open=True)
    texts_us(first.number, "When?")
    texts_us(second.number, "Never?")
    texts_us(third.number, "When?")

    assert answer_after(5) == 2

    assert (answers(first), answers(second), answers(third)) == (
        ["It is at 3 pm."],
        [],
        ["It is at 3 pm."],
    )
    second.refresh_from_db()
    assert second.answer_failures == 1


def test_a_text_that_comes_while_an_answer_is_written_is_answered_with_it(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    model.meanwhile = lambda: texts_us(thread.number, "And where?")

    assert answer_after(5) == 0
    assert answers(thread) == []
    assert answer_after(20) == 1

    assert len(answers(thread)) == 1
    assert model.requests[-1]["messages"][-1]["content"] == "Is it still on?\nAnd where?"


def test_an_answer_to_somebody_who_is_erased_while_it_is_written_is_dropped(model: ModelServer):
    thread, other = ThreadFactory.create(open=True), ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    texts_us(other.number, "Is it still on?")
    model.meanwhile = lambda: recovery.erase(thread.account, thread.their_number)

    assert answer_after(5) == 1

    assert not Thread.objects.filter(pk=thread.pk).exists()
    assert len(answers(other)) == 1


def test_an_earlier_text_that_is_found_while_an_answer_is_written_is_answered_with_it(
    model: ModelServer,
):
    thread = ThreadFactory.create(open=True)
    assert thread.number is not None
    texts_us(thread.number, "And where?")
    minutes_ago = timezone.now() - timedelta(minutes=3)
    lost = Arrival(
        number=thread.number,
        carrier_sid=new_sid(),
        from_number=PERSON,
        body="Is it still on?",
        at=minutes_ago,
    )
    model.meanwhile = lambda: receive(lost)

    assert answer_after(5) == 0
    assert answer_after(20) == 1

    assert len(answers(thread)) == 1
    assert model.requests[-1]["messages"][-1]["content"] == "Is it still on?\nAnd where?"


def test_a_stop_while_an_answer_is_written_silences_it(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Who is this?")
    model.meanwhile = lambda: texts_us(thread.number, "STOP")

    assert answer_after(5) == 0
    assert answer_after(300) == 0

    assert not thread.messages.filter(direction="outbound").exists()


def test_an_operator_who_takes_over_while_an_answer_is_written_silences_it(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Who is this?")
    model.meanwhile = lambda: services.take_over(thread.pk, "ada")

    assert answer_after(5) == 0

    assert answers(thread) == []
    assert thread.messages.inbound().get().reply == "human"


def test_who_was_entered_in_the_ledger_meanwhile_is_not_answered(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Who is this?")
    suppress(thread.account, PERSON, source=Suppression.Source.OPERATOR)

    assert answer_after(5) == 0

    assert model.requests == []
    assert thread.messages.inbound().get().reply == "opt_out"


def test_a_plain_refusal_is_entered_before_any_model_is_asked_and_confirmed_once(
    model: ModelServer,
):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Please don't text me again.")
    texts_us(thread.number, "I said don't text me again!")
    assert answer_after(60) == 0

    assert model.requests == []
    assert is_suppressed(thread.account, PERSON, "text") is not None
    [confirmation] = thread.messages.filter(direction="outbound")
    assert confirmation.origin == "opt_out"
    assert "START" in confirmation.body


def test_who_wants_texts_but_no_calls_is_answered_and_not_called(model: ModelServer):
    thread = ThreadFactory.create(open=True)

    texts_us(thread.number, "Please don't call me again. Text me instead.")

    assert is_suppressed(thread.account, PERSON, "voice") is not None
    assert is_suppressed(thread.account, PERSON, "text") is None
    assert answer_after(5) == 1


def test_the_model_may_understand_a_refusal_that_the_phrases_do_not(model: ModelServer):
    model.answers = ["[opt_out]"]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "I would rather we parted ways here, for good")

    assert answer_after(5) == 0

    assert is_suppressed(thread.account, PERSON, "voice") is not None
    assert [text.origin for text in thread.messages.filter(direction="outbound")] == ["opt_out"]
    assert thread.messages.inbound().get().reply == "opt_out"


def test_a_person_still_looks_at_what_may_be_a_refusal_once_it_was_answered(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "No, don't call me back")

    assert answer_after(5) == 1

    thread.refresh_from_db()
    assert thread.needs_human == "The person may not want to be contacted any more."


def test_a_model_that_fails_is_asked_again_and_then_a_person(model: ModelServer):
    model.answers = [500]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")

    for seconds in (5, 15, 60, 120, 600):
        assert answer_after(seconds) == 0

    thread.refresh_from_db()
    assert len(model.requests) == 3
    assert thread.messages.inbound().get().reply == "failed"
    assert thread.needs_human == "No automatic answer could be written."
    assert answers(thread) == []


def test_what_goes_wrong_in_one_conversation_does_not_come_back_for_ever(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
):
    tries: list[int] = []

    def goes_wrong(*args: Any, **kwargs: Any) -> Any:
        tries.append(1)
        raise ValueError("unforeseen")

    monkeypatch.setattr(answering, "conversation", goes_wrong)
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")

    for seconds in (5, 15, 60, 120, 600, 3600):
        assert answer_after(seconds) == 0

    thread.refresh_from_db()
    assert len(tries) == 3
    assert thread.needs_human == "No automatic answer could be written."


def test_a_model_that_recovers_answers_after_all(model: ModelServer):
    model.answers = [500, "It is at 3 pm."]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")

    answer_after(5)
    answer_after(30)

    assert answers(thread) == ["It is at 3 pm."]


def test_a_killed_workers_thread_comes_due_again(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    with time_machine.travel(timezone.now() + timedelta(seconds=5)):
        assert questions.take_next() is not None  # and dies

    assert answer_after(30) == 0
    assert answer_after(130) == 1


def test_a_text_has_at_most_one_answer():
    thread = ThreadFactory.create(open=True)
    text = MessageFactory.create(thread=thread, inbound=True)
    MessageFactory.create(thread=thread, origin="auto_reply", answers=text)

    with pytest.raises(IntegrityError, match="answers"):
        MessageFactory.create(thread=thread, origin="auto_reply", answers=text)


def test_an_answer_is_texted_without_markdown_and_not_at_length(model: ModelServer):
    model.answers = ["**Yes.** " + "It is at 3 pm. " * 60]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")

    answer_after(5)

    [answer] = answers(thread)
    assert answer.startswith("Yes. It is at 3 pm.")
    assert answer.endswith("3 pm.")
    assert len(answer) <= 640


@pytest.mark.parametrize(
    ("written", "texted"),
    [
        ("**Yes**, at __3 pm__.", "Yes, at 3 pm."),
        ("See https://example.com/a__b__c?x=1**2", "See https://example.com/a__b__c?x=1**2"),
        ("Write to sam__carter@example.com.", "Write to sam__carter@example.com."),
    ],
)
def test_an_address_in_an_answer_stays_as_it_is(model: ModelServer, written: str, texted: str):
    model.answers = [written]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Where do I book?")

    answer_after(5)

    assert answers(thread) == [texted]


def test_an_agent_that_speaks_as_well_texts_no_tags_of_its_calls(model: ModelServer):
    model.answers = ["Goodbye, Sam! [END_CALL] [TRANSFER: +442087601234]"]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Thanks, bye")

    answer_after(5)

    assert answers(thread) == ["Goodbye, Sam!"]


def test_an_answer_of_one_long_sentence_ends_with_a_whole_word(model: ModelServer):
    model.answers = ["Sure. We have " + "Monday at 9, " * 80]
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "When can I come?")

    answer_after(5)

    [answer] = answers(thread)
    assert 600 < len(answer) <= 640
    assert answer.split()[-1] in {"Monday", "at", "9,"}


def test_what_never_reached_the_person_is_not_in_what_the_model_reads(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    MessageFactory.create(
        thread=thread, status="failed", body="Lost", created_at=timezone.now() - timedelta(hours=1)
    )
    texts_us(thread.number, "", NumMedia="1", MediaUrl0="https://x", MediaContentType0="image/png")

    answer_after(5)

    assert model.requests[0]["messages"] == [
        {"role": "user", "content": "[a picture or file, which you cannot see]"}
    ]


def test_what_waits_for_the_morning_is_not_in_what_the_model_reads(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    held = MessageFactory.create(thread=thread, body="Your appointment is at 9 am.")
    held.parts.update(send_after=timezone.now() + timedelta(hours=5))
    texts_us(thread.number, "Is it still on?")

    answer_after(5)

    assert model.requests[0]["messages"] == [{"role": "user", "content": "Is it still on?"}]


def test_a_conversation_that_cannot_be_put_to_the_model_holds_up_no_other(
    model: ModelServer, monkeypatch: pytest.MonkeyPatch
):
    bad, good = ThreadFactory.create(open=True), ThreadFactory.create(open=True)
    texts_us(bad.number, "Is it still on?")
    texts_us(good.number, "Is it still on?")

    def goes_wrong(**about: Any) -> Any:
        if about["number"] == bad.number:
            raise ValueError("unforeseen")
        return text_prompt(**about)

    monkeypatch.setattr(questions, "text_prompt", goes_wrong)

    assert [answer_after(seconds) for seconds in (5, 15, 60, 120)] == [1, 0, 0, 0]

    assert answers(good) == ["It is at 3 pm."]
    bad.refresh_from_db()
    assert bad.needs_human == "No automatic answer could be written."


def test_a_person_looks_where_an_agent_was_switched_off_before_it_answered(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    Agent.objects.update(is_active=False)

    assert answer_after(5) == 0

    thread.refresh_from_db()
    assert newest(thread).reply == "no_agent"
    assert thread.needs_human == "No active agent answers this number."


def test_a_person_looks_where_a_number_was_removed_before_its_agent_answered(model: ModelServer):
    thread = ThreadFactory.create(open=True)
    texts_us(thread.number, "Is it still on?")
    PhoneNumber.objects.all().delete()

    assert answer_after(5) == 0

    thread.refresh_from_db()
    assert newest(thread).reply == "no_agent"
    assert thread.needs_human == "No active agent answers this number."


def test_an_account_that_was_switched_off_answers_nobody(model: ModelServer):
    early, late = ThreadFactory.create(open=True), ThreadFactory.create(open=True)
    texts_us(early.number, "Is it still on?")
    Account.objects.update(is_active=False)
    texts_us(late.number, "Is it still on?")

    assert answer_after(5) == 0

    assert (newest(early).reply, newest(late).reply) == ("no_agent", "no_agent")
    assert model.requests == []


def test_after_the_window_nothing_is_left_of_what_the_last_text_wanted_answers_to_be_like(
    model: ModelServer, settings: Any
):
    settings.SMS_ANSWER_AFTER_WINDOW = True
    thread = ThreadFactory.create(
        open=True,
        reply_until=timezone.now(),
        context_prompt="Offer Tuesday.",
        number__sms_reply_enabled=True,
    )
    texts_us(thread.number, "Do you have a table for two?")

    assert answer_after(5) == 1

    assert "Offer Tuesday." not in model.system


@pytest.fixture
def shallow_stack() -> Iterator[None]:
    """No more than 150 calls within each other, from here on."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    yield
    sys.setrecursionlimit(limit)


def test_any_number_of_threads_that_wait_for_nothing_are_settled_in_one_run(shallow_stack: None):
    one = ThreadFactory.create(open=True)
    due = timezone.now() - timedelta(minutes=1)
    Thread.objects.bulk_create(
        Thread(
            account=one.account,
            our_number=one.our_number,
            their_number=f"+4474464{number:05}",
            answer_due_at=due,
        )
        for number in range(100)
    )

    assert answering.answer_due() == 0

    assert not Thread.objects.exclude(answer_due_at=None).exists()
