from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.factories import AccountFactory, ApiKeyFactory
from agents import callers
from agents.factories import CallerFactory, PhoneNumberFactory
from agents.models import Caller, PhoneNumber
from agents.tests.outside import official_sdk

pytestmark = pytest.mark.django_db

SARAH = "+447386172392"
FULL = {
    "name": "Sarah Johnson",
    "email": "sarah@example.com",
    "phone": "+44 20 8760 1234",
    "location": "London SW1A 1AA",
    "reference_id": "4827",
    "preference": "mornings",
}


def url(number: PhoneNumber, caller: str = SARAH) -> str:
    return f"/v1/phone-numbers/{number.phone_number}/callers/{caller}"


def put(client: Client, address: str, **fields: Any) -> Any:
    return client.put(address, fields, content_type="application/json")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_what_is_set_comes_back_and_only_fields_with_a_value(number: PhoneNumber, client: Client):
    written = put(client, url(number), **FULL)
    read = client.get(url(number))

    expected = {
        "caller": {
            "phone_number": number.phone_number,
            "caller_number": SARAH,
            "context": FULL,
        }
    }
    assert (written.status_code, written.json()) == (200, expected)
    assert (read.status_code, read.json()) == (200, expected)


def test_omitted_is_kept_null_removes_and_empty_erases_nothing(number: PhoneNumber, client: Client):
    put(client, url(number), **FULL)

    changed = put(client, url(number), name="Sarah Smith", email=None, location="", phone="  ")

    context = changed.json()["caller"]["context"]
    assert context == {
        "name": "Sarah Smith",
        "phone": FULL["phone"],
        "location": FULL["location"],
        "reference_id": "4827",
        "preference": "mornings",
    }
    assert Caller.objects.get().sources["name"]["by"] == "api"
    assert "email" not in Caller.objects.get().sources


def test_a_change_that_comes_again_with_its_key_undoes_nothing(number: PhoneNumber, client: Client):
    first: Any = {"content_type": "application/json", "headers": {"Idempotency-Key": "k1"}}
    rows = {"callers": [{"caller_number": SARAH, "name": "Imported"}]}

    client.put(url(number), {"name": "Sarah"}, **first)
    put(client, url(number), name="Sarah Smith")
    copy = client.put(url(number), {"name": "Sarah"}, **first)

    assert copy["Idempotent-Replayed"] == "true"
    assert Caller.objects.get().name == "Sarah Smith"
    first["headers"] = {"Idempotency-Key": "k2"}
    assert client.post(url(number, "import"), rows, **first).status_code == 200
    assert client.delete(url(number), headers={"Idempotency-Key": "k3"}).status_code == 200
    assert client.post(url(number, "import"), rows, **first).json()["imported"] == 1
    assert client.delete(url(number), headers={"Idempotency-Key": "k3"}).status_code == 200
    assert not Caller.objects.exists()


