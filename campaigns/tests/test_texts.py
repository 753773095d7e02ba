from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.errors import ApiError
from accounts.factories import api_client
from accounts.models import Suppression
from accounts.suppression import suppress
from agents.factories import PhoneNumberFactory
from agents.models import PhoneNumber
from agents.tests.outside import official_sdk
from campaigns.texts import dispatch, services
from sms import claiming, inbound, sending, statuses
from sms.models import Arrival, Message, MessagePart, TextCampaign, TextRecipient, Thread

pytestmark = pytest.mark.django_db
sdk = official_sdk()

ANNA, BEN, CARL = "+447386172392", "+447386172393", "+447386172394"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def number() -> PhoneNumber:
    return PhoneNumberFactory.create()


@pytest.fixture
def client(number: PhoneNumber) -> Client:
    return api_client(number.account)


def create(client: Client, number: PhoneNumber, **change: Any) -> Any:
    assert number.agent is not None
    campaign = {
        "agent_id": number.agent.agent_id,
        "from_number": number.phone_number,
        "name": "Reminders",
        "message_template": "Hi {first_name}, see you at {time}.",
        "recipients": [
            {"phone": ANNA, "variables": {"first_name": "Anna", "time": "3 pm"}},
            {"phone": BEN, "variables": {"first_name": "Ben"}},
        ],
        "schedule_type": "now",
    }
    given = {name: value for name, value in (campaign | change).items() if value is not None}
    return client.post("/v1/sms/campaigns", given, content_type="application/json")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def launch(client: Client, campaign_id: str) -> Any:
    """Launch, as the SDK does: with no body."""
    return client.post(
        f"/v1/sms/campaigns/{campaign_id}/launch",
        content_type="application/json",
        headers={"X-Allow-Duplicate": "1"},
    )


def carrier_says(status: str) -> None:
    """Every text that waits is taken by the carrier, and ends so."""
    for part in MessagePart.objects.filter(status="waiting"):
        part.sending_at = timezone.now()
        part.save(update_fields=["sending_at"])
        statuses.bind(part.pk, f"SM{part.pk:032d}")
        statuses.note_carriers_word(part.pk, status, None)


def test_a_campaign_texts_each_person_once_with_their_own_words(client: Client, number: Any):
    created = create(client, number)
    assert created.status_code == 201
    shown = created.json()
    assert (shown["status"], shown["total_count"], shown["pending_count"]) == ("running", 2, 2)
    assert shown["campaign_id"].startswith("smsc_")

    assert [dispatch.dispatch_all() for _ in range(3)] == [2, 0, 0]

    bodies = {text.to_number: text.body for text in Message.objects.all()}
    assert bodies == {
        ANNA: "Hi Anna, see you at 3 pm.",
        BEN: "Hi Ben, see you at {time}.",
    }
    carrier_says("delivered")
    dispatch.dispatch_all()
    shown = client.get(f"/v1/sms/campaigns/{shown['campaign_id']}").json()
    assert (shown["status"], shown["delivered_count"], shown["pending_count"]) == ("done", 2, 0)
    first = shown["recipients"][0]
    assert (first["phone"], first["status"]) == (ANNA, "delivered")
    assert first["rendered_message"] == "Hi Anna, see you at 3 pm."
    assert first["twilio_sid"].startswith("SM")


def test_a_person_whose_row_breaks_holds_up_no_other(client: Client, number: Any):
    create(client, number)
    TextRecipient.objects.filter(phone=ANNA).update(zones=["Odd/Zone"])

    assert [dispatch.dispatch_all() for _ in range(2)] == [1, 0]

    assert Message.objects.get().to_number == BEN
    anna = TextRecipient.objects.get(phone=ANNA)
    assert anna.state == "pending"
    assert anna.send_after > timezone.now()  # later again, behind the others


