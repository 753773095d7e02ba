from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.factories import AccountFactory, api_client
from accounts.models import Suppression
from accounts.suppression import suppress
from agents.factories import AgentFactory, NoteFactory, PhoneNumberFactory
from sms import services
from sms.factories import PERSON, MessageFactory, ThreadFactory
from sms.models import Message, MessagePart, Thread

pytestmark = pytest.mark.django_db


def post(account: Any, **body: Any) -> Any:
    return api_client(account).post("/v1/sms", body, content_type="application/json")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_text_in_the_missions_names_is_recorded_and_answered_at_once():
    number = PhoneNumberFactory.create()

    answer = post(
        number.account,
        agent_id=number.agent.agent_id,
        to_number=PERSON,
        from_number=number.phone_number,
        body="Your appointment is tomorrow.",
        context_prompt="Offer Tuesday.",
    )

    assert answer.status_code == 201
    shown = answer.json()
    message = Message.objects.get()
    assert shown["message_id"] == message.message_id
    assert (shown["status"], shown["to"], shown["to_number"]) == ("queued", PERSON, PERSON)
    assert shown["from"] == shown["from_number"] == number.phone_number
    assert (shown["encoding"], shown["segments"]) == ("GSM-7", 1)
    assert message.context_prompt == "Offer Tuesday."
    assert MessagePart.objects.get().status == "waiting"


def test_the_newer_names_mean_the_same():
    number = PhoneNumberFactory.create()

    answer = post(
        number.account,
        agent_id=number.agent.agent_id,
        to=PERSON,
        message="Hello",
        context={"reply_context": "Offer Tuesday."},
    )

    assert answer.status_code == 201
    message = Message.objects.get()
    assert (message.body, message.context_prompt) == ("Hello", "Offer Tuesday.")
    assert message.from_number == number.phone_number  # the agent's only one


