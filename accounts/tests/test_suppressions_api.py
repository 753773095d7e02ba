import csv
import io
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from accounts import suppression_csv
from accounts.errors import ApiError
from accounts.factories import ApiKeyFactory, SuppressionFactory, UserFactory
from accounts.models import Suppression
from accounts.suppression import erase_number, is_suppressed, suppress

pytestmark = pytest.mark.django_db

THEM, ANOTHER = "+447386172392", "+447386172393"


class Api:
    def __init__(self) -> None:
        self.key: Any = ApiKeyFactory.create()
        self.account = self.key.account

    def send(self, method: str, path: str = "", body: Any = "", kind: str = "json") -> Any:
        return Client().generic(
            method,
            f"/v1/suppressions{path}",
            data=body if isinstance(body, str | bytes) else json.dumps(body),
            content_type=f"application/{kind}",
            headers={"Authorization": self.key.header},
        )


@pytest.fixture
def api() -> Api:
    return Api()


def test_a_number_is_entered_and_listed_with_who_and_why(api: Api):
    answer = api.send("POST", body={"phone_number": THEM, "reason": "asked by letter"})

    assert answer.status_code == 201
    entry = api.send("GET").json()["suppressions"][0]
    assert entry == answer.json()
    assert (entry["phone_number"], entry["scope"], entry["source"]) == (THEM, "all", "api")
    assert (entry["reason"], entry["entered_by"]) == ("asked by letter", api.key.key_id)
    assert is_suppressed(api.account, THEM) is not None


def test_entering_it_again_is_a_200_and_no_second_entry(api: Api):
    api.send("POST", body={"phone_number": THEM})

    again = api.send("POST", body={"phone_number": THEM, "reason": "again"})

    assert again.status_code == 200
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"phone_number": "07386172392"}, "invalid_phone_format"),
        ({"phone_number": THEM, "scope": "smoke"}, "invalid_request"),
    ],
)
def test_what_cannot_be_entered_is_refused(api: Api, body: dict[str, str], code: str):
    answer = api.send("POST", body=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert Suppression.objects.count() == 0


@pytest.mark.parametrize("path", ["/%2B447386172392", "/+447386172392"])
def test_a_lifted_number_leaves_the_list_and_stays_in_the_history(api: Api, path: str):
    suppress(api.account, THEM, source="spoken")
    suppress(api.account, THEM, source="csv")

    answer = api.send("DELETE", path)

    assert answer.json() == {"phone_number": THEM, "lifted": 2}
    assert is_suppressed(api.account, THEM) is None
    assert api.send("GET").json() == {"suppressions": [], "count": 0}
    history = api.send("GET", "?lifted=true").json()
    assert history["count"] == 2
    assert history["suppressions"][0]["lifted_by"] == api.key.key_id


def test_a_number_is_found_and_lifted_under_its_other_spelling(api: Api):
    SuppressionFactory.create(account=api.account, phone_number="+5491123456789")

    found = api.send("GET", "?phone_number=%2B541123456789").json()
    lifted = api.send("DELETE", "/+541123456789").json()

    assert (found["count"], lifted["lifted"]) == (1, 1)


def test_a_number_that_is_not_in_the_list_cannot_be_lifted(api: Api):
    SuppressionFactory.create(phone_number=THEM)  # another account's

    answer = api.send("DELETE", f"/{THEM}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "suppression_not_found")
    assert Suppression.objects.active().count() == 1


def test_an_erased_person_is_found_by_who_knows_the_number(api: Api):
    suppress(api.account, THEM, source="spoken")
    erase_number(api.account, THEM)

    found = api.send("GET", "?phone_number=%2B447386172392").json()["suppressions"]

    assert [entry["phone_number"] for entry in found] == [""]


def test_a_csv_is_imported_and_each_bad_line_named(api: Api):
    sheet = (
        "Name;Phone Number;Scope;Reason\r\n"
        "Ann;+44 7386 172392;;asked\r\n"
        "Bob;07386172392;all;\r\n"
        ";;;\r\n"
        'Cy;="+447386172393";voice;\r\n'
        "Di;+447386172394;shout;\r\n"
        "Ann again;+447386172392;;\r\n"
    )

    answer = api.send("POST", "/import", "\ufeff".encode() + sheet.encode(), kind="csv").json()

    assert (answer["valid_count"], answer["new_count"], answer["invalid_count"]) == (3, 2, 2)
    assert [line["line"] for line in answer["invalid"]] == [3, 6]
    assert "must be in E.164" in answer["invalid"][0]["reason"]
    assert "voice, text, all" in answer["invalid"][1]["reason"]
    entry = is_suppressed(api.account, THEM)
    assert entry is not None
    assert (entry.source, entry.reason) == ("csv", "asked")
    assert is_suppressed(api.account, ANOTHER, "text") is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,town\nAnn,Leeds\n", 'no column called "phone_number"'),
        (b"%PDF-1.7 \xe2\xe3", "no text"),
        (b"PK\x03\x04\x00\x00", "no text"),
    ],
)
def test_a_file_that_is_no_list_says_why(raw: bytes, why: str):
    with pytest.raises(ApiError, match=why) as refused:
        suppression_csv.read(raw)

    assert refused.value.code == "invalid_csv"