def test_a_number_in_a_path_may_be_percent_encoded_or_raw(number: PhoneNumber, client: Client):
    encoded = url(number).replace("+", "%2B")

    assert put(client, encoded, name="Bo").status_code == 200
    assert client.get(url(number)).json()["caller"]["context"] == {"name": "Bo"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "missing_field"),
        ({"last_call": "a check-up"}, "engine_only_field"),
        ({"open_item": None}, "engine_only_field"),
        ({"nickname": "Sal"}, "unknown_field"),
        ({"email": "sarah at example"}, "invalid_email"),
        ({"name": "x" * 121}, "field_too_long"),
        ({"preference": "x" * 201}, "field_too_long"),
        ({"reference_id": 4827}, "invalid_request"),
        ({"name": "Good", "email": "bad"}, "invalid_email"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_written(
    number: PhoneNumber, client: Client, fields: dict[str, Any], expected: str
):
    answer = put(client, url(number), **fields)

    assert code(answer) == (400, expected)
    assert not Caller.objects.exists()


def test_each_limit_is_the_documented_one(number: PhoneNumber, client: Client):
    for field, longest in Caller.SETTABLE.items():
        if field != "email":
            assert put(client, url(number), **{field: "x" * longest}).status_code == 200
            assert code(put(client, url(number), **{field: "x" * (longest + 1)})) == (
                400,
                "field_too_long",
            )


def test_unknown_numbers_and_callers_are_told_apart(number: PhoneNumber, client: Client):
    theirs = PhoneNumberFactory.create()

    assert code(client.get(url(theirs))) == (404, "phone_number_not_found")
    assert code(put(client, url(theirs), name="Bo")) == (404, "phone_number_not_found")
    assert code(client.get(url(number))) == (404, "caller_not_found")
    assert code(client.delete(url(number))) == (404, "caller_not_found")
    assert code(put(client, url(number, "nobody"), name="Bo")) == (400, "invalid_phone_format")
    assert not Caller.objects.exists()


def test_deleting_erases_what_was_set_and_what_was_learned(number: PhoneNumber, client: Client):
    CallerFactory.create(number=number, last_call="a check-up", open_item="call back")
    other = CallerFactory.create(caller_number=SARAH)

    answer = client.delete(url(number))

    assert answer.json() == {
        "phone_number": number.phone_number,
        "caller_number": SARAH,
        "deleted": True,
    }
    assert list(Caller.objects.all()) == [other]


def test_an_import_merges_and_the_last_row_of_a_caller_wins(number: PhoneNumber, client: Client):
    CallerFactory.create(
        number=number, name="Old", email="old@example.com", last_call="a check-up",
        private_fields=["email"],
    )  # fmt: skip
    rows = [
        {"caller_number": SARAH, "name": "First", "location": "Leeds"},
        {"caller_number": "447386172393", "name": "Bo"},
        {"caller_number": SARAH, "name": "Second", "location": ""},
    ]

    answer = client.post(url(number, "import"), {"callers": rows}, content_type="application/json")

    assert answer.json() == {"phone_number": number.phone_number, "imported": 2}
    sarah = Caller.objects.get(caller_number=SARAH)
    assert (sarah.name, sarah.location, sarah.email) == ("Second", "Leeds", "old@example.com")
    assert (sarah.last_call, sarah.private_fields) == ("a check-up", ["email"])
    assert Caller.objects.get(caller_number="+447386172393").name == "Bo"


@pytest.mark.parametrize(
    ("rows", "expected", "message"),
    [
        (None, "invalid_body", "callers must be an array"),
        ([], "invalid_body", "callers must be an array"),
        ([{"caller_number": SARAH, "name": "Bo"}] * 1001, "too_many_rows", "1001 rows"),
        (["+447386172392"], "invalid_body", "Row 1: must be an object."),
        ([{"name": "Bo"}], "missing_field", "Row 1: caller_number is required."),
        ([{"caller_number": SARAH}], "missing_field", "Row 1: a field besides"),
        (
            [{"caller_number": SARAH, "name": "Bo"}, {"caller_number": SARAH, "email": "x"}],
            "invalid_email",
            "Row 2: email is not a valid address.",
        ),
        ([{"caller_number": SARAH, "open_item": "x"}], "engine_only_field", "Row 1: open_item"),
        ([{"caller_number": SARAH, "age": "5"}], "unknown_field", "Row 1: age"),
        ([{"caller_number": "12", "name": "x"}], "invalid_phone_format", "Row 1: caller_number"),
    ],
)
def test_one_bad_row_and_nothing_is_imported(
    number: PhoneNumber, client: Client, rows: Any, expected: str, message: str
):
    answer = client.post(url(number, "import"), {"callers": rows}, content_type="application/json")

    assert code(answer) == (400, expected)
    assert message in answer.json()["error"]["message"]
    assert not Caller.objects.exists()


def test_a_thousand_rows_are_one_request(
    number: PhoneNumber, client: Client, django_assert_max_num_queries: Any
):
    rows = [
        {"caller_number": f"+1{200 + n // 100}55501{n % 100:02}", "name": f"Person {n}"}
        for n in range(1000)
    ]

    with django_assert_max_num_queries(20):
        answer = client.post(
            url(number, "import"), {"callers": rows}, content_type="application/json"
        )

    assert answer.json()["imported"] == 1000
    assert Caller.objects.count() == 1000


@pytest.mark.django_db(transaction=True)
def test_the_official_sdk_sets_reads_imports_and_deletes(live_server: Any):
    number = PhoneNumberFactory.create()
    key: Any = ApiKeyFactory.create(account=number.account)
    sdk = official_sdk().Nixflex(api_key=key.credentials, base_url=live_server.url)

    sdk.callers.set(number.phone_number, SARAH, name="Sarah", location="Leeds")
    sdk.callers.set(number.phone_number, SARAH, location=None)
    known = sdk.callers.get(number.phone_number, SARAH)
    imported = sdk.callers.import_(
        number.phone_number, [{"caller_number": "+447386172393", "name": "Bo"}]
    )
    deleted = sdk.callers.delete(number.phone_number, SARAH)

    assert known["caller"]["context"] == {"name": "Sarah"}
    assert imported == {"phone_number": number.phone_number, "imported": 1}
    assert deleted["deleted"] is True
    with pytest.raises(official_sdk().NixflexNotFoundError):
        sdk.callers.get(number.phone_number, SARAH)


# --- learned in calls -----------------------------------------------------------------------------

FRIDAY = datetime(2026, 5, 22, 9, 30, tzinfo=UTC)


def learn(number: PhoneNumber, at: datetime = FRIDAY, **facts: str) -> Caller | None:
    return callers.learn(number, SARAH, facts, call_id="call_1", at=at, turns={"name": 4})


def test_a_learned_fact_says_in_which_call_and_turn_it_was_said(number: PhoneNumber):
    learn(number, name="Sarah Johnson", last_call="wanted a check-up", open_item="send the form")

    caller = Caller.objects.get()
    assert (caller.name, caller.last_call) == ("Sarah Johnson", "wanted a check-up")
    at = "2026-05-22T09:30:00+00:00"
    assert caller.sources["name"] == {"by": "call", "at": at, "call_id": "call_1", "turn": 4}
    assert caller.sources["open_item"] == {"by": "call", "at": at, "call_id": "call_1"}


def test_a_call_in_which_nothing_was_said_of_a_fact_leaves_it(number: PhoneNumber):
    learn(number, name="Sarah Johnson", email="sarah@example.com")

    learn(number, FRIDAY + timedelta(days=1), name="", location="Leeds", email="no at sign")

    caller = Caller.objects.get()
    assert (caller.name, caller.email, caller.location) == (
        "Sarah Johnson",
        "sarah@example.com",
        "Leeds",
    )


def test_an_older_call_analysed_late_does_not_undo_a_newer_one(number: PhoneNumber):
    learn(number, FRIDAY, name="Sarah Smith")

    learn(number, FRIDAY - timedelta(days=2), name="Sarah Johnson", location="Leeds")

    caller = Caller.objects.get()
    assert (caller.name, caller.location) == ("Sarah Smith", "Leeds")


def test_what_was_set_after_the_call_stays(number: PhoneNumber, client: Client):
    with time_machine.travel(FRIDAY + timedelta(minutes=5)):
        put(client, url(number), name="Sarah Smith")

    learn(number, FRIDAY, name="Sara Smit")

    assert Caller.objects.get().name == "Sarah Smith"


def test_nothing_is_learned_of_a_withheld_number_or_from_nothing(number: PhoneNumber):
    assert callers.learn(number, "+266696687", {"name": "Bo"}, call_id="c", at=FRIDAY) is None
    assert callers.learn(number, "anonymous", {"name": "Bo"}, call_id="c", at=FRIDAY) is None
    assert learn(number, name=" ") is None
    assert not Caller.objects.exists()


def test_what_is_too_long_is_cut(number: PhoneNumber):
    learn(number, preference="x" * 500, open_item="y" * 500)

    caller = Caller.objects.get()
    assert (len(caller.preference), len(caller.open_item)) == (200, 400)


def test_two_accounts_learn_apart():
    one, other = (
        PhoneNumberFactory.create(),
        PhoneNumberFactory.create(account=AccountFactory.create()),
    )

    learn(one, name="Sarah")

    assert not Caller.objects.filter(number=other).exists()