@pytest.mark.parametrize(
    ("change", "refusal", "field"),
    [
        ({"agent_id": ""}, (400, "missing_field"), "agent_id"),
        ({"to_number": None}, (400, "missing_field"), "to_number"),
        ({"body": "  "}, (400, "missing_field"), "body"),
        ({"to_number": "07386172392"}, (400, "invalid_phone_format"), "to_number"),
        ({"body": 5}, (400, "invalid_request"), "body"),
        ({"from_number": "+447446999999"}, (400, "from_number_not_owned"), "from_number"),
        ({"body": "x" * 16_001}, (400, "message_too_long"), "body"),
        ({"context": {"reply_context": 5}}, (400, "invalid_request"), "context.reply_context"),
        ({"agent_id": "agent_none"}, (404, "agent_not_found"), "agent_id"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_leaves_nothing(
    change: dict[str, Any], refusal: tuple[int, str], field: str | None
):
    number = PhoneNumberFactory.create()
    assert number.agent is not None
    text = {"agent_id": number.agent.agent_id, "to_number": PERSON, "body": "Hello"}

    answer = post(number.account, **(text | change))

    assert code(answer) == refusal
    assert answer.json()["error"]["details"].get("field") == field
    assert not Message.objects.exists()
    assert not Thread.objects.exists()


@pytest.mark.parametrize("numbers", [0, 2])
def test_an_agent_without_exactly_one_number_needs_from_number(numbers: int):
    agent = AgentFactory.create()
    PhoneNumberFactory.create_batch(numbers, account=agent.account, agent=agent)

    answer = post(agent.account, agent_id=agent.agent_id, to=PERSON, message="Hello")

    assert code(answer) == (400, "missing_field")
    assert answer.json()["error"]["message"].startswith("from_number required - this agent has ")


def test_another_accounts_number_is_not_owned():
    agent = AgentFactory.create()
    theirs = PhoneNumberFactory.create()

    answer = post(
        agent.account,
        agent_id=agent.agent_id,
        to=PERSON,
        message="Hello",
        from_number=theirs.phone_number,
    )

    assert code(answer) == (400, "from_number_not_owned")


def test_who_asked_not_to_be_contacted_is_not_texted():
    number = PhoneNumberFactory.create()
    suppress(number.account, PERSON, source=Suppression.Source.SMS_KEYWORD)

    answer = post(number.account, agent_id=number.agent.agent_id, to=PERSON, message="Hello")

    assert code(answer) == (403, "recipient_unsubscribed")
    assert not Message.objects.exists()


def test_a_request_that_is_sent_again_sends_one_text():
    number = PhoneNumberFactory.create()
    client = api_client(number.account)
    text = {"agent_id": number.agent.agent_id, "to": PERSON, "message": "Hello"}

    first, second = (
        client.post("/v1/sms", text, content_type="application/json") for _ in range(2)
    )

    assert first.json()["message_id"] == second.json()["message_id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Message.objects.count() == 1


def test_plain_punctuation_saves_segments():
    number = PhoneNumberFactory.create()

    answer = post(
        number.account,
        agent_id=number.agent.agent_id,
        to=PERSON,
        message="Don’t worry",
        plain_punctuation=True,
    )

    assert (answer.json()["body"], answer.json()["encoding"]) == ("Don't worry", "GSM-7")


def test_a_text_is_shown_with_its_status_error_parts_and_thread():
    thread = ThreadFactory.create(open=True)
    message = MessageFactory.create(
        thread=thread, taken=True, status="undelivered", error_code=30003, error_message="Off."
    )
    MessageFactory.create(thread=thread, inbound=True, reply="pending")
    client = api_client(thread.account)

    shown = client.get(f"/v1/sms/{message.message_id}").json()

    assert (shown["status"], shown["error_code"], shown["error_message"]) == (
        "undelivered",
        30003,
        "Off.",
    )
    assert [part["status"] for part in shown["parts"]] == ["queued"]
    assert [text["direction"] for text in shown["thread"]["messages"]] == ["outbound", "inbound"]
    assert shown["thread"]["window_open"] is True
    by_sid = client.get(f"/v1/sms/{message.parts.get().carrier_sid}").json()
    assert by_sid["message_id"] == message.message_id


def test_a_thread_tells_which_calls_there_were_with_the_person():
    thread = ThreadFactory.create()
    message = MessageFactory.create(thread=thread)
    NoteFactory.create(account=thread.account, source="call_1", is_outbound=True)
    NoteFactory.create(account=thread.account, source="msg_1", kind="text")
    NoteFactory.create(source="call_of_another_account")

    shown = api_client(thread.account).get(f"/v1/sms/{message.message_id}").json()

    [call] = shown["thread"]["calls"]
    assert (call["call_id"], call["direction"]) == ("call_1", "outbound")
    assert call["summary"] == "Sarah booked a check-up for Tuesday at 2 pm."


def test_another_accounts_text_is_not_there():
    message = MessageFactory.create()

    for message_id in (message.message_id, "sms_none", "%00"):
        answer = api_client().get(f"/v1/sms/{message_id}")
        assert code(answer) == (404, "message_not_found")


def test_threads_are_listed_with_the_newest_text_first():
    account = AccountFactory.create()
    old, new = (
        ThreadFactory.create(
            account=account,
            their_number=f"+44738617000{hours}",
            last_message_at=timezone.now() - timedelta(hours=hours),
        )
        for hours in (5, 1)
    )
    MessageFactory.create(thread=old, body="Hello")
    ThreadFactory.create()
    client = api_client(account)

    shown = client.get("/v1/sms").json()

    assert shown["count"] == 2
    assert [thread["thread_id"] for thread in shown["threads"]] == [new.pk, old.pk]
    assert [text["body"] for text in shown["threads"][1]["messages"]] == ["Hello"]
    paged = client.get("/v1/sms?limit=1&offset=1").json()
    assert [thread["thread_id"] for thread in paged["threads"]] == [old.pk]


def test_lists_are_filtered():
    thread = ThreadFactory.create(open=True, needs_human="Look.", unread=1)
    other = ThreadFactory.create(account=thread.account, their_number="+447386170001")
    sent = MessageFactory.create(thread=thread, taken=True)
    MessageFactory.create(thread=other, status="failed", campaign_id="smsc_1")
    client = api_client(thread.account)

    def threads(query: str) -> list[int]:
        return [one["thread_id"] for one in client.get(f"/v1/sms?{query}").json()["threads"]]

    def texts(query: str) -> int:
        return int(client.get(f"/v1/sms?{query}").json()["count"])

    assert threads("to_number=%2B447386172392") == [thread.pk]
    assert threads("to=+447386172392") == [thread.pk]
    assert threads(f"agent_id={thread.agent.agent_id}") == [thread.pk]
    for flag in ("window_open", "needs_human", "unread"):
        assert threads(f"{flag}=true") == [thread.pk]
        assert threads(f"{flag}=false") == [other.pk]
    assert texts("view=messages") == 2
    assert texts("status=failed") == 1
    assert texts("campaign_id=smsc_1") == 1
    assert texts(f"view=messages&agent_id={sent.agent_public_id}") == 1
    assert texts("view=messages&since=2100-01-01") == 0
    assert code(client.get("/v1/sms?status=lost")) == (400, "invalid_request")
    assert code(client.get("/v1/sms?since=soon")) == (400, "invalid_request")
    assert code(client.get("/v1/sms?unread=perhaps")) == (400, "invalid_request")


@pytest.mark.parametrize("origin", ["in_call", "post_call"])
def test_a_call_texts_only_where_its_agent_may(origin: str):
    number = PhoneNumberFactory.create(
        agent__incall_sms_enabled=False, agent__post_call_sms_enabled=False
    )
    agent = number.agent
    assert agent is not None
    about: dict[str, Any] = {
        "number": number,
        "to_number": PERSON,
        "body": "Here is the address.",
        "call_id": "call_1",
        "origin": origin,
    }

    assert services.text_from_call(agent=agent, **about) is None
    assert not Message.objects.exists()
    agent.incall_sms_enabled = agent.post_call_sms_enabled = True
    message = services.text_from_call(agent=agent, **about)

    assert message is not None
    assert (message.origin, message.call_id) == (origin, "call_1")
