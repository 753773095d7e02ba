"""What a carrier's request says, before anybody believes it."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from carriers import knocks


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("30", 30), ("999999999", 999_999_999), ("1" * 10, None), ("9" * 5_000, None)]
    + [(senseless, None) for senseless in ("", "x", "-1", " 5", "1_0", "²", "٣")],
)
def test_a_field_is_a_whole_number_or_nothing(text: str, number: int | None):
    assert knocks.whole_number(text) == number


@time_machine.travel("2026-11-22T10:00:00Z", tick=False)
@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        ("Sun, 22 Nov 2026 09:59:58 +0000", datetime(2026, 11, 22, 9, 59, 58, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 10:00:01 +0000", None),
        ("Sun, 22 Nov 2026 09:59:58", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_believed_unless_it_is_still_to_come(stamp: str, when: datetime | None):
    assert knocks.moment(stamp) == when


@knocks.view(lambda request, form: form if form.get("CallSid") else None)
def view(request: HttpRequest, form: knocks.Form) -> HttpResponse:
    return knocks.answer(form["CallSid"])


@pytest.mark.parametrize(
    ("path", "form"),
    [("/", {}), ("/", {"CallSid": "CA1", "Body": "a\0"}), ("/?a=x%00", {"CallSid": "CA1"})],
)
def test_what_is_not_verified_or_holds_a_nul_reaches_nobody(path: str, form: dict[str, str]):
    answer = view(RequestFactory().post(path, form))

    assert answer.status_code == 403
    assert answer.content == b"The signature is not valid."


def test_a_verified_request_is_answered_and_only_a_post_is_one():
    assert view(RequestFactory().post("/", {"CallSid": "CA1"})).content == b"CA1"
    assert view(RequestFactory().get("/?CallSid=CA1")).status_code == 405
