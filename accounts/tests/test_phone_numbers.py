import pytest

from accounts.errors import ApiError
from accounts.logs import without_numbers
from accounts.paging import page_of
from accounts.phone_numbers import number_in_path, parse_e164, undress
from accounts.suppression_csv import read

ANN = "+447386172391"


@pytest.mark.parametrize(
    "number",
    ["+447446466847", "+447386172392", "+12025550100", "+447111000001", "+4915112345678"],
)
def test_a_real_number_is_itself(number: str):
    assert parse_e164(number) == number


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("07446466847", "begin with + and the country code"),
        ("447446466847", "begin with + and the country code"),
        ("+44 7446 466847", "only digits after the +"),
        ("+44744646684x", "only digits after the +"),
        ("+٤٤٧٤٤٦٤٦٦٨٤٧", "only digits after the +"),
        ("+0447446466847", "does not begin with 0"),
        ("+4474", "too short"),
        ("+1202555010", "too short for country code +1"),
        ("+4474464668471234", "too long"),
        ("+44744646684712", "too long for country code +44"),
        ("+99912345678", "country code that does not exist"),
        ("+440000000000", "not a number of the numbering plan of country code +44"),
        ("+12", "too short"),
        (447446466847, "must be a string"),
        (["+447446466847"], "must be a string"),
        ("+447446466847\n", "only digits after the +"),
    ],
)
def test_what_is_no_number_says_why(value: object, says: str):
    with pytest.raises(ApiError) as refused:
        parse_e164(value, "to_number")

    assert refused.value.code == "invalid_phone_format"
    assert refused.value.message.startswith("to_number ")
    assert says in refused.value.message
    assert refused.value.details == {"field": "to_number"}


@pytest.mark.parametrize("value", [None, ""])
def test_no_number_is_a_missing_field(value: object):
    with pytest.raises(ApiError) as refused:
        parse_e164(value, "to_number")

    assert (refused.value.code, refused.value.message) == (
        "missing_field",
        "to_number is required.",
    )


def test_a_plus_that_became_a_space_in_a_path_is_a_plus():
    assert number_in_path(" 447446466847") == "+447446466847"
    assert number_in_path("+447446466847") == "+447446466847"
    assert number_in_path("447446466847") == "447446466847"


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        ({}, 100, 0),
        ({"limit": "", "offset": ""}, 100, 0),
        ({"limit": "5", "offset": "7"}, 5, 7),
        ({"limit": "201"}, 200, 0),
        ({"limit": "9" * 5000, "offset": "9" * 5000}, 200, 1_000_000_000),
    ],
)
def test_a_page_is_what_was_asked_within_the_cap(query: dict[str, str], limit: int, offset: int):
    page = page_of(query, default=100, cap=200)

    assert (page.limit, page.offset) == (limit, offset)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": "1_0"},
        {"limit": "٣"},
        {"offset": "-1"},
        {"offset": "1.5"},
        {"offset": "x"},
    ],
)
def test_a_page_of_junk_is_refused_by_name(query: dict[str, str]):
    with pytest.raises(ApiError) as refused:
        page_of(query, default=100, cap=200)

    assert refused.value.code == "invalid_request"
    assert refused.value.details == {"field": next(iter(query))}


def test_a_log_line_shows_nobodys_number():
    line = without_numbers(
        None, "info", {"event": "Not Found: /v1/phone-numbers/%2B447446466847 +12025550100"}
    )

    assert line["event"] == "Not Found: /v1/phone-numbers/+*** +***"


# --- as people and spreadsheets write them --------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        ANN,
        "+44 7386 172391",
        "+44 (0)7386-172391",
        "0044 7386 172391",
        "'+447386172391",
        '="+447386172391"',
        "=+447386172391",
        "\u202a+447386172391\u202c",
        "\u00a0+44.7386.172391 ",
    ],
)
def test_what_people_and_spreadsheets_put_around_a_number_is_taken_off(cell: str):
    assert undress(cell) == (ANN, "")


def test_a_do_not_contact_file_names_a_person_in_every_form_in_which_a_campaign_may():
    sheet = 'phone\n+44 (0)7386-172391\n0044 7386 172391\n"=""+447386172391"""\n+44/7386/172391\n'

    assert [number for number, _, _ in read(sheet.encode()).valid] == [ANN] * 4
    assert read(b"phone\n4.47386E+11\n").invalid[0]["line"] == 2


def test_a_number_in_national_form_needs_a_country():
    assert undress("07386 172391", "GB") == (ANN, "")
    assert undress("07386 172391") == ("07386172391", "")


def test_a_number_that_lost_its_digits_in_a_spreadsheet_is_not_guessed():
    phone, problem = undress("4.47386E+11")

    assert phone == "4.47386E+11"
    assert "its last digits are lost" in problem
