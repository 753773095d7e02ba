from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import connection
from django.utils import timezone
from twilio.request_validator import RequestValidator

from accounts.models import Suppression
from agents.factories import CallerFactory, NoteFactory
from agents.models import Agent
from agents.tests.twilio_side import form_of
from agents.tools.base import ToolCall
from agents.tools.using import use
from calls import live, services, tickets
from calls.factories import CallFactory, TurnFactory
from calls.live import LiveEvent, MediaRefused, SpokenTurn
from calls.models import Call
from calls.recordings import signed_url
from calls.tests.twilio_side import call_json, calls_url
from sms.models import Message

pytestmark = pytest.mark.django_db

HELLO = SpokenTurn(
    sequence=0, role="agent", text="Hello.", started_ms=800, ended_ms=1400, timings={"a_ms": 1}
)


def opened(call: Call, **kwargs: Any) -> live.LiveCall:
    return live.open_media(tickets.issue(call), call.carrier_sid, **kwargs)


def test_the_leases_of_a_process_are_renewed_by_one_statement_however_many_calls_it_has():
    calls = [CallFactory.create(live=True, media_generation=n) for n in (1, 2, 3)]
    pks = [call.pk for call in calls]
    texts: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        texts.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(note), time_machine.travel(timezone.now(), tick=False):
        one, all = live.seen_all(pks[:1]), live.seen_all([*pks, 0])
        seen = set(Call.objects.filter(pk__in=pks).values_list("media_seen_at", flat=True))
        now = timezone.now()

    assert (one, all) == ({pks[0]: 1}, dict(zip(pks, (1, 2, 3), strict=True)))
    assert seen == {now}
    assert texts[:2] == [live.RENEW_LEASES] * 2
    assert live.seen_all([]) == {}


def texted(call: live.LiveCall, text: str) -> str:
    asked = ToolCall("1", "send_sms", {"text": text})
    return async_to_sync(use)(call.tools, asked, "").content


@pytest.mark.django_db(transaction=True)
def test_whoever_asks_for_text_after_text_gets_ten():
    call = CallFactory.create(live=True, agent__incall_sms_enabled=True)
    told = [texted(opened(call), f"Text {n}") for n in range(live.MOST_TEXTS + 1)]

    assert ["on its way" in said for said in told] == [True] * live.MOST_TEXTS + [False]
    assert "No more texts" in told[-1]
    assert Message.objects.count() == live.MOST_TEXTS


@pytest.mark.django_db(transaction=True)
def test_a_text_in_mid_call_is_one_text_of_the_carriers():
    call = opened(CallFactory.create(live=True, agent__incall_sms_enabled=True))

    assert "at most 1600 characters" in texted(call, "a" * 1_601)
    assert Message.objects.count() == 0


def test_who_refuses_contact_on_the_line_is_entered_with_their_words():
    call = CallFactory.create(live=True)
    TurnFactory.create(call=call, sequence=3, role="caller", text="Please never call me again!")

    entered = live.refuse_contact(call.pk, 3, "en.certain.do_not_call_again", words="never call")
    again = live.refuse_contact(call.pk, 3, "en.certain.do_not_call_again", words="never call")

    assert (entered, again) == (True, False)
    entry = Suppression.objects.get()
    assert (entry.phone_number, entry.source, entry.scope) == (call.to_number, "spoken", "all")
    assert entry.evidence == {
        "call_id": call.call_id,
        "turn": 3,
        "phrase": "en.certain.do_not_call_again",
        "text": "Please never call me again!",
    }
    assert call.events.filter(kind="refused contact").count() == 1


@pytest.mark.parametrize(
    ("tries", "answer"),
    [
        (2, "Confirmed. On record about them:"),
        (3, "Not confirmed, and no further try is allowed in this call."),
    ],
)
def test_guesses_of_who_it_is_are_counted_through_all_sockets_of_a_call(tries: int, answer: str):
    call = CallFactory.create(live=True, agent__identity_check="reference_id")
    person = {"number": call.number, "caller_number": call.their_number}
    CallerFactory.create(**person, reference_id="4827")
    NoteFactory.create(account=call.account, person=call.their_number, is_private=True)
    opened(call)
    guess = {"name": "confirm_identity", "ms": 1, "failed": False}
    guesses = [LiveEvent(f"1:{n}", "tool", timezone.now(), guess) for n in range(tries)]
    live.store_events(call.pk, [*guesses, LiveEvent("1:9", "tool", timezone.now(), {"name": "x"})])

    tools = opened(call).tools
    asked = ToolCall("t1", "confirm_identity", {"answer": "4827"})

    assert async_to_sync(use)(tools, asked, "4827").content.splitlines()[0] == answer


