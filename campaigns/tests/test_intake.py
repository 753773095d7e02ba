import io
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import suppression
from accounts.errors import ApiError
from campaigns.factories import CampaignFactory, RecipientFactory
from campaigns.intake import take_in
from campaigns.models import Campaign
from campaigns.rows import LONGEST_LINE, CsvFile, Row, rows_of_json

ANN, BOB = "+447386172391", "+447386172392"


def read(raw: bytes | str, **options: Any) -> list[Row]:
    data = raw if isinstance(raw, bytes) else raw.encode()
    return list(CsvFile(io.BytesIO(data), **options))


def refusal(raw: bytes | str) -> str:
    with pytest.raises(ApiError) as refused:
        read(raw)
    assert refused.value.code == "invalid_csv"
    return refused.value.message


# --- files ----------------------------------------------------------------------------------------

TABLE = f"phone;name\n{ANN};Zoë Müller\n"


@pytest.mark.parametrize(
    "raw",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("cp1252"),
        TABLE.replace(";", ",").encode(),
        TABLE.replace(";", "\t").encode(),
        TABLE.replace(";", "|").encode(),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        b"sep=;\r\n" + TABLE.encode("cp1252"),
        b"\n\n" + TABLE.encode(),
        f'"phone";"name"\n"{ANN}";"Zoë Müller"\n'.encode(),
    ],
)
def test_any_usual_encoding_delimiter_and_line_end_reads_the_same(raw: bytes):
    (row,) = read(raw)

    assert (row.phone, row.name) == (ANN, "Zoë Müller")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "The file is empty."),
        (b" \n\n", "The file is empty."),
        (b"phone,name\n", "The file has a header, but no rows below it."),
        (b"%PDF-1.4\nphone", "This is a PDF, whatever its name says. Export the table as CSV."),
        (b"PK\x03\x04rest", "This is an Excel workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0rest", "This is an old Excel workbook"),
        (b"<!DOCTYPE html><html>", "This is a web page"),
        (b"phone\n+44\x00\x00", "This file is not text."),
        ("name,city\nAnn,Bath\n", "No column is named phone. The first row has: name, city."),
        ("phone,a,a\n+44,1,2\n", "Two columns are named a."),
        (f'phone,name\n{ANN},"Ann\n{BOB},Bob\n', "begins at line 2"),
        ('phone\n"' + "x" * 200_000 + "\n", "begins at line 2"),
        ("," * 300 + "phone\n", "The header has 301 columns."),
        ('sep="\nphone\n' + ANN, "No column is named phone."),
        (f"sep=\r\nphone\n{ANN}", "No column is named phone."),
        (f"phone\n{ANN}" + " " * LONGEST_LINE, "A line is longer than 4194304 characters."),
        (" " * 3 * LONGEST_LINE, "The file is empty."),
    ],
)
def test_what_is_no_table_of_people_is_said_in_words(raw: bytes | str, says: str):
    assert says in refusal(raw)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_a_character_that_no_database_holds_makes_a_bad_row(encoding: str):
    head = f"phone,name\n{ANN},Ann\n".ljust(5_000, "\n")
    rows = read(f"{head}{BOB},B\0b\n".encode(encoding))

    assert [(row.phone, row.problem) for row in rows] == [(ANN, ""), ("", "holds a NUL character.")]


def test_a_quoted_cell_may_hold_line_breaks_and_lines_are_still_counted():
    rows = read(f'phone,note\n{ANN},"one\ntwo"\nbad,x\n')

    assert rows[0].variables == {"note": "one\ntwo"}
    assert [(row.index, row.line) for row in rows] == [(0, 2), (1, 4)]


def test_columns_are_known_by_their_usual_names_and_the_rest_are_variables():
    (row,) = read(
        f"Mobile Number,Full Name,Time Zone,prompt_override,Due date,empty\n"
        f"{ANN},Ann Lee,Europe/Paris,Be brief.,Monday,\n"
    )

    assert (row.phone, row.name, row.timezone) == (ANN, "Ann Lee", "Europe/Paris")
    assert row.prompt_override == "Be brief."
    assert row.variables == {"Full_Name": "Ann Lee", "Due_date": "Monday"}


def test_a_bare_list_of_numbers_needs_no_header():
    assert [row.phone for row in read(f"{ANN}\n{BOB}\n")] == [ANN, BOB]


def test_the_sender_may_say_which_column_is_which():
    table = CsvFile(io.BytesIO(f"phone,other\nx,{ANN}\n".encode()))

    table.remap(phone=1, name=None, timezone=None, prompt_override=None)

    (row,) = table
    assert (row.phone, row.variables) == (ANN, {"phone": "x"})


def test_more_cells_than_the_header_has_make_a_bad_row():
    (row,) = read(f"phone,name\n{ANN},Ann,extra\n")

    assert row.problem == "has 3 cells, but the header has 2."


def test_a_formula_in_another_column_is_only_text():
    (row,) = read(f'phone,note\n{ANN},"=1+1"\n')

    assert row.variables == {"note": "=1+1"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(raw: bytes):
    try:
        rows = read(raw)
    except ApiError as refused:
        if refused.code != "invalid_csv":
            raise
    else:
        assert rows


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (7, "must be an object with a phone."),
        ({"phone": 447386172391}, "phone must be a string"),
        ({"phone": ANN, "variables": []}, ""),
        ({"phone": ANN, "variables": ["a"]}, "variables must be an object"),
        ({"phone": ANN, "variables": {"a": {}}}, "variables must be an object"),
        ({"phone": ANN, "timezone": 1}, "timezone must be a string."),
        ({"phone": ANN, "metadata": "x"}, "metadata must be an object."),
        ({"phone": ANN, "metadata": {"a": "x" * 65_536}}, "variables and metadata are too large."),
    ],
)
def test_what_an_item_lacks_is_said(item: Any, problem: str):
    (row,) = rows_of_json([item])

    assert row.problem.startswith(problem)
    assert bool(row.problem) == bool(problem)