def test_a_text_that_was_sent_on_and_never_confirmed_counts_as_failed(client: Client, number: Any):
    campaign_id = create(client, number).json()["campaign_id"]
    dispatch.dispatch_all()
    carrier_says("sent")

    shown = client.get(f"/v1/sms/campaigns/{campaign_id}").json()

    assert (shown["failed_count"], shown["sent_count"], shown["pending_count"]) == (2, 2, 0)


def test_replies_are_counted_and_answered_in_the_campaigns_context(client: Client, number: Any):
    campaign_id = create(client, number, context_prompt="Offer Tuesday.").json()["campaign_id"]
    dispatch.dispatch_all()
    with time_machine.travel(timezone.now() - timedelta(minutes=1)):
        carrier_says("delivered")

    for sid in ("SM1", "SM2"):
        text = Arrival(number=number, carrier_sid=sid, from_number=ANNA, body=f"Yes {sid}!")
        message = inbound.receive(text)
        assert message is not None
        assert message.reply == "pending"
        assert message.thread.context_prompt == "Offer Tuesday."

    assert client.get(f"/v1/sms/campaigns/{campaign_id}").json()["replied_count"] == 1


def goes_out(campaign_id: str, minutes_ago: int) -> None:
    """A campaign's next text is with the carrier, and delivered."""
    with time_machine.travel(timezone.now() - timedelta(minutes=minutes_ago), tick=False):
        MessagePart.objects.filter(status="waiting").update(send_after=timezone.now())
        part = claiming.claim_next()
        assert part is not None
        assert part.message.campaign_id == campaign_id
        statuses.bind(part.pk, f"SM{part.pk:032d}")
        statuses.note_carriers_word(part.pk, "delivered", None)


def test_a_reply_counts_for_the_campaign_that_texted_last(client: Client, number: Any):
    first, second = (
        create(client, number, name=name, recipients=[{"phone": ANNA}]).json()["campaign_id"]
        for name in ("First", "Second")
    )

    def replied() -> list[int]:
        return [
            client.get(f"/v1/sms/campaigns/{one}").json()["replied_count"]
            for one in (first, second)
        ]

    dispatch.dispatch_all()
    goes_out(first, minutes_ago=30)
    goes_out(second, minutes_ago=10)
    for sid, minutes, counted in (("SM1", 5, [0, 1]), ("SM2", 20, [1, 1])):
        at = timezone.now() - timedelta(minutes=minutes)
        inbound.receive(
            Arrival(number=number, carrier_sid=sid, from_number=ANNA, body="Yes!", at=at)
        )

        assert replied() == counted


def test_the_context_of_a_campaign_that_has_begun_holds_for_the_answers_to_what_it_texted(
    client: Client, number: Any
):
    people = [{"phone": ANNA}, {"phone": BEN}]
    old = create(client, number, context_prompt="Offer Monday.", recipients=people)
    dispatch.dispatch_all()
    campaign_id = old.json()["campaign_id"]
    goes_out(campaign_id, minutes_ago=9)
    goes_out(campaign_id, minutes_ago=8)
    later = create(client, number, context_prompt="Say sorry.", recipients=[{"phone": BEN}])
    dispatch.dispatch_all()
    goes_out(later.json()["campaign_id"], minutes_ago=3)

    client.patch(
        f"/v1/sms/campaigns/{campaign_id}",
        {"context_prompt": "Offer Tuesday."},
        content_type="application/json",
    )

    told = dict(Thread.objects.values_list("their_number", "context_prompt"))
    assert told == {ANNA: "Offer Tuesday.", BEN: "Say sorry."}
    texts = Message.objects.filter(campaign_id=campaign_id)
    assert set(texts.values_list("context_prompt", flat=True)) == {"Offer Tuesday."}


