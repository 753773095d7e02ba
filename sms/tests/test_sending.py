from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import responses
import time_machine
from django.db import connection
from django.utils import timezone

from accounts.factories import AccountFactory
from accounts.models import Account, Suppression
from accounts.suppression import is_suppressed, suppress
from agents.models import Agent, PhoneNumber
from sms import claiming, sending, services
from sms.factories import PERSON, MessageFactory, PartFactory, ThreadFactory, new_sid
from sms.models import Message, MessagePart, Pace, Thread
from sms.tests.twilio_side import (
    message_json,
    messages_url,
    refuses_text,
    sends,
    takes_texts,
    tells,
    texts_us,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_other_carrier(telco: Any) -> None:
    """No test here may speak to anything but the carrier it describes."""


def text(thread: Thread, body: str = "Your appointment is at 3 pm.", **about: Any) -> Message:
    assert thread.number is not None
    return services.send_text(
        thread.account,
        agent=thread.number.agent,
        number=thread.number,
        to_number=thread.their_number,
        body=body,
        origin=about.pop("origin", Message.Origin.API),
        **about,
    )


def part_of(message: Message) -> MessagePart:
    return message.parts.get()


def test_a_text_is_sent_with_a_token_in_its_callback(telco: Any, settings: Any):
    thread = ThreadFactory.create()
    takes_texts(thread)
    message = text(thread)

    assert sending.send_due() == 1

    message.refresh_from_db()
    part = part_of(message)
    assert (message.status, part.status) == ("queued", "queued")
    assert part.carrier_sid.startswith("SM")
    assert sends(telco) == [
        {
            "To": [PERSON],
            "From": [thread.our_number],
            "Body": ["Your appointment is at 3 pm."],
            "StatusCallback": [f"{settings.PUBLIC_URL}/twilio/sms-status/?p={part.token}"],
        }
    ]
    assert sending.send_due() == 0
    assert len(sends(telco)) == 1


def test_the_part_is_on_record_before_the_carrier_is_asked(telco: Any):
    message = text(thread := ThreadFactory.create())
    seen = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append(part_of(message).status)
        return 201, {}, '{"sid": "SM1"}'

    telco.add_callback("POST", messages_url(thread), callback=answer)

    sending.send_due()

    assert seen == ["sending"]


def test_a_refused_text_has_failed_and_says_why(telco: Any):
    message = text(thread := ThreadFactory.create())
    refuses_text(thread, 21614)

    sending.send_due()

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("failed", 21614)
    assert message.error_message == "The number texted is not a mobile number. (Twilio error 21614)"
    assert message.sent_at is None
    thread.refresh_from_db()
    assert (thread.reply_until, thread.window_open) == (None, False)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 201, "body": "not json"},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.exceptions.ChunkedEncodingError()},
    ],
)
def test_a_text_whose_answer_was_lost_is_never_sent_again(telco: Any, answer: dict[str, Any]):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), **answer)
    later = text(thread, "And bring your card.")

    sending.send_due()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        sending.send_due()

    assert len(sends(telco)) == 1
    assert part_of(message).status == "unknown"
    assert part_of(later).status == "waiting"  # texts to one person stay in order


def test_a_lost_answer_is_settled_by_the_carriers_list(telco: Any):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), body=requests.ReadTimeout("slow"))
    sending.send_due()
    now = timezone.now()
    listed = [
        message_json(new_sid(), body="Something else", date_created=_rfc(now)),
        message_json("SM" + "7" * 32, date_created=_rfc(now)),
        message_json(new_sid(), date_created=_rfc(now - timedelta(hours=1))),
    ]
    responses.get(messages_url(thread), json={"messages": listed})

    sending.reconcile()

    part = part_of(message)
    assert (part.status, part.carrier_sid) == ("queued", "SM" + "7" * 32)


def test_a_text_the_carrier_shows_no_trace_of_is_lost_and_not_sent_again(telco: Any):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), body=requests.ReadTimeout("slow"))
    sending.send_due()
    responses.get(messages_url(thread), json={"messages": []})

    sending.reconcile()
    assert part_of(message).status == "unknown"
    sending.reconcile(timezone.now() + timedelta(minutes=6))

    message.refresh_from_db()
    assert message.status == "failed"
    assert "never said" in message.error_message
    assert len(sends(telco)) == 1


