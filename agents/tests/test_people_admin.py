from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.factories import UserFactory, operator_client
from agents.factories import (
    AgentFactory,
    CallerFactory,
    CustomFunctionFactory,
    NoteFactory,
    PhoneNumberFactory,
)
from agents.models import Caller, Note

pytestmark = pytest.mark.django_db
PREVIEW = "/admin/agents/caller/preview/"


@pytest.fixture
def office() -> Client:
    return operator_client()


def preview(office: Client, number: Any, **fields: str) -> Any:
    asked = {"number": number.pk, "person": "+447386172392", "direction": "outbound", **fields}
    return office.get(PREVIEW, asked)


def test_the_whole_prompt_for_a_number_is_shown_before_any_call(office: Client):
    number = PhoneNumberFactory.create(agent__system_prompt="You are Mia.", custom_prompt="Acme.")
    NoteFactory.create(account=number.account)
    CallerFactory.create(number=number)

    page = preview(office, number, purpose="Remind {{caller_phone}}.")

    text = page.context["stable"] + page.context["of_call"]
    for words in (
        "You are Mia.",
        "Remind +447386172392.",
        "Sarah booked a check-up for Tuesday at 2 pm.",
        "Name: Sarah Johnson",
    ):
        assert words in text
        assert words in page.content.decode()
    assert "Acme." not in text  # the call's own purpose is in its place
    assert "Acme." in preview(office, number, direction="inbound").context["stable"]


def test_the_preview_shows_operators_what_callers_must_prove_to_hear(office: Client):
    number = PhoneNumberFactory.create()
    CallerFactory.create(number=number)
    NoteFactory.create(account=number.account, text="Is in therapy.", is_private=True)

    page = preview(office, number)

    assert "Is in therapy." not in page.context["of_call"]
    assert "Is in therapy." in page.context["private"].text


@pytest.mark.parametrize("person", ["", "07386 172392", "nobody"])
def test_a_number_that_is_none_is_refused_in_the_form(office: Client, person: str):
    page = preview(office, PhoneNumberFactory.create(), person=person)

    assert page.context["form"].errors["person"]
    assert "of_call" not in page.context


def test_the_preview_is_for_those_who_may_see_callers():
    client = Client()
    assert client.get(PREVIEW).status_code == 302
    client.force_login(UserFactory.create(), "django.contrib.auth.backends.ModelBackend")
    assert client.get(PREVIEW).status_code == 403


def test_a_caller_is_corrected_and_marked_private_in_the_dashboard(office: Client):
    caller = CallerFactory.create(email="old@example.com", sources={"email": {"by": "call"}})
    url = f"/admin/agents/caller/{caller.pk}/change/"
    sent = {"name": "Sarah Smith", "email": "", "private_fields": ["preference", "open_item"]}

    bad = office.post(url, {**sent, "email": "none"})
    assert bad.context["adminform"].form.errors["email"] == ["email is not a valid address."]
    assert office.post(url, sent).status_code == 302

    caller.refresh_from_db()
    assert (caller.name, caller.email) == ("Sarah Smith", "")
    assert caller.private_fields == ["preference", "open_item"]
    assert caller.sources["name"]["by"] == "dashboard"
    assert "email" not in caller.sources


def test_a_note_by_staff_is_dated_now_and_a_calls_note_keeps_its_words(office: Client):
    agent = AgentFactory.create()
    office.post(
        "/admin/agents/note/add/",
        {"account": agent.account.pk, "person": "+447386172392", "text": "Prefers Dr Lee."},
    )
    mine = Note.objects.get()
    assert (mine.kind, mine.text, mine.is_private) == ("operator", "Prefers Dr Lee.", False)

    of_call = NoteFactory.create()
    office.post(f"/admin/agents/note/{of_call.pk}/change/", {"text": "Other.", "is_private": "on"})
    of_call.refresh_from_db()
    assert (of_call.text, of_call.is_private) == (
        "Sarah booked a check-up for Tuesday at 2 pm.",
        True,
    )


MADE: dict[str, Any] = {
    "caller": CallerFactory,
    "note": NoteFactory,
    "customfunction": CustomFunctionFactory,
}


@pytest.mark.parametrize("model", MADE)
def test_lists_and_pages_open(office: Client, model: str):
    made = MADE[model].create()

    assert office.get(f"/admin/agents/{model}/").status_code == 200
    page = office.get(f"/admin/agents/{model}/{made.pk}/change/")
    assert page.status_code == 200
    assert "headers_json" not in page.content.decode()


def test_a_callers_page_says_in_words_where_each_thing_is_known_from(office: Client):
    caller = CallerFactory.create(
        name="Laura",
        sources={
            "name": {
                "by": "call",
                "call_id": "call_1",
                "at": "2026-11-22T10:56:07+00:00",
                "turn": 7,
            }
        },
    )

    shown = office.get(f"/admin/agents/caller/{caller.pk}/change/").content.decode()

    assert "Name: said in a call, 22 Nov 2026, 10:56 UTC" in shown
    assert 'href="/admin/calls/call/?q=call_1"' in shown


def test_the_log_of_changes_does_not_remember_who_was_forgotten(office: Client):
    caller = CallerFactory.create()
    url = f"/admin/agents/caller/{caller.pk}/"

    office.post(f"{url}change/", {"name": "Sarah Jones"})
    office.post(f"{url}delete/", {"post": "yes"})

    logged = LogEntry.objects.values_list("object_repr", "change_message")
    assert not Caller.objects.exists()
    assert len(logged) == 2
    assert "Sarah" not in str(logged)
    assert caller.caller_number not in str(logged)