def test_a_refusal_does_not_wait_for_its_turn_to_be_stored():
    call = CallFactory.create(inbound=True)

    assert live.refuse_contact(call.pk, 0, "en.certain.opt_out", words="unsubscribe me") is True

    entry = Suppression.objects.get()
    assert (entry.phone_number, entry.evidence["text"]) == (call.from_number, "unsubscribe me")


def test_who_withholds_their_number_cannot_be_entered():
    call = CallFactory.create(inbound=True, from_number="anonymous")

    assert live.refuse_contact(call.pk, 0, "en.certain.opt_out") is False

    assert Suppression.objects.count() == 0


def test_a_pass_opens_the_call_it_is_for_and_the_call_is_in_progress():
    call = CallFactory.create(
        dialled=True, prompt="Remind them of {{thing}}.", variables={"thing": "x9"}
    )

    now = opened(call)

    call.refresh_from_db()
    assert (call.status, call.media_generation) == ("in-progress", 1)
    assert call.answered_at is not None
    assert (now.pk, now.call_id, now.generation) == (call.pk, call.call_id, 1)
    assert (now.our_number, now.their_number) == (call.from_number, call.to_number)
    assert "Remind them of x9." in now.system_call
    assert call.system_prompt_used == f"{now.system_stable}\n\n{now.system_call}"
    assert now.opening == ""  # outbound: the model opens
    assert now.extras["amd_enabled"] is True


def test_a_pass_works_once():
    call = CallFactory.create(dialled=True)
    token = tickets.issue(call)
    live.open_media(token, call.carrier_sid)

    with pytest.raises(MediaRefused):
        live.open_media(token, call.carrier_sid)

    call.refresh_from_db()
    assert call.media_generation == 1


def test_a_pass_expires():
    call = CallFactory.create(dialled=True)
    token = tickets.issue(call)

    with (
        time_machine.travel(timezone.now() + timedelta(seconds=121), tick=False),
        pytest.raises(MediaRefused),
    ):
        live.open_media(token, call.carrier_sid)

    call.refresh_from_db()
    assert (call.status, call.media_generation) == ("initiated", 0)


@pytest.mark.parametrize("sid", ["CA" + "9" * 32, ""])
def test_a_pass_shown_for_another_call_is_refused_and_used_up(sid: str):
    call = CallFactory.create(dialled=True)
    token = tickets.issue(call)

    with pytest.raises(MediaRefused):
        live.open_media(token, sid)
    with pytest.raises(MediaRefused):
        live.open_media(token, call.carrier_sid)

    call.refresh_from_db()
    assert call.status == "initiated"


@pytest.mark.parametrize("token", ["", "guessed"])
def test_a_made_up_pass_is_refused(token: str):
    with pytest.raises(MediaRefused):
        live.open_media(token, "CA1")


@pytest.mark.parametrize("how", ["over", "ending"])
def test_a_call_that_is_over_or_ending_is_not_opened(how: str):
    call = CallFactory.create(live=True)
    if how == "over":
        services.end_call(call.pk, Call.Status.COMPLETED)
    else:
        services.intend_end(call.pk, "completed")

    with pytest.raises(MediaRefused):
        opened(call)

    call.refresh_from_db()
    assert call.media_generation == 0


def test_a_handshake_must_be_signed_where_its_signature_is_shown(settings: Any):
    call: Any = CallFactory.create(dialled=True)
    validator = RequestValidator(call.number.carrier_account.auth_token)
    right = validator.compute_signature(settings.MEDIA_STREAM_URL, {})

    with pytest.raises(MediaRefused):
        opened(call, signature="")
    with pytest.raises(MediaRefused):
        opened(call, signature="wrong")
    assert opened(call, signature=right).generation == 1