def test_erased_texts_stay_counted_as_what_they_were(client: Client, number: Any):
    people = [{"phone": ANNA}, {"phone": BEN}, {"phone": CARL}]
    campaign_id = create(client, number, recipients=people).json()["campaign_id"]
    dispatch.dispatch_all()
    goes_out(campaign_id, minutes_ago=5)
    part = MessagePart.objects.filter(status="waiting").earliest("pk")
    statuses.bind(part.pk, "SM1")
    statuses.note_carriers_word(part.pk, "undelivered", 30003)

    assert client.delete("/v1/calls").status_code == 200
    dispatch.dispatch_all()

    assert not Message.objects.exists()
    shown = client.get(f"/v1/sms/campaigns/{campaign_id}").json()
    assert shown["status"] == "done"
    counted = [shown[f"{name}_count"] for name in ("delivered", "failed", "pending", "sent")]
    assert counted == [1, 2, 0, 2]
    ends = [(person["status"], person["error_message"]) for person in shown["recipients"]]
    assert ends == [
        ("delivered", None),
        ("undelivered", None),
        ("failed", "The text was erased before the carrier had said what became of it."),
    ]


def test_only_a_few_texts_wait_at_a_time_so_that_people_are_answered(client: Client, number: Any):
    people = [{"phone": f"+4473861{n:05d}"} for n in range(12)]
    create(client, number, recipients=people, message_template="Hello")

    handed = []
    for _ in range(4):
        handed.append(dispatch.dispatch_all())
        carrier_says("delivered")

    assert handed == [5, 5, 2, 0]
    assert TextCampaign.objects.get().status == "done"


def test_a_number_that_may_send_fast_is_not_held_back_by_the_dispatcher(
    client: Client, number: Any, settings: Any
):
    settings.SMS_PER_NUMBER_PER_SECOND = 10
    people = [{"phone": f"+4473861{n:05d}"} for n in range(40)]
    create(client, number, recipients=people, message_template="Hello")

    assert dispatch.dispatch_all() == 30  # runs come every two seconds


def test_who_asked_not_to_be_contacted_is_left_out_even_at_the_last_moment(
    client: Client, number: Any
):
    suppress(number.account, ANNA, source=Suppression.Source.SMS_KEYWORD)
    create(client, number)
    suppress(number.account, BEN, source=Suppression.Source.OPERATOR)

    assert dispatch.dispatch_all() == 0

    assert not Message.objects.exists()
    campaign = TextCampaign.objects.get()
    assert campaign.status == "failed"  # nobody could be texted
    assert set(campaign.recipients.values_list("state", flat=True)) == {"failed"}


def test_a_scheduled_campaign_starts_when_its_time_has_come(client: Client, number: Any):
    with time_machine.travel(NOON, tick=False):
        created = create(
            client, number, schedule_type="schedule", scheduled_at="2026-11-24T15:00:00+00:00"
        )
    assert created.json()["status"] == "scheduled"

    assert dispatch.dispatch_all(NOON + timedelta(hours=2, minutes=59)) == 0
    assert dispatch.dispatch_all(NOON + timedelta(hours=3)) == 2


def test_people_are_texted_in_their_own_hours(client: Client, number: Any):
    people = [
        {"phone": ANNA},
        {"phone": "+12125550123"},  # New York
        {"phone": CARL, "timezone": "Asia/Tokyo"},
    ]
    with time_machine.travel(NOON, tick=False):
        create(
            client,
            number,
            recipients=people,
            message_template="Hello",
            windows=[{"start": "09:00", "end": "21:00"}],
        )

        def texted_at(hours: int) -> list[str]:
            before = set(Message.objects.values_list("pk", flat=True))
            dispatch.dispatch_all(NOON + timedelta(hours=hours))
            carrier_says("delivered")
            return list(Message.objects.exclude(pk__in=before).values_list("to_number", flat=True))

        assert texted_at(0) == [ANNA]
        assert texted_at(1) == []
        assert texted_at(2) == ["+12125550123"]  # 9 in New York
        assert texted_at(11) == []
        assert texted_at(12) == [CARL]  # 9 in Tokyo
        assert texted_at(13) == []
    assert TextCampaign.objects.get().status == "done"


