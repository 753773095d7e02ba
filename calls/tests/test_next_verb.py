import json
import time
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import redis
from django.conf import settings
from django.http import HttpResponse

from agents.factories import PhoneNumberFactory
from agents.tests.twilio_side import knock
from calls import presence, services, tickets
from calls.factories import CallFactory, new_sid
from calls.models import Call, MediaTicket
from calls.presence import Room
from calls.tests.admitting import admit_next
from calls.tests.twilio_side import token_of

pytestmark = pytest.mark.django_db


def verbs(answer: HttpResponse) -> list[str]:
    return [verb.tag for verb in ElementTree.fromstring(answer.content)]


def after(answer: HttpResponse) -> str:
    """Return the query of the address at which the carrier asks again."""
    redirect = ElementTree.fromstring(answer.content).find("Redirect")
    assert redirect is not None
    return f"?{urlsplit(str(redirect.text)).query}"


def asks(call: Call, query: str = "") -> HttpResponse:
    return knock("voice", call.number, query=query or token_of(call), CallSid=call.carrier_sid)


def media(name: str = "a:1", **said: Any) -> None:
    presence.announce(name, **{"live": 0, "has_room": True, "draining": False} | said)


def media_died(name: str) -> None:
    """Leave ``name``'s last words as they are when it has said nothing for ten seconds."""
    valkey = redis.Redis.from_url(settings.REDIS_URL)
    said = {"at": time.time() - 10, "live": 1, "room": True, "draining": False}
    valkey.hset(presence.KEY, name, json.dumps(said))


def test_one_process_with_room_is_enough():
    media("a:1", draining=True)
    media("b:1", has_room=False)
    media_died("c:1")
    assert presence.room() is Room.FULL

    media("d:1")

    assert presence.room() is Room.YES


def test_where_nothing_is_known_of_media_processes_calls_are_connected():
    assert presence.room() is Room.YES


def test_a_full_house_is_busy_and_leaves_no_row():
    number, sid = PhoneNumberFactory.create(), new_sid()
    media(has_room=False)

    answer = knock("voice", number, CallSid=sid, From="+447386172392", To=number.phone_number)

    assert b'<Reject reason="busy"' in answer.content
    assert not Call.objects.exists()


def test_nobody_is_dialled_while_the_house_is_full():
    CallFactory.create()
    media(has_room=False)
    assert admit_next() is None

    media()

    assert admit_next() is not None


def test_a_call_waits_for_a_media_process_and_is_connected_when_one_is_ready():
    call = CallFactory.create(live=True)
    media(draining=True)

    waits = asks(call)
    waits_on = asks(call, after(waits))
    media("b:1")
    connected = asks(call, after(waits_on))

    assert verbs(waits) == verbs(waits_on) == ["Pause", "Redirect"]
    assert verbs(connected) == ["Connect", "Redirect"]


def test_a_call_waits_fifteen_seconds_at_most_and_then_hears_an_apology():
    call = CallFactory.create(live=True)
    media_died("a:1")

    answers = [asks(call)]
    while verbs(answers[-1]) == ["Pause", "Redirect"]:
        answers.append(asks(call, after(answers[-1])))

    assert len(answers) == 16
    assert verbs(answers[-1]) == ["Say", "Hangup"]
    call.refresh_from_db()
    assert call.intended_reason == "stuck_ws_disconnect"
    assert not MediaTicket.objects.exists()


def test_a_socket_that_nobody_took_is_not_asked_for_again_at_once_nor_for_ever():
    call = CallFactory.create(live=True)

    answers = [asks(call)]
    while "Redirect" in verbs(answers[-1]):
        answers.append(asks(call, after(answers[-1])))

    kinds = [verbs(answer)[0] for answer in answers]
    assert kinds[:4] == ["Connect", "Pause", "Connect", "Pause"]
    assert kinds[-1] == "Say"
    assert kinds.count("Pause") == 15


def test_three_processes_may_take_over_and_then_there_is_an_apology():
    call = CallFactory.create(live=True, media_generation=3)
    assert verbs(asks(call, f"{token_of(call)}&w=0")) == ["Connect", "Redirect"]

    call.media_generation = 4
    call.save()

    assert verbs(asks(call, f"{token_of(call)}&w=0")) == ["Say", "Hangup"]


def test_a_wait_that_led_to_a_socket_is_forgotten():
    call = CallFactory.create(live=True)
    media(draining=True)
    waited = asks(call)
    media()
    asks(call, after(waited))
    tickets_of_call = MediaTicket.objects.filter(call=call)
    tickets_of_call.update(used_at=tickets_of_call.get().expires_at)

    assert "w=0" in after(asks(call, f"{token_of(call)}&w=9"))


def test_voicemail_whose_socket_was_lost_gets_no_second_opening():
    call = CallFactory.create(live=True, media_generation=1, voicemail_detected=True)

    answer = asks(call, f"{token_of(call)}&w=0")

    assert verbs(answer) == ["Hangup"]
    call.refresh_from_db()
    assert call.intended_reason == "voicemail_detected"


def test_an_answer_keeps_the_first_answered_at():
    call = CallFactory.create(live=True, media_generation=1)

    asks(call, f"{token_of(call)}&w=0")
    services.move_call(call.pk, "in-progress")

    before = call.answered_at
    call.refresh_from_db()
    assert call.answered_at == before
    assert not tickets.last_is_untaken(CallFactory.create())