def test_a_second_socket_goes_on_with_what_was_said():
    call = CallFactory.create(dialled=True)
    first = opened(call)
    live.store_turn(call.pk, HELLO)

    second = opened(call)

    assert (first.generation, second.generation) == (1, 2)
    assert second.turns == (HELLO,)
    assert live.seen(call.pk) == 2


def test_an_inbound_call_is_greeted_with_the_agents_words():
    call = CallFactory.create(inbound=True, agent__welcome_message="Welcome, {{caller_phone}}!")

    assert opened(call).opening == "Welcome, +447386172392!"


def test_a_dynamic_greeting_is_the_models():
    call = CallFactory.create(inbound=True, agent__dynamic_greeting=True)

    assert opened(call).opening == ""


def test_a_calls_own_prompt_replaces_the_numbers():
    call = CallFactory.create(
        dialled=True, number__custom_prompt="We are Acme.", prompt="Just say hi."
    )
    assert "We are Acme." not in opened(call).system_stable

    other = CallFactory.create(dialled=True, number__custom_prompt="We are Acme.")
    assert "We are Acme." in opened(other).system_stable


@pytest.mark.parametrize(
    ("own", "agents_message", "expected"),
    [
        ({}, None, ("hangup", "")),
        ({}, "Call us.", ("leave_message", "Call us.")),
        ({"voicemail_message": "It is me."}, None, ("leave_message", "It is me.")),
        ({"voicemail_action": "leave_message"}, None, ("hangup", "")),
        ({"voicemail_action": "hangup"}, "Call us.", ("hangup", "Call us.")),
        ({"voicemail_action": "ignore"}, None, ("ignore", "")),
    ],
)
def test_what_happens_at_a_machine(own: dict[str, str], agents_message: str | None, expected: Any):
    call: Any = CallFactory.create(dialled=True, **own)
    Agent.objects.filter(pk=call.agent.pk).update(
        voicemail_leave_enabled=agents_message is not None, voicemail_message=agents_message
    )

    now = opened(call)

    assert (now.voicemail_action, now.voicemail_message) == expected


def test_a_verdict_that_came_before_the_socket_is_handed_over():
    call = CallFactory.create(dialled=True)
    services.note_answered_by(call.pk, "machine_start")

    assert opened(call).extras["amd_result"] == "machine_start"


def test_a_turn_is_committed_once():
    call = CallFactory.create(live=True)

    live.store_turn(call.pk, HELLO)
    live.store_turn(call.pk, SpokenTurn(0, "caller", "Other.", 0, 1))

    turn = call.turns.get()
    assert (turn.role, turn.text, turn.timings) == ("agent", "Hello.", {"a_ms": 1})


def test_events_are_committed_once():
    call = CallFactory.create(live=True)
    at = timezone.now()
    events = [LiveEvent(f"1:{n}", "barge-in", at, {"n": n}) for n in range(3)]

    live.store_events(call.pk, events[:2])
    live.store_events(call.pk, events)

    assert list(call.events.values_list("data__n", flat=True)) == [0, 1, 2]


def test_hanging_up_commits_the_reason_before_the_carrier_is_asked(telco: Any):
    call = CallFactory.create(live=True)
    seen = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append((Call.objects.get(pk=call.pk).intended_reason, form_of(request)))
        return 200, {}, "{}"

    telco.add_callback("POST", calls_url(call.number, call.carrier_sid), callback=answer)

    assert live.hang_up(call.pk, "silence_timeout")

    assert seen == [("silence_timeout", {"Status": ["completed"]})]


def test_hanging_up_a_call_that_is_over_is_fine(telco: Any):
    call = CallFactory.create(live=True)
    telco.post(
        calls_url(call.number, call.carrier_sid), json={"code": 21220, "message": ""}, status=400
    )

    assert live.hang_up(call.pk, "completed")


def test_a_hang_up_that_does_not_reach_the_carrier_keeps_the_reason(telco: Any):
    call = CallFactory.create(live=True)
    telco.post(calls_url(call.number, call.carrier_sid), json=call_json("x"), status=500)

    assert not live.hang_up(call.pk, "completed")

    call.refresh_from_db()
    assert call.intended_reason == "completed"


