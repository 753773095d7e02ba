from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents import history
from agents.factories import AgentFactory, CallerFactory, NoteFactory, PhoneNumberFactory
from agents.greeting import by_name
from agents.history import Memory, memory_of, remember, tokens
from agents.models import Agent, Caller, Note, PhoneNumber

pytestmark = pytest.mark.django_db

SARAH = "+447386172392"
NOW = datetime(2026, 5, 25, 9, 0, tzinfo=UTC)  # a Monday
FRIDAY = datetime(2026, 5, 22, 9, 30, tzinfo=UTC)


def recall(number: PhoneNumber, person: str = SARAH, **given: str) -> Memory:
    agent: Any = number.agent
    return memory_of(agent, number, person, before=NOW, given=given)


def note(number: PhoneNumber, **fields: Any) -> Note:
    return NoteFactory.create(account=number.account, **{"at": FRIDAY, **fields})


def test_somebody_new_adds_nothing(number: PhoneNumber):
    note(number, person="+447386172393")
    NoteFactory.create()  # another account's

    memory = recall(number)

    assert memory == Memory()
    assert (memory.withheld, bool(memory)) == ("", False)


def test_notes_are_dated_say_where_they_are_from_and_come_newest_first(number: PhoneNumber):
    note(number, text="Sarah booked Tuesday at 2 pm.", is_outbound=True)
    note(number, at=FRIDAY - timedelta(days=3), text="Sarah asked about prices.")
    note(number, at=NOW - timedelta(hours=10), text="Running late.", kind=Note.Kind.TEXT)

    lines = [line for line in recall(number).history.splitlines() if line.startswith("- 2026")]

    assert lines == [
        "- 2026-05-25 (Monday, text from them): Running late.",  # in the agent's time zone
        "- 2026-05-22 (Friday, we called them): Sarah booked Tuesday at 2 pm.",
        "- 2026-05-19 (Tuesday, they called us): Sarah asked about prices.",
    ]


def test_notes_follow_the_person_across_numbers_and_facts_do_not(number: PhoneNumber):
    other = PhoneNumberFactory.create(account=number.account)
    note(number, our_number=other.phone_number)
    CallerFactory.create(number=other)

    memory = recall(number)

    assert "Sarah booked" in memory.history
    assert (memory.context, memory.name) == ("", "")


def test_what_is_known_is_told_but_not_the_last_wish(number: PhoneNumber):
    CallerFactory.create(
        number=number, email="s@example.com", last_call="a check-up", open_item="send the form"
    )

    memory = recall(number)

    assert memory.context.endswith(
        "\nName: Sarah Johnson\nEmail: s@example.com\nStill open: send the form"
    )
    assert "a check-up" not in memory.context
    assert memory.name == "Sarah Johnson"


def test_only_as_many_notes_as_the_budget_holds_and_the_newest(number: PhoneNumber, settings: Any):
    settings.HISTORY_TOKENS = 120
    for day in range(200):
        note(number, at=FRIDAY - timedelta(days=day), text=f"Note {day}. " + "word " * 20)

    memory = recall(number)

    lines = [line for line in memory.history.splitlines() if line.startswith("- 20")]
    assert [line.split(": ")[1].split(".")[0] for line in lines] == ["Note 0", "Note 1"]
    assert sum(tokens(line) + 1 for line in lines) <= 120
    assert memory.history.endswith("Older ones are left out: do not guess what was said in them.")
    assert len(memory.record) == 2


def test_a_calls_own_notes_and_later_ones_are_not_history(number: PhoneNumber):
    note(number, at=NOW)

    assert recall(number) == Memory()


def test_nobody_is_remembered_behind_a_withheld_number(number: PhoneNumber):
    for person in ("+266696687", "anonymous", "", "client:web"):
        kept = remember(
            number.account, person=person, our_number=number.phone_number, kind=Note.Kind.CALL,
            source=f"call_{person}", at=FRIDAY, text="Bo called.", is_outbound=False,
        )  # fmt: skip
        assert kept is None
        assert recall(number, person) == Memory()
    assert not Note.objects.exists()


