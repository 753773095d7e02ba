from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import responses
from django.http import QueryDict
from twilio.request_validator import RequestValidator
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from carriers import twilio
from carriers.errors import Ambiguous, Refused, Unavailable
from carriers.twilio_session import Account, here

ACCOUNT = Account(sid="AC" + "0" * 32, token="secret-token")
BASE = f"https://telco.test/base/2010-04-01/Accounts/{ACCOUNT.sid}"
SID = "CA" + "1" * 32


@pytest.fixture(autouse=True)
def _elsewhere(settings: Any) -> None:
    settings.TWILIO_API_URL = "https://telco.test/base"


@pytest.fixture
def telco():
    with responses.RequestsMock() as mock:
        yield mock


def dial(amd_url: str | None = "https://us.test/amd?a=1") -> str:
    return twilio.dial(
        ACCOUNT,
        to="+447386172392",
        from_="+447446466847",
        voice_url="https://us.test/voice?a=1",
        status_url="https://us.test/status?a=1",
        amd_url=amd_url,
        ring_timeout_s=30,
        time_limit_s=660,
    )


def test_dial_sends_what_twilio_documents_and_returns_its_sid(telco: Any):
    telco.post(f"{BASE}/Calls.json", json={"sid": SID}, status=201)

    assert dial() == SID

    form = QueryDict(telco.calls[0].request.body)
    assert form.getlist("StatusCallbackEvent") == ["ringing", "answered", "completed"]
    assert form["MachineDetection"] == "Enable"
    assert form["AsyncAmd"] == "true"
    assert form["AsyncAmdStatusCallback"] == "https://us.test/amd?a=1"
    assert (form["Timeout"], form["TimeLimit"]) == ("30", "660")
    assert (form["To"], form["From"]) == ("+447386172392", "+447446466847")


def test_dial_without_amd_asks_for_no_detection(telco: Any):
    telco.post(f"{BASE}/Calls.json", json={"sid": SID}, status=201)

    dial(amd_url=None)

    assert "MachineDetection" not in QueryDict(telco.calls[0].request.body)


def test_every_request_has_time_outs(monkeypatch: pytest.MonkeyPatch, telco: Any):
    seen = []
    send = requests.Session.send

    def watch(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["timeout"])
        return send(self, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "send", watch)
    telco.post(f"{BASE}/Calls.json", json={"sid": SID}, status=201)

    dial()

    assert seen == [(5.0, 15.0)]


def test_a_refusal_carries_the_code_and_not_the_sdks_prefix(telco: Any):
    telco.post(f"{BASE}/Calls.json", json={"code": 21211, "message": "Invalid"}, status=400)

    with pytest.raises(Refused) as refusal:
        dial()

    assert (refusal.value.code, refusal.value.message, refusal.value.status) == (
        21211,
        "Invalid",
        400,
    )


def test_a_refusal_in_the_newer_problem_format_is_the_same(telco: Any):
    problem = {"type": "x", "title": "No", "status": 400, "code": 21215, "detail": "Not there"}
    telco.post(f"{BASE}/Calls.json", json=problem, status=400)

    with pytest.raises(Refused) as refusal:
        dial()

    assert (refusal.value.code, refusal.value.message) == (21215, "Not there")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 503, "json": {"code": 20503, "message": "busy"}},
        {"status": 403, "body": "<html>a proxy</html>"},
        {"status": 408, "json": {"code": 20408, "message": "slow"}},
        {"status": 201, "body": "not json"},
        {"status": 201, "json": {"sid": None}},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.ConnectionError(ReadTimeoutError(None, "", "reset"))},  # type: ignore[arg-type]
        {"body": requests.exceptions.ChunkedEncodingError()},
    ],
)
def test_a_dial_whose_answer_did_not_arrive_is_ambiguous_and_sent_once(
    telco: Any, answer: dict[str, Any]
):
    telco.post(f"{BASE}/Calls.json", **answer)

    with pytest.raises(Ambiguous):
        dial()

    assert len(telco.calls) == 1


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectTimeout(),
        requests.ConnectionError(
            MaxRetryError(None, "", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
        ),
    ],
)
def test_a_connection_that_never_came_up_called_nobody(telco: Any, failure: Exception):
    telco.post(f"{BASE}/Calls.json", body=failure)

    with pytest.raises(Unavailable):
        dial()