def test_a_lost_text_that_is_reported_after_all_comes_back_to_life(telco: Any):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), body=requests.ReadTimeout("slow"))
    sending.send_due()
    responses.get(messages_url(thread), json={"messages": []})
    sending.reconcile(timezone.now() + timedelta(minutes=6))

    tells(part_of(message), "delivered", sid="SM" + "5" * 32)

    message.refresh_from_db()
    assert (message.status, part_of(message).carrier_sid) == ("delivered", "SM" + "5" * 32)
    thread.refresh_from_db()
    assert thread.window_open


def test_a_doubtful_text_that_cannot_be_settled_holds_up_no_other(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    died = [text(ThreadFactory.create()) for _ in range(2)]
    for _ in died:
        assert claiming.claim_next() is not None
    doubt = sending._doubt_outcome
    broken, other = (part_of(message) for message in died)
    looked: list[int] = []

    def may_fail(part_pk: int, why: str) -> None:
        if part_pk == broken.pk:
            raise ValueError("unforeseen")
        doubt(part_pk, why)

    monkeypatch.setattr(sending, "_doubt_outcome", may_fail)
    monkeypatch.setattr(sending, "_look_for", lambda part, now: looked.append(part.pk))
    sending.reconcile(timezone.now() + timedelta(minutes=2))

    assert [part_of(message).status for message in died] == ["sending", "unknown"]
    assert looked == [other.pk]


def test_while_the_carrier_does_not_answer_nothing_is_given_up(telco: Any):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), body=requests.ReadTimeout("slow"))
    sending.send_due()
    responses.get(messages_url(thread), status=500)

    sending.reconcile(timezone.now() + timedelta(hours=6))

    assert part_of(message).status == "unknown"


def test_a_process_that_died_while_sending_leaves_a_doubt_and_no_second_text(telco: Any):
    message = text(thread := ThreadFactory.create())
    assert claiming.claim_next() is not None
    responses.get(messages_url(thread), json={"messages": []})

    later = timezone.now() + timedelta(seconds=90)
    with time_machine.travel(later):
        assert sending.send_due() == 0
        sending.reconcile()

    assert part_of(message).status == "unknown"
    assert sends(telco) == []


def test_a_carrier_that_cannot_be_reached_is_tried_again_and_then_no_more(telco: Any):
    message = text(thread := ThreadFactory.create())
    responses.post(messages_url(thread), body=requests.ConnectTimeout())
    start = timezone.now()

    for minute in range(30):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            sending.send_due()

    message.refresh_from_db()
    assert len(sends(telco)) == 7
    assert message.status == "failed"
    assert message.error_message.startswith("The carrier could not be reached")
    thread.refresh_from_db()
    assert not thread.window_open


def test_while_the_carrier_cannot_be_reached_no_reply_window_is_open(telco: Any):
    thread = ThreadFactory.create()
    message = text(thread, context_prompt="Offer Tuesday.")
    responses.post(messages_url(thread), body=requests.ConnectTimeout())

    sending.send_due()
    thread.refresh_from_db()
    message.refresh_from_db()
    assert (message.sent_at, thread.reply_until, thread.context_prompt) == (None, None, "")
    assert sending.call_off(message.pk) is True

    thread.refresh_from_db()
    message.refresh_from_db()
    assert (message.status, message.sent_at, thread.window_open) == ("failed", None, False)


def test_a_part_that_did_not_reach_the_carrier_is_not_tried_again_after_another_failed(telco: Any):
    message = MessageFactory.create(part=None)
    first = PartFactory.create(message=message, taken=True)
    second = PartFactory.create(message=message, number=2)

    def fails(request: Any) -> Any:
        tells(first, "failed", ErrorCode="30007")
        raise requests.ConnectTimeout

    telco.add_callback("POST", messages_url(message.thread), callback=fails)
    sending.send_due()

    second.refresh_from_db()
    message.refresh_from_db()
    assert (second.status, message.error_code) == ("failed", 30007)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert claiming.claim_next() is None


def test_a_long_text_goes_in_parts_in_order_with_one_status_for_the_whole(telco: Any):
    thread = ThreadFactory.create()
    takes_texts(thread)
    message = text(thread, "appointment " * 300)
    assert message.segments == sum(message.parts.values_list("segments", flat=True)) == 25

    start = timezone.now()
    for tick in range(30):
        with time_machine.travel(start + timedelta(seconds=tick), tick=False):
            sending.send_due()

    bodies = [form["Body"][0] for form in sends(telco)]
    assert " ".join(bodies) == ("appointment " * 300).strip()
    first, second, third = message.parts.all()
    for part in (first, second):
        tells(part, "delivered")
    tells(third, "sent")
    message.refresh_from_db()
    assert message.status == "sent"
    tells(third, "delivered")
    message.refresh_from_db()
    assert (message.status, message.delivered_at is not None) == ("delivered", True)