def test_a_call_analysed_again_replaces_its_note_and_keeps_the_operators_mark(number: PhoneNumber):
    about: dict[str, Any] = {
        "person": SARAH, "our_number": number.phone_number, "kind": Note.Kind.CALL,
        "source": "call_1", "at": FRIDAY, "is_outbound": True,
    }  # fmt: skip
    remember(number.account, text="First try.", **about)
    Note.objects.update(is_private=True)

    remember(number.account, text="  Second \n try. ", **about)
    remember(number.account, text="", **about)

    kept = Note.objects.get()
    assert (kept.text, kept.is_private) == ("Second try.", True)


def test_what_holds_for_this_call_alone_wins_and_is_not_kept(number: PhoneNumber):
    CallerFactory.create(number=number, location="Leeds")

    memory = recall(number, name="Sam Carter", location="")

    assert "Name: Sam Carter\nLocation: Leeds" in memory.context
    assert Caller.objects.get().name == "Sarah Johnson"


# --- private --------------------------------------------------------------------------------------


def test_private_notes_are_held_back_and_so_is_the_answer_that_opens_them(number: PhoneNumber):
    CallerFactory.create(number=number, email="s@example.com", private_fields=["email"])
    note(number, text="Asked about prices.")
    note(number, text="Is being treated for anxiety.", is_private=True)

    memory = recall(number)

    told = memory.history + memory.withheld + memory.context
    assert "Asked about prices." in told
    assert not any(word in told for word in ("anxiety", "s@example.com", "Sarah Johnson"))
    assert "ask for their full name and call confirm_identity" in told
    assert memory.name == ""
    assert memory.private is not None
    assert (memory.private.check, memory.private.expected) == ("name", "Sarah Johnson")
    assert memory.private.text == (
        "Email: s@example.com\n- 2026-05-22 (Friday, they called us): Is being treated for anxiety."
    )
    assert [(one["kind"], one["withheld"]) for one in memory.record] == [
        ("call", False), ("call", True), ("field", True), ("field", True),
    ]  # fmt: skip


def test_what_cannot_be_asked_for_stays_private_and_is_not_mentioned(number: PhoneNumber):
    Agent.objects.update(identity_check="reference_id")
    number.refresh_from_db()
    CallerFactory.create(number=number)
    note(number, text="Is being treated for anxiety.", is_private=True)

    memory = recall(number)

    assert (memory.history, memory.withheld, memory.private) == ("", "", None)
    assert "Sarah Johnson" in memory.context


# --- forgetting -----------------------------------------------------------------------------------


def test_a_person_is_forgotten_through_every_number_of_the_account_and_nobody_else(
    number: PhoneNumber,
):
    other = PhoneNumberFactory.create(account=number.account)
    for one in (number, other):
        CallerFactory.create(number=one)
        note(one)
    bystander = note(number, person="+447386172393")
    stranger = NoteFactory.create()

    assert history.forget(number.account, SARAH) == 4

    assert not Caller.objects.exists()
    assert set(Note.objects.all()) == {bystander, stranger}


def test_old_notes_go_and_an_operators_stay(number: PhoneNumber):
    note(number, at=FRIDAY - timedelta(days=91))
    mine = note(number, at=FRIDAY - timedelta(days=91), kind=Note.Kind.OPERATOR)
    recent = note(number)

    assert history.forget_before(FRIDAY - timedelta(days=90)) == 1
    assert set(Note.objects.all()) == {mine, recent}


# --- the greeting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("welcome", "name", "said"),
    [
        ("Hello! How can I help you today?", "Sarah Johnson",
         "Hello Sarah! How can I help you today?"),
        ("Good morning, Acme Dental.", "Sarah", "Good morning Sarah, Acme Dental."),
        ("Hi. What is it?", "Dr Sarah Johnson", "Hi Dr Sarah Johnson. What is it?"),
        ("Bonjour, cabinet Dupont.", "Zoé Martin", "Bonjour Zoé, cabinet Dupont."),
        ("Acme Dental, good morning.", "Sarah", "Acme Dental, good morning."),
        ("Hello dear customer!", "Sarah", "Hello dear customer!"),
        ("Hello! How can I help?", "", "Hello! How can I help?"),
    ],
)  # fmt: skip
def test_a_name_goes_where_a_greeting_has_room_for_it(welcome: str, name: str, said: str):
    assert by_name(welcome, name) == said


def test_an_agent_without_a_number_knows_the_account():
    agent = AgentFactory.create()
    NoteFactory.create(account=agent.account, at=FRIDAY)

    assert "Sarah booked" in memory_of(agent, None, SARAH, before=NOW).history