def test_a_text_that_waited_past_its_persons_hours_waits_for_the_next_morning(
    client: Client, number: Any
):
    evening, morning = NOON.replace(hour=20, minute=59), NOON + timedelta(days=1, hours=-3)
    with time_machine.travel(evening, tick=False):
        windows = [{"start": "09:00", "end": "21:00"}]
        create(client, number, recipients=[{"phone": ANNA}], windows=windows)
        assert dispatch.dispatch_all(evening) == 1

    with time_machine.travel(NOON.replace(hour=23), tick=False):  # no worker was there before
        assert claiming.claim_next() is None
        assert MessagePart.objects.get().status == "waiting"
    with time_machine.travel(morning, tick=False):
        claimed = claiming.claim_next()

    assert claimed == MessagePart.objects.get(status="sending")


def test_half_a_text_is_not_held_back(client: Client, number: Any):
    evening = NOON.replace(hour=20, minute=59)
    with time_machine.travel(evening, tick=False):
        windows = [{"start": "09:00", "end": "21:00"}]
        create(
            client,
            number,
            recipients=[{"phone": ANNA}],
            windows=windows,
            message_template="Hello. " * 250,
        )
        dispatch.dispatch_all(evening)
        first = claiming.claim_next()
        assert first is not None
        statuses.bind(first.pk, f"SM{1:032d}")

    with time_machine.travel(evening + timedelta(minutes=5), tick=False):
        second = claiming.claim_next()

    assert second is not None
    assert second.number == 2


def test_a_draft_is_launched_once(client: Client, number: Any):
    campaign_id = create(client, number, schedule_type="draft").json()["campaign_id"]
    assert dispatch.dispatch_all() == 0

    launched, again = launch(client, campaign_id), launch(client, campaign_id)

    assert (launched.status_code, launched.json()["status"]) == (200, "running")
    assert code(again) == (400, "campaign_already_running")
    dispatch.dispatch_all()
    carrier_says("delivered")
    dispatch.dispatch_all()
    for answer in (launch(client, campaign_id), client.delete(f"/v1/sms/campaigns/{campaign_id}")):
        assert code(answer) == (400, "campaign_already_done")


def test_a_campaign_is_changed_until_it_begins(client: Client, number: Any):
    campaign_id = create(client, number, schedule_type="draft").json()["campaign_id"]
    path = f"/v1/sms/campaigns/{campaign_id}"

    def patch(**change: Any) -> Any:
        return client.patch(path, change, content_type="application/json")

    changed = patch(name="Other", body="Hello {first_name}", recipients=[{"phone": CARL}])
    assert changed.status_code == 200
    assert changed.json()["message_template"] == "Hello {first_name}"
    assert [person["phone"] for person in changed.json()["recipients"]] == [CARL]
    launch(client, campaign_id)

    assert code(patch(recipients=[])) == (400, "campaign_no_recipients")
    assert code(patch(name="Third")) == (400, "campaign_not_editable")
    assert code(patch(recipients=[{"phone": ANNA}])) == (400, "campaign_not_editable")
    assert patch(context_prompt="Be kind.").json()["context_prompt"] == "Be kind."
    assert TextCampaign.objects.get().name == "Other"


def test_whose_place_is_not_known_is_texted_on_the_clock_that_the_campaign_has_now(
    client: Client, number: Any
):
    with time_machine.travel(NOON, tick=False):
        campaign_id = create(
            client,
            number,
            schedule_type="draft",
            recipients=[{"phone": "+80012345678"}],
            windows=[{"start": "09:00", "end": "21:00"}],
        ).json()["campaign_id"]
        client.patch(
            f"/v1/sms/campaigns/{campaign_id}",
            {"timezone": "America/Los_Angeles"},
            content_type="application/json",
        )
        launch(client, campaign_id)

        assert dispatch.dispatch_all(NOON) == 0  # 4 in the morning there
        assert dispatch.dispatch_all(NOON + timedelta(hours=5)) == 1