# --- into the campaign ----------------------------------------------------------------------------


@pytest.fixture
def campaign() -> Campaign:
    return CampaignFactory.create(draft=True)


@pytest.mark.django_db
def test_rows_arrive_in_order_with_their_places(campaign: Campaign):
    rows = [
        Row(0, ANN, variables={"a": 1}, metadata={"m": 2}),
        Row(1, "+12125550123", timezone="America/Denver"),
        Row(2, "+80012345678"),
    ]

    intake = take_in(campaign, rows)

    assert (intake.rows, intake.added, intake.invalid_count) == (3, 3, 0)
    ann, denver, nowhere = campaign.recipients.select_related("group")
    assert (ann.variables, ann.metadata, ann.status, ann.attempts) == (
        {"a": 1},
        {"m": 2},
        "pending",
        0,
    )
    assert "Europe/London" in ann.group.zones
    assert (denver.group.zones, denver.group.law) == (["America/Denver"], "US")
    assert (nowhere.group.zones, nowhere.group.law) == ([campaign.timezone], "strictest")


@pytest.mark.django_db
def test_a_second_file_adds_only_whom_the_first_did_not_have(campaign: Campaign):
    RecipientFactory.create(campaign=campaign, phone=ANN, variables={"a": 1})

    intake = take_in(campaign, [Row(0, ANN, variables={"a": 2}), Row(1, BOB)])

    assert (intake.added, intake.duplicates, intake.differing) == (1, 1, 1)
    assert campaign.recipients.get(phone=ANN).variables == {"a": 1}


@pytest.mark.django_db
def test_bad_rows_are_reported_and_the_good_ones_stay(campaign: Campaign):
    rows = [Row(0, "+4412"), Row(1, BOB, timezone="Mars/Olympus"), Row(2, ANN)]

    intake = take_in(campaign, rows)

    assert (intake.added, intake.invalid_count) == (1, 2)
    assert [bad["row_index"] for bad in intake.invalid] == [0, 1]
    assert "no IANA time zone" in intake.invalid[1]["reason"]


@pytest.mark.django_db
def test_who_said_no_arrives_as_skipped(campaign: Campaign):
    suppression.suppress(campaign.account, BOB, source="operator")

    intake = take_in(campaign, [Row(0, ANN), Row(1, BOB)])

    assert (intake.added, intake.suppressed) == (2, 1)
    assert campaign.recipients.get(phone=BOB).status == "skipped"


@pytest.mark.django_db
def test_a_stream_that_breaks_off_adds_nobody(campaign: Campaign):
    def rows() -> Iterator[Row]:
        yield Row(0, ANN)
        raise ApiError("invalid_csv", "Broken.")

    with pytest.raises(ApiError):
        take_in(campaign, rows())

    assert not campaign.recipients.exists()
    assert take_in(campaign, [Row(0, ANN)]).added == 1


@pytest.mark.django_db
def test_memory_does_not_grow_with_the_rows(campaign: Campaign, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("campaigns.intake.AT_ONCE", 100)

    def rows(how_many: int) -> Iterator[Row]:
        for n in range(how_many):
            yield Row(n, f"+44738{n % 10_000_000:07d}", variables={"text": "x" * 500})

    def peak(how_many: int) -> int:
        tracemalloc.start()
        try:
            take_in(campaign, rows(how_many))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    take_in(campaign, rows(10))  # what is loaded once
    small, large = peak(300), peak(1_500)

    assert large < 1.3 * small


@pytest.mark.django_db
def test_the_command_imports_a_file_and_says_what_became_of_it(campaign: Campaign, tmp_path: Path):
    file = tmp_path / "people.csv"
    file.write_text(f"phone,name\n{ANN},Ann\n{ANN},Ann\nno,Bob\n")
    out = io.StringIO()

    call_command("import_recipients", str(file), campaign=campaign.campaign_id, stdout=out)

    assert "line 4: phone must be in E.164" in out.getvalue()
    assert "1 added (0 of them asked not to be called), 1 merged, 1 bad" in out.getvalue()
    assert campaign.recipients.get().phone == ANN


@pytest.mark.django_db
def test_the_command_names_what_it_cannot_use(campaign: Campaign, tmp_path: Path):
    file = tmp_path / "people.csv"
    file.write_bytes(b"%PDF")

    with pytest.raises(CommandError, match="This is a PDF"):
        call_command("import_recipients", str(file), campaign=campaign.campaign_id)
    with pytest.raises(CommandError, match="There is no campaign"):
        call_command("import_recipients", str(file), campaign="batchcall_0")
    with pytest.raises(CommandError, match="Cannot read"):
        call_command("import_recipients", "missing.csv", campaign=campaign.campaign_id)


def random_people(how_many: int) -> bytes:
    chosen = random.Random(7)
    lines = (f"+4473{chosen.randrange(10**8):08d},Name {n},{n}\n" for n in range(how_many))
    return ("phone,name,number\n" + "".join(lines)).encode()


@pytest.mark.django_db
def test_a_few_thousand_rows_come_in_in_a_fixed_number_of_queries(
    campaign: Campaign, django_assert_max_num_queries: Any
):
    rows = CsvFile(io.BytesIO(random_people(2_000)))

    with django_assert_max_num_queries(16):
        intake = take_in(campaign, rows)

    assert intake.added + intake.duplicates == intake.valid
    assert intake.rows == 2_000