def test_of_very_many_bad_lines_the_first_are_named_and_all_are_counted():
    rows = suppression_csv.read(b"phone_number\n" + b"x\n" * 10_001)

    assert (rows.invalid_count, len(rows.invalid)) == (10_001, 10_000)


def test_an_empty_upload_says_so(api: Api):
    answer = api.send("POST", "/import", "")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_list_is_read_in_the_encodings_of_spreadsheets(encoding: str):
    rows = suppression_csv.read(f"phone,reason\n{THEM},plus jamais, déjà dit\n".encode(encoding))

    assert rows.valid == [(THEM, "all", "plus jamais")]


def test_a_list_without_a_header_is_a_column_of_numbers():
    rows = suppression_csv.read(f"{THEM}\n{ANOTHER}\n".encode())

    assert [number for number, _, _ in rows.valid] == [THEM, ANOTHER]


def test_what_is_exported_can_be_imported_and_runs_no_formula(api: Api):
    suppress(api.account, THEM, source="spoken", reason='=HYPERLINK("x")')

    answer = api.send("GET", "/export")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    header, row = csv.reader(io.StringIO(answer.content.decode()))
    assert (header[0], row[0], row[2]) == ("phone_number", THEM, '\'=HYPERLINK("x")')
    assert suppression_csv.read(answer.content).valid == [(THEM, "all", '\'=HYPERLINK("x")')]


# --- the dashboard --------------------------------------------------------------------------------


@pytest.fixture
def office() -> Client:
    client = Client()
    client.force_login(UserFactory.create(username="ann", is_superuser=True))
    return client


def test_an_operator_enters_a_number(office: Client, api: Api):
    page = reverse("admin:accounts_suppression_add")

    office.post(
        page, {"account": api.account.pk, "phone_number": THEM, "scope": "voice", "reason": "mail"}
    )

    entry = Suppression.objects.get()
    assert (entry.source, entry.scope, entry.entered_by) == ("operator", "voice", "ann")
    assert is_suppressed(api.account, THEM) == entry


def test_an_operator_is_told_of_a_number_that_is_none(office: Client, api: Api):
    page = reverse("admin:accounts_suppression_add")

    answer = office.post(page, {"account": api.account.pk, "phone_number": "12", "scope": "all"})

    assert "must be in E.164" in answer.content.decode()
    assert Suppression.objects.count() == 0


def test_an_operator_lifts_entries_and_deletes_none(office: Client):
    entry = SuppressionFactory.create()
    page = reverse("admin:accounts_suppression_changelist")

    office.post(page, {"action": "lift", "_selected_action": [entry.pk]})

    entry.refresh_from_db()
    assert (entry.lifted_at is not None, entry.lifted_by) == (True, "ann")
    office.post(page, {"action": "delete_selected", "_selected_action": [entry.pk]})
    assert Suppression.objects.count() == 1


def test_the_list_shows_and_finds_who_was_erased(office: Client):
    entry = SuppressionFactory.create(phone_number=THEM)
    SuppressionFactory.create(phone_number=ANOTHER)
    erase_number(entry.account, THEM)

    page = office.get(reverse("admin:accounts_suppression_changelist"), {"q": THEM})

    assert "erased" in page.content.decode()
    assert ANOTHER not in page.content.decode()


def test_an_operator_takes_the_list_home(office: Client):
    entry = SuppressionFactory.create(phone_number=THEM)
    page = reverse("admin:accounts_suppression_changelist")

    answer = office.post(page, {"action": "export", "_selected_action": [entry.pk]})

    assert suppression_csv.read(answer.content).valid == [(THEM, "all", "")]


def test_an_operator_imports_a_list_and_is_told_of_its_bad_lines(office: Client, api: Api):
    file = io.BytesIO(f"phone_number,scope\n{THEM},voice\n12,all\n{ANOTHER},all\n".encode())
    file.name = "list.csv"

    answer = office.post(
        reverse("admin:accounts_suppression_import"), {"account": api.account.pk, "file": file}
    )

    entries = Suppression.objects.order_by("phone_number")
    assert [(one.phone_number, one.scope, one.source, one.entered_by) for one in entries] == [
        (THEM, "voice", "csv", "ann"),
        (ANOTHER, "all", "csv", "ann"),
    ]
    page = answer.content.decode()
    assert "2 numbers read, 2 of them new" in page
    assert "<td>3</td>" in page


def test_an_operator_who_imports_no_list_is_told_why(office: Client, api: Api):
    file = io.BytesIO(b"%PDF-1.7")
    file.name = "list.csv"

    answer = office.post(
        reverse("admin:accounts_suppression_import"), {"account": api.account.pk, "file": file}
    )

    assert "holds no list of numbers" in answer.content.decode()
    assert Suppression.objects.count() == 0


def test_an_operator_downloads_all_that_is_in_force(office: Client):
    entry = SuppressionFactory.create(phone_number=THEM)
    SuppressionFactory.create(account=entry.account, phone_number=ANOTHER, lifted_at=now())

    answer = office.get(reverse("admin:accounts_suppression_export"))

    assert suppression_csv.read(answer.content).valid == [(THEM, "all", "")]


def test_who_may_only_look_imports_nothing(client: Client):
    client.force_login(UserFactory.create())

    assert client.get(reverse("admin:accounts_suppression_import")).status_code == 403