def test_after_a_part_that_failed_the_rest_is_not_sent(telco: Any):
    thread = ThreadFactory.create()
    takes_texts(thread)
    message = text(thread, "appointment " * 300)
    sending.send_due()

    tells(message.parts.get(number=1), "failed", ErrorCode="30007")
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        sending.send_due()

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("failed", 30007)
    assert len(sends(telco)) == 1
    assert [part.status for part in message.parts.all()] == ["failed"] * 3


def test_a_number_sends_a_segment_a_second_and_other_numbers_beside_it(telco: Any):
    ours, other = ThreadFactory.create(), ThreadFactory.create()
    takes_texts(ours)
    takes_texts(other)
    sent: list[int] = []
    start = timezone.now().replace(microsecond=0)
    with time_machine.travel(start, tick=False):
        for person in range(3):
            text(ours if person == 0 else _thread_of(ours, person))
        text(other)

    for second in range(4):
        with time_machine.travel(start + timedelta(seconds=second), tick=False):
            sent.append(sending.send_due())

    assert sent == [2, 1, 1, 0]


def test_an_account_has_a_pace_of_its_own(telco: Any, settings: Any):
    settings.SMS_PER_ACCOUNT_PER_SECOND = 1
    ours = ThreadFactory.create()
    other = ThreadFactory.create(account=ours.account)
    takes_texts(ours)
    takes_texts(other)
    text(ours)
    text(other)

    with time_machine.travel(timezone.now(), tick=False):
        assert sending.send_due() == 1