def test_a_real_refused_connection_called_nobody(settings: Any):
    settings.TWILIO_API_URL = "http://127.0.0.1:1"

    with pytest.raises(Unavailable):
        dial()


def test_too_many_requests_is_for_later(telco: Any):
    telco.post(f"{BASE}/Calls.json", json={"code": 20429, "message": "slow down"}, status=429)

    with pytest.raises(Unavailable):
        dial()


def test_a_fetch_that_fails_is_unavailable_not_ambiguous(telco: Any):
    telco.get(f"{BASE}/Calls/{SID}.json", status=500)

    with pytest.raises(Unavailable):
        twilio.fetch_call(ACCOUNT, SID)


@pytest.mark.parametrize(("code", "status"), [(21220, 400), (20404, 404)])
def test_hanging_up_a_call_that_is_over_is_done(telco: Any, code: int, status: int):
    telco.post(f"{BASE}/Calls/{SID}.json", json={"code": code, "message": "over"}, status=status)

    twilio.hang_up(ACCOUNT, SID)

    assert QueryDict(telco.calls[0].request.body)["Status"] == "completed"


def test_wrong_credentials_are_told_from_other_refusals(telco: Any):
    telco.get(
        f"{BASE}/IncomingPhoneNumbers.json",
        json={"code": 20003, "message": "Authenticate"},
        status=401,
    )

    with pytest.raises(Refused) as refusal:
        twilio.find_number(ACCOUNT, "+447446466847")

    assert refusal.value.is_wrong_credentials


def test_a_number_is_found_whole_not_in_part(telco: Any):
    def number(sid: str, phone_number: str) -> dict[str, Any]:
        able = {"voice": True, "sms": False, "mms": False, "fax": False}
        return {"sid": sid, "phone_number": phone_number, "capabilities": able}

    telco.get(
        f"{BASE}/IncomingPhoneNumbers.json",
        json={
            "incoming_phone_numbers": [
                number("PN1", "+4474464668470"),
                number("PN2", "+447446466847"),
            ]
        },
    )

    found = twilio.find_number(ACCOUNT, "+447446466847")

    assert found is not None
    assert (found.sid, found.voice, found.sms) == ("PN2", True, False)


def test_the_list_of_calls_leaves_out_older_ones(telco: Any):
    def call(sid: str, minute: int) -> dict[str, Any]:
        created = f"Sun, 22 Nov 2026 10:{minute:02}:00 +0000"
        return {"sid": sid, "status": "queued", "date_created": created}

    telco.get(
        f"{BASE}/Calls.json",
        json={"calls": [call("CA3", 9), call("CA2", 7), call("CA1", 3)]},
    )

    since = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
    calls = twilio.list_calls(ACCOUNT, to="+1", from_="+2", since=since)

    assert [call.sid for call in calls] == ["CA2", "CA3"]


def test_with_the_real_address_other_product_domains_stay_theirs(settings: Any):
    settings.TWILIO_API_URL = "https://api.twilio.com"
    assert here("https://messaging.twilio.com/v1/x?y=1") == (
        "https://messaging.twilio.com/v1/x?y=1"
    )

    settings.TWILIO_API_URL = "http://127.0.0.1:8002"
    assert here("https://messaging.twilio.com/v1/x?y=1") == "http://127.0.0.1:8002/v1/x?y=1"


def test_twilios_published_signature_is_valid_and_any_change_is_not():
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

    assert twilio.verify_signature("12345", url, form, signature)
    assert not twilio.verify_signature("12346", url, form, signature)
    assert not twilio.verify_signature("12345", url + "3", form, signature)
    assert not twilio.verify_signature("12345", url, {**form, "Digits": "1"}, signature)
    assert not twilio.verify_signature("12345", url, form, "")
    assert not twilio.verify_signature("", url, form, signature)


@pytest.mark.parametrize(
    "signed", ["wss://voice.test/media/twilio/", "wss://voice.test:443/media/twilio/"]
)
def test_a_socket_is_signed_for_wss_with_or_without_its_port(settings: Any, signed: str):
    settings.MEDIA_STREAM_URL = "wss://voice.test/media/twilio/"
    signature = RequestValidator("token").compute_signature(signed, {})

    assert twilio.verify_socket_signature("token", signature)
    assert not twilio.verify_socket_signature("other", signature)
    assert not twilio.verify_socket_signature("token", "")


def test_credentials_do_not_show_in_logs():
    assert "secret-token" not in repr(ACCOUNT)
