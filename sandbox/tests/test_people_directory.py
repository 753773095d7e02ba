"""The table of people, how it is changed, and what they text back."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.people import control, directory
from sandbox.people.script import Life, Script


@pytest.fixture(autouse=True)
def _as_in_the_table():
    yield
    directory.restore()


def reply(*heard: str) -> list[str]:
    script = Script(Life("Robert", "Miller", "Thursday", "noon"))
    return [script.reply(h).text for h in heard]


@pytest.mark.parametrize(
    ("number", "answers"),
    [
        ("+12025550110", "answer"),
        ("+12025550113", "no_answer"),
        ("+12025550114", "busy"),
        ("+12025550115", "failed"),
        ("+13105550177", "answer"),
        ("+447386172392", "answer"),
        ("+447111000001", "answer"),
        ("+447446466848", "answer"),
    ],
)
def test_who_answers(number: str, answers: str) -> None:
    person = directory.person_at(number)

    assert person is not None
    assert person.answers == answers


@pytest.mark.parametrize("number", ["+12025551234", "+4930123456", "2025550110", "", "+1202555011"])
def test_no_real_number_is_anybody_here(number: str) -> None:
    assert directory.person_at(number) is None


def test_carrier_refusals_come_with_their_code() -> None:
    codes = {n: p.refusal_code for n, p in directory.TABLE.items() if p.refusal_code}

    assert codes == {
        "+12025550131": 21215,
        "+12025550132": 21217,
        "+12025550133": 21216,
        "+12025550134": 21219,
        "+12025550135": 13225,
    }


def test_a_made_up_person_is_the_same_every_time_and_neighbours_differ() -> None:
    a, again, b = (directory.person_at(n) for n in ["+12125550150", "+12125550150", "+12125550151"])

    assert a == again
    assert a is not None
    assert b is not None
    assert (a.life, a.voice) != (b.life, b.voice)


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ("Hi, is this Robert?", "Yes, this is Robert."),
        ("Am I speaking with Robert Miller?", "Yes, this is Robert."),
        ("Great. And can I have your name, please?", "My name is Robert Miller."),
        ("What day and time would you prefer?", "Thursday at noon would be best for me."),
        ("When would you like to come in?", "Thursday at noon would be best for me."),
        ("What is the best e-mail address for you?", "It's Robert dot Miller at example dot com."),
        ("Acme Dental. How can I help you today?", "I'd like to make an appointment, please."),
        ("Thursday at noon. Is that correct?", "Yes, that's fine."),
        ("Will you be able to attend?", "Yes, that's fine."),
        ("Is there anything else?", "No, that's all, thank you."),
        ("Okay. How are you today?", "I'm fine, thank you."),
        ("We moved to Mill Lane.", "Okay."),
        ("Thanks, see you on Thursday. Bye.", "Thank you. Goodbye."),
        ("Have a wonderful day!", "Thank you. Goodbye."),
    ],
)
def test_the_script_answers_the_kind_of_question_it_hears(heard: str, answer: str) -> None:
    assert reply(heard) == [answer]


def test_asked_to_repeat_they_say_the_last_thing_again() -> None:
    first, again = reply("What is your name?", "Sorry, could you repeat that?")

    assert again == first


def test_no_conversation_is_endless_and_nothing_is_said_more_than_twice() -> None:
    script = Script(Life("Robert", "Miller"))

    replies = [script.reply("And what is your name?") for _ in range(20)]

    said = [r.text for r in replies]
    end = next(i for i, r in enumerate(replies) if r.ends)
    assert end <= 12
    assert all(said[:end].count(text) <= 2 for text in said[:end])


async def test_who_texts_back_does_so_at_most_twice() -> None:
    yes = directory.person_at("+12025550124")
    stop = directory.person_at("+12025550125")
    plain = directory.person_at("+12025550110")
    assert yes is not None
    assert stop is not None
    assert plain is not None

    sender = "+12025550100"
    first = await yes.on_text(sender=sender, body="Does Tuesday work?")
    second = await yes.on_text(sender=sender, body="Confirmed.")
    third = await yes.on_text(sender=sender, body="See you then.")

    assert [first, second, third] == [[(0.5, "Yes, that works for me.")], [(0.5, "Thanks!")], []]
    assert await stop.on_text(sender=sender, body="Sale!") == [(0.5, "STOP")]
    assert await stop.on_text(sender=sender, body="You are unsubscribed.") == []
    assert await plain.on_text(sender=sender, body="Hello") == []


async def test_a_person_can_be_told_what_to_do_over_http_and_be_restored() -> None:
    app = web.Application()
    app.add_routes(control.routes())
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = server.make_url("/_sandbox/people/+12025550110")
        put = await http.put(url, json={"say": "Any sentence.", "rings_s": 0})
        changed = directory.person_at("+12025550110")
        listed = await (await http.get(server.make_url("/_sandbox/people"))).json()
        await http.delete(url)

    assert put.status == 200
    assert changed is not None
    assert (changed.say, changed.rings_s) == (("Any sentence.",), 0)
    assert [p["say"] for p in listed["people"] if p["number"] == "+12025550110"] == [
        ["Any sentence."]
    ]
    assert directory.person_at("+12025550110") == directory.TABLE["+12025550110"]


@pytest.mark.parametrize(
    ("number", "body"),
    [
        ("+12025550110", {"says": "Hi"}),
        ("+12025550110", {"say": [""]}),
        ("+12025550110", {"muted": "yes"}),
        ("+12025550110", {"answers": "maybe"}),
        ("+12025550110", {"rings_s": -1}),
        ("+12025550110", {"waits_s": "long"}),
        ("+12025550110", {"patience_s": True}),
        ("+12025550110", ["Hi"]),
        ("12025550110", {"say": "Hi"}),
    ],
)
async def test_a_wrong_order_is_refused_and_changes_nobody(number: str, body: object) -> None:
    app = web.Application()
    app.add_routes(control.routes())
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        answer = await http.put(server.make_url(f"/_sandbox/people/{number}"), json=body)
        told = await answer.json()

    assert answer.status == 400
    assert told["error"]
    assert directory.person_at("+12025550110") == directory.TABLE["+12025550110"]