def test_deleting_calls_off_what_was_not_sent_and_keeps_what_was(client: Client, number: Any):
    people = [{"phone": f"+4473861{n:05d}"} for n in range(8)]
    campaign_id = create(client, number, recipients=people, message_template="Hello").json()[
        "campaign_id"
    ]
    dispatch.dispatch_all()
    first = MessagePart.objects.order_by("pk").first()
    assert first is not None
    statuses.bind(first.pk, "SM1")

    deleted = client.delete(f"/v1/sms/campaigns/{campaign_id}").json()

    assert deleted == {"campaign_id": campaign_id, "deleted": True, "cancelled_count": 7}
    assert Message.objects.filter(status="failed").count() == 4
    assert Message.objects.filter(status="queued", campaign_id=campaign_id).count() == 1
    assert dispatch.dispatch_all() == 0
    assert code(client.get(f"/v1/sms/campaigns/{campaign_id}")) == (404, "campaign_not_found")


def test_a_text_that_was_on_its_way_when_its_campaign_was_deleted_is_not_tried_again(
    client: Client, number: Any
):
    campaign_id = create(client, number, recipients=[{"phone": ANNA}]).json()["campaign_id"]
    dispatch.dispatch_all()
    part = claiming.claim_next()
    assert part is not None

    client.delete(f"/v1/sms/campaigns/{campaign_id}")
    sending._try_again_later(part.pk)

    message = Message.objects.get()
    assert (message.status, message.sent_at) == ("failed", None)
    assert message.error_message == "Called off before it was sent."


def test_deleting_calls_off_a_text_that_the_carrier_could_not_be_asked_to_send(
    client: Client, number: Any
):
    campaign_id = create(client, number).json()["campaign_id"]
    dispatch.dispatch_all()
    part = claiming.claim_next()
    assert part is not None
    sending._try_again_later(part.pk)

    deleted = client.delete(f"/v1/sms/campaigns/{campaign_id}").json()

    assert deleted["cancelled_count"] == 2
    assert set(Message.objects.values_list("status", "sent_at")) == {("failed", None)}
    assert not Thread.objects.filter(window_open=True).exists()  # nobody can answer what never went
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        assert claiming.claim_next() is None


def test_a_stop_between_two_attempts_leaves_nothing_sent(client: Client, number: Any):
    create(client, number, recipients=[{"phone": ANNA}])
    dispatch.dispatch_all()
    part = claiming.claim_next()
    assert part is not None
    sending._try_again_later(part.pk)  # the carrier was not reached

    suppress(number.account, ANNA, source=Suppression.Source.SMS_KEYWORD)
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        assert claiming.claim_next() is None
        dispatch.dispatch_all()

    message = Message.objects.get()
    assert (message.status, message.error_code, message.sent_at) == ("failed", 21610, None)
    assert not message.thread.window_open
    assert TextCampaign.objects.get().status == "failed"  # nobody was texted


@pytest.mark.parametrize("late", [services.delete, services.launch, services.edit])
def test_who_comes_to_a_campaign_that_is_being_deleted_does_not_find_it(
    client: Client, number: Any, late: Any
):
    create(client, number)
    pk = TextCampaign.objects.get().pk
    services.delete(pk)

    with pytest.raises(ApiError) as refused:
        late(pk)

    assert (refused.value.status, refused.value.code) == (404, "campaign_not_found")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"agent_id": None}, (400, "missing_field")),
        ({"from_number": None}, (400, "missing_field")),
        ({"message_template": None}, (400, "missing_field")),
        ({"recipients": None}, (400, "missing_field")),
        ({"recipients": []}, (400, "campaign_no_recipients")),
        ({"recipients": [{"phone": ANNA}] * 10_001}, (400, "too_many_recipients")),
        ({"recipients": [{"phone": ANNA}, {"phone": "0738"}]}, (400, "invalid_phone_format")),
        ({"agent_id": "agent_none"}, (404, "agent_not_found")),
        ({"from_number": "+447446999999"}, (400, "from_number_not_owned")),
        ({"schedule_type": "schedule"}, (400, "invalid_schedule")),
        ({"schedule_type": "schedule", "scheduled_at": "soon"}, (400, "invalid_schedule")),
        ({"schedule_type": "tomorrow"}, (400, "invalid_schedule")),
        ({"reply_window_hours": 721}, (400, "invalid_request")),
        ({"message_template": "x" * 16_001}, (400, "message_too_long")),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    client: Client, number: Any, change: dict[str, Any], refusal: tuple[int, str]
):
    assert code(create(client, number, **change)) == refusal

    assert not TextCampaign.objects.exists()
    assert not TextRecipient.objects.exists()