def test_one_run_sends_at_the_accounts_pace_until_nothing_is_left(
    telco: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.SMS_PER_ACCOUNT_PER_SECOND = 20
    account = AccountFactory.create()
    for _ in range(5):
        thread = ThreadFactory.create(account=account)
        takes_texts(thread)
        text(thread)
    slept: list[float] = []

    with time_machine.travel(timezone.now(), tick=False) as clock:

        def sleep(seconds: float) -> None:
            slept.append(round(seconds, 3))
            clock.shift(seconds)

        monkeypatch.setattr("sms.claiming.time.sleep", sleep)
        assert sending.send_due() == 5

    assert slept == [0.045] * 4
    assert len(sends(telco)) == 5


def test_a_run_does_not_wait_for_what_goes_much_later(telco: Any, monkeypatch: pytest.MonkeyPatch):
    ours = ThreadFactory.create()
    takes_texts(ours)
    text(ours)
    text(_thread_of(ours, 1))
    monkeypatch.setattr("sms.claiming.time.sleep", lambda _: pytest.fail("it waited"))

    with time_machine.travel(timezone.now(), tick=False):
        assert sending.send_due() == 1  # the number's next segment may go in 0.9 s


def test_who_opted_out_meanwhile_is_not_texted(telco: Any):
    thread = ThreadFactory.create()
    message = text(thread)
    suppress(thread.account, PERSON, source=Suppression.Source.OPERATOR)

    assert sending.send_due() == 0

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("failed", 21610)
    assert sends(telco) == []
    thread.refresh_from_db()
    assert not thread.window_open


@pytest.mark.parametrize(
    ("said", "texted"),
    [("+5215512345678", "+525512345678"), ("+541123456789", "+5491123456789")],
)
def test_who_opted_out_under_the_other_spelling_of_their_number_is_not_texted(
    telco: Any, said: str, texted: str
):
    message = text(ThreadFactory.create(their_number=texted))
    suppress(message.account, said, source=Suppression.Source.SPOKEN)

    assert sending.send_due() == 0

    message.refresh_from_db()
    assert (message.status, message.error_code) == ("failed", 21610)
    assert sends(telco) == []


@pytest.mark.parametrize("somebody", ["12345", "+99912345678"])
def test_a_late_text_to_a_number_of_no_plan_does_not_hold_up_the_others(telco: Any, somebody: str):
    night = datetime(2026, 11, 23, 3, tzinfo=UTC)
    with time_machine.travel(night - timedelta(hours=2), tick=False):
        text(ThreadFactory.create(their_number=somebody))
    with time_machine.travel(night, tick=False):
        to_a_person = text(ThreadFactory.create())

        assert claiming.claim_next() == part_of(to_a_person)
        assert claiming.claim_next() is None
    with time_machine.travel(night + timedelta(hours=8), tick=False):  # by day under every law
        assert claiming.claim_next() is not None


def test_a_text_that_waits_for_the_morning_holds_up_no_later_one_to_the_same_person(telco: Any):
    night = datetime(2026, 11, 23, 3, tzinfo=UTC)
    thread = ThreadFactory.create(open=True, account__enforce_calling_hours=True)
    with time_machine.travel(night, tick=False):
        held = text(thread, "appointment " * 300)
        assert claiming.claim_next() is None
        texts_us(thread.number, "Please don't text me again.")

        claimed = claiming.claim_next()

    assert claimed is not None
    assert claimed.message.origin == "opt_out"
    assert {part.status for part in held.parts.all()} == {"waiting"}


def test_so_does_one_that_did_not_reach_the_carrier_in_the_evening(telco: Any):
    evening = datetime(2026, 11, 23, 20, 59, 50, tzinfo=UTC)
    thread = ThreadFactory.create(open=True, account__enforce_calling_hours=True)
    responses.post(messages_url(thread), body=requests.ConnectTimeout())
    with time_machine.travel(evening, tick=False):
        late = text(thread)
        sending.send_due()
        assert part_of(late).attempts == 1
    with time_machine.travel(evening + timedelta(minutes=1), tick=False):
        assert claiming.claim_next() is None
        answer = text(thread, "It is.", origin=Message.Origin.AUTO_REPLY)

        assert claiming.claim_next() == part_of(answer)


def test_the_parts_of_a_text_that_waited_for_the_morning_go_in_order(telco: Any):
    night = datetime(2026, 11, 23, 3, tzinfo=UTC)
    thread = ThreadFactory.create(account__enforce_calling_hours=True)
    takes_texts(thread)
    with time_machine.travel(night, tick=False):
        message = text(thread, "appointment " * 300)
        assert sending.send_due() == 0

    for minute in range(3):
        with time_machine.travel(night + timedelta(hours=8, minutes=minute), tick=False):
            assert sending.send_due() == 1

    bodies = [form["Body"][0] for form in sends(telco)]
    assert bodies == [part.body for part in message.parts.all()]


def test_a_lost_answer_is_found_behind_the_words_that_a_trial_account_puts_before_each_text(
    telco: Any,
):
    message = text(ThreadFactory.create())
    telco.post(messages_url(message.thread), body=requests.ReadTimeout())
    sending.send_due()
    words = f"Sent from your Twilio trial account - {message.body}"
    found = message_json("SM1", body=words, date_created=_rfc(timezone.now()))
    telco.get(messages_url(message.thread), json={"messages": [found]})

    sending.reconcile()

    assert part_of(message).carrier_sid == "SM1"


def test_an_account_that_was_switched_off_meanwhile_texts_nobody(telco: Any):
    thread = ThreadFactory.create()
    message = text(thread)
    Account.objects.update(is_active=False)

    assert sending.send_due() == 0

    message.refresh_from_db()
    assert (message.status, message.error_message) == (
        "failed",
        "The account was switched off before the text was sent.",
    )


def test_an_agent_that_was_switched_off_meanwhile_texts_nobody(telco: Any):
    asked_for, answer = (
        text(ThreadFactory.create(), origin=origin)
        for origin in (Message.Origin.API, Message.Origin.AUTO_REPLY)
    )
    Agent.objects.update(is_active=False)

    assert claiming.claim_next() is None

    for message in (asked_for, answer):
        message.refresh_from_db()
        assert (message.status, message.error_message) == (
            "failed",
            "The agent or number was switched off before the text was sent.",
        )


def test_a_number_that_may_not_text_out_any_more_still_answers(telco: Any):
    asked_for, answer = (
        text(ThreadFactory.create(), origin=origin)
        for origin in (Message.Origin.API, Message.Origin.AUTO_REPLY)
    )
    PhoneNumber.objects.update(outbound_enabled=False)

    assert claiming.claim_next() == part_of(answer)
    assert claiming.claim_next() is None

    asked_for.refresh_from_db()
    assert asked_for.status == "failed"


def test_a_campaigns_text_waits_while_its_agent_is_switched_off(telco: Any):
    message = text(ThreadFactory.create(), origin=Message.Origin.CAMPAIGN)
    Agent.objects.update(is_active=False)
    assert claiming.claim_next() is None
    Agent.objects.update(is_active=True)

    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert claiming.claim_next() == part_of(message)


def test_who_is_erased_while_the_carrier_is_asked_holds_up_no_other(telco: Any):
    gone, other = text(ThreadFactory.create()), text(ThreadFactory.create())
    takes_texts(other.thread)

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        gone.thread.delete()
        return 201, {}, '{"sid": "SM1"}'

    telco.add_callback("POST", messages_url(gone.thread), callback=answer)

    assert sending.send_due() == 2

    assert part_of(other).status == "queued"


def test_error_21610_enters_the_person_in_the_ledger_for_voice_too(telco: Any):
    thread = ThreadFactory.create()
    message = text(thread)
    refuses_text(thread, 21610)

    sending.send_due()

    entry = is_suppressed(thread.account, PERSON, Suppression.Scope.VOICE)
    assert entry is not None
    assert entry.source == "carrier_21610"
    assert entry.evidence == {"message_id": message.message_id}


def test_a_text_called_off_in_time_is_not_sent_and_one_with_the_carrier_is_not_called_off(
    telco: Any,
):
    thread = ThreadFactory.create()
    takes_texts(thread)
    early, late = text(thread), MessageFactory.create(taken=True)

    assert sending.call_off(early.pk) is True
    assert sending.call_off(late.pk) is False
    assert sending.send_due() == 0

    early.refresh_from_db()
    assert (early.status, early.error_message) == ("failed", "Called off before it was sent.")
    assert sends(telco) == []


def test_a_number_that_was_removed_sends_nothing(telco: Any):
    thread = ThreadFactory.create()
    message = text(thread)
    assert thread.number is not None
    thread.number.delete()

    assert sending.send_due() == 0

    message.refresh_from_db()
    assert message.error_message == "The number to text from was removed before the text was sent."


def test_a_text_committed_after_a_later_one_that_is_in_doubt_holds_up_nobody_else(telco: Any):
    thread = ThreadFactory.create()
    earlier, later = text(thread), text(thread)
    MessagePart.objects.filter(message=later).update(status="unknown")
    to_another = text(ThreadFactory.create())

    assert claiming.claim_next() == part_of(to_another)
    assert claiming.claim_next() is None

    assert part_of(earlier).status == "waiting"


def test_a_text_that_cannot_be_judged_holds_up_nobody_else(telco: Any):
    thread = ThreadFactory.create()
    broken = text(thread)
    with connection.cursor() as cursor:  # no key reads it
        cursor.execute("UPDATE accounts_carrieraccount SET auth_token = 'gAAA'")
    to_another = text(ThreadFactory.create())

    assert claiming.claim_next() == part_of(to_another)
    assert claiming.claim_next() is None

    assert part_of(broken).send_after > timezone.now() + timedelta(minutes=9)


@pytest.mark.django_db(transaction=True)
def test_texts_that_may_not_go_are_settled_one_by_one_and_stay_so_if_the_worker_is_killed(
    telco: Any, monkeypatch: pytest.MonkeyPatch
):
    off, other = text(ThreadFactory.create()), text(ThreadFactory.create())
    assert off.thread.number is not None
    off.thread.number.delete()
    claim = claiming._claim

    def killed(part_pk: int, now: datetime) -> Any:
        if part_pk == part_of(other).pk:
            raise SystemExit
        return claim(part_pk, now)

    monkeypatch.setattr(claiming, "_claim", killed)

    with pytest.raises(SystemExit):
        claiming.claim_next()

    assert part_of(off).status == "failed"


@pytest.mark.django_db(transaction=True)
def test_ten_workers_send_each_text_once(telco: Any, settings: Any):
    settings.SMS_PER_NUMBER_PER_SECOND = settings.SMS_PER_ACCOUNT_PER_SECOND = 1000
    thread = ThreadFactory.create()
    takes_texts(thread)
    for person in range(40):
        text(_thread_of(thread, person), f"Text {person}")

    def work(_: int) -> int:
        try:
            return sending.send_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        total = sum(pool.map(work, range(10)))
    while Pace.objects.exists() and sending.send_due():
        total += 1

    bodies = sorted(form["Body"][0] for form in sends(telco))
    assert bodies == sorted(f"Text {person}" for person in range(40))


def test_two_parts_of_one_thread_are_never_in_doubt_at_once():
    from django.db import IntegrityError

    thread = ThreadFactory.create()
    message = MessageFactory.create(thread=thread, part=None)
    PartFactory.create(message=message, status="unknown")

    with pytest.raises(IntegrityError, match="sms_part_one_unsettled_per_thread"):
        PartFactory.create(message=message, number=2, status="sending")


def _thread_of(like: Thread, person: int) -> Thread:
    return ThreadFactory.create(
        account=like.account, number=like.number, their_number=f"+4473861{person:05d}"
    )


def _rfc(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