def test_last_words_are_left_to_the_carriers_voice(telco: Any):
    call = CallFactory.create(live=True)
    seen = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append((Call.objects.get(pk=call.pk).intended_reason, form_of(request)["Twiml"][0]))
        return 200, {}, "{}"

    telco.add_callback("POST", calls_url(call.number, call.carrier_sid), callback=answer)

    assert live.hang_up(call.pk, "failed", say=("Au revoir.", "fr-FR"))

    [(reason, twiml)] = seen
    assert reason == "failed"
    assert '<Say language="fr-FR">Au revoir.</Say><Hangup />' in twiml


def test_a_carrier_that_does_not_take_the_last_words_hangs_up_without(telco: Any):
    call = CallFactory.create(live=True)
    asked = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        asked.append(sorted(form_of(request)))
        return (500 if len(asked) == 1 else 200), {}, "{}"

    telco.add_callback("POST", calls_url(call.number, call.carrier_sid), callback=answer)

    assert live.hang_up(call.pk, "failed", say=("Goodbye.", "en-US"))

    assert asked == [["Twiml"], ["Status"]]


def test_a_recording_is_known_from_its_first_write_on_but_not_handed_out_before_the_end():
    call = CallFactory.create(dialled=True)
    opened(call)

    live.note_recording(call.pk, 2, "of-a-later-socket.wav")
    live.note_recording(call.pk, 1, "a.wav")

    call.refresh_from_db()
    assert call.recording_file == "a.wav"
    assert signed_url(call) is None
    services.end_call(call.pk, Call.Status.COMPLETED, at=timezone.now())
    call.refresh_from_db()
    assert signed_url(call) is not None


def test_the_recording_of_the_newest_socket_is_kept():
    call = CallFactory.create(dialled=True)
    opened(call)
    opened(call)
    TurnFactory.create(call=call, latency_ms=300)

    assert not live.close_media(call.pk, 1, recording_file="old.wav", recording_duration_s=1)
    assert live.close_media(call.pk, 2, recording_file="new.wav", recording_duration_s=9)
    assert live.close_media(call.pk, 2)

    call.refresh_from_db()
    assert (call.recording_file, call.recording_duration_s) == ("new.wav", 9)
    assert call.avg_latency_ms == 300
    assert call.events.filter(kind="media closed").count() == 1


def test_an_agent_that_may_put_callers_through_is_taught_how_and_has_the_tool():
    desk = "+442087601234"
    may = opened(CallFactory.create(live=True, agent__transfer_number=desk))
    may_not = opened(CallFactory.create(live=True, agent__system_prompt=f"We are at {desk}."))

    assert may.transfers.destination("default").number == desk
    assert "use transfer_call" in may.system_stable
    assert [tool.name for tool in may.tools] == ["transfer_call", "opt_out"]
    assert may_not.transfers.numbers == ()
    assert "transfer_call" not in may_not.system_stable
    assert [tool.name for tool in may_not.tools] == ["opt_out"]


def test_a_tool_that_may_not_dial_a_number_says_so_to_the_model():
    call = opened(CallFactory.create(live=True, agent__transfer_number="+442087601234"))
    asked = ToolCall("toolu_1", "transfer_call", {"number": "+449098790000"})

    outcome = async_to_sync(use)(call.tools, asked, "")

    assert outcome.failed
    assert outcome.content.startswith("The call was not put through: your instructions name no")


@pytest.mark.parametrize(
    ("instructions", "purpose", "may_wait"),
    [
        ("You are Mia. If they look something up, answer with [WAIT].", "", True),
        ("You are Mia.", "Ask for the order number, then [WAIT:60].", True),
        ("You are Mia.", "", False),
    ],
)
def test_the_agent_waits_only_where_its_instructions_say_so(
    instructions: str, purpose: str, may_wait: bool
):
    call: Any = CallFactory.create(dialled=True, prompt=purpose, agent__system_prompt=instructions)

    assert opened(call).extras["may_wait"] is may_wait