def test_a_number_that_was_removed_texts_nobody(client: Client, number: Any):
    create(client, number)
    number.delete()

    assert dispatch.dispatch_all() == 0

    assert TextCampaign.objects.get().status == "failed"


@pytest.mark.parametrize("switch", ["account.is_active", "agent.is_active", "outbound_enabled"])
def test_a_campaign_whose_account_agent_or_number_is_off_waits_until_it_is_on(
    client: Client, number: Any, switch: str
):
    create(client, number)
    owner, _, flag = switch.rpartition(".")
    switched = getattr(number, owner) if owner else number
    setattr(switched, flag, False)
    switched.save()

    assert dispatch.dispatch_all() == 0
    assert Message.objects.count() == 0
    assert TextCampaign.objects.get().status == "running"

    setattr(switched, flag, True)
    switched.save()
    assert dispatch.dispatch_all() == 2


def test_the_trouble_of_one_campaign_does_not_hold_up_the_others(
    client: Client, number: Any, monkeypatch: pytest.MonkeyPatch
):
    create(client, number, message_template="Broken.", schedule_type="now")
    create(client, number, message_template="Whole.")
    rendered = dispatch.rendered

    def broken(campaign: TextCampaign, person: Any) -> str:
        if campaign.message_template == "Broken.":
            raise RuntimeError("down")
        return rendered(campaign, person)

    monkeypatch.setattr(dispatch, "rendered", broken)
    assert dispatch.dispatch_all() == 2

    assert set(Message.objects.values_list("body", flat=True)) == {"Whole."}


def test_somebody_listed_twice_is_texted_once(client: Client, number: Any):
    create(client, number, recipients=[{"phone": ANNA}, {"phone": ANNA}], message_template="Hi")

    assert dispatch.dispatch_all() == 1
    assert services.counts(TextCampaign.objects.all()).popitem()[1]["total_count"] == 1


@pytest.fixture
def nixflex(live_server: Any, number: PhoneNumber) -> Iterator[Any]:
    from accounts.factories import ApiKeyFactory

    key = ApiKeyFactory.create(account=number.account)
    with sdk.Nixflex(
        api_key=f"{key.key_id}:{key.secret}", base_url=live_server.url, max_retries=0
    ) as nixflex:
        yield nixflex


@pytest.mark.django_db(transaction=True)
def test_the_official_sdk_runs_a_campaign(nixflex: Any, number: PhoneNumber):
    assert number.agent is not None
    made = nixflex.sms.campaigns.create(
        number.agent.agent_id,
        number.phone_number,
        "Hi {first_name}",
        [{"phone": ANNA, "variables": {"first_name": "Anna"}}],
        schedule_type="draft",
    )
    launched = nixflex.sms.campaigns.launch(made["campaign_id"])
    fetched = nixflex.sms.campaigns.get(made["campaign_id"])
    listed = nixflex.sms.campaigns.list(status="running")
    deleted = nixflex.sms.campaigns.delete(made["campaign_id"])

    assert made["status"] == "draft"
    assert launched["status"] == "running"
    assert fetched["recipients"][0]["rendered_message"] == "Hi Anna"
    assert [one["campaign_id"] for one in listed["campaigns"]] == [made["campaign_id"]]
    assert deleted["cancelled_count"] == 1
