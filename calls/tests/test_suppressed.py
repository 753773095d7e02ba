"""Who said no is not dialled, at whatever point of a call's way they said it."""

from typing import Any

import pytest

from accounts.errors import ApiError
from accounts.factories import SuppressionFactory
from accounts.suppression import erase_number, lift, suppress
from agents.factories import PhoneNumberFactory
from calls import dialling
from calls.admission import Turn, admit, admit_inbound
from calls.factories import CallFactory, new_sid
from calls.models import Call
from calls.services import place_call
from calls.tests.test_api import Api
from calls.tests.twilio_side import accepts_call

pytestmark = pytest.mark.django_db

THEM = "+447386172392"


@pytest.fixture(autouse=True)
def _no_other_carrier(telco: Any) -> None:
    """No test here may speak to anything but the carrier it describes."""


def test_a_call_to_who_said_no_is_refused_and_leaves_no_row():
    api = Api()
    SuppressionFactory.create(account=api.account, phone_number=THEM, source="sms_keyword")

    answer = api.place(to_number=THEM)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "recipient_unsubscribed")
    assert error["type"] == "permission_denied"
    assert error["details"]["source"] == "sms_keyword"
    assert Call.objects.count() == 0


def test_who_wants_no_texts_may_be_called():
    api = Api()
    SuppressionFactory.create(account=api.account, phone_number=THEM, scope="text")

    assert api.place(to_number=THEM).status_code == 201


def test_another_accounts_ledger_is_its_own():
    SuppressionFactory.create(phone_number=THEM)

    assert Api().place(to_number=THEM).status_code == 201


def test_a_waiting_call_is_canceled_when_its_turn_comes(telco: Any):
    call = CallFactory.create(to_number=THEM)
    suppress(call.account, THEM, source="spoken")

    assert dialling.dial_next() == call.pk
    assert dialling.dial_next() is None

    call.refresh_from_db()
    assert (call.status, call.ended_reason) == ("canceled", "canceled")
    assert "asked not to be called" in call.error_message
    assert call.attempts.get().status == "refused"
    assert len(telco.calls) == 0


def test_a_no_that_comes_between_the_claim_and_the_request_is_heard(telco: Any, monkeypatch):
    call = CallFactory.create(to_number=THEM)

    def admit_and_then_they_say_no(at_most: int) -> list[Turn]:
        turns = admit(at_most)
        suppress(call.account, THEM, source="spoken")
        return turns

    monkeypatch.setattr(dialling, "admit", admit_and_then_they_say_no)

    dialling.dial_next()

    call.refresh_from_db()
    assert call.status == "canceled"
    assert len(telco.calls) == 0


def test_who_was_erased_is_still_not_dialled(telco: Any):
    call = CallFactory.create(to_number=THEM)
    suppress(call.account, THEM, source="spoken")
    erase_number(call.account, THEM)

    assert call.agent is not None
    assert call.number is not None

    with pytest.raises(ApiError, match="asked not to be contacted"):
        place_call(call.account, agent=call.agent, number=call.number, to_number=THEM)
    dialling.dial_next()

    assert len(telco.calls) == 0


def test_who_agreed_again_is_dialled(telco: Any):
    call = CallFactory.create(to_number=THEM)
    suppress(call.account, THEM, source="operator")
    lift(call.account, THEM)
    accepts_call(call.number, new_sid())

    dialling.dial_next()

    call.refresh_from_db()
    assert call.status == "initiated"


def test_who_said_no_may_still_call_in():
    entry = SuppressionFactory.create(phone_number=THEM)
    number = PhoneNumberFactory.create(account=entry.account)

    call = admit_inbound(number, carrier_sid=new_sid(), from_number=THEM)

    assert call is not None
    assert call.status == "ringing"


@pytest.mark.parametrize(
    ("said", "called"),
    [("+5491123456789", "+541123456789"), ("+541123456789", "+5491123456789")],
)
def test_who_said_no_under_the_other_spelling_of_their_number_is_not_called(
    telco: Any, said: str, called: str
):
    api, waiting = Api(), CallFactory.create(to_number=called)
    for account in (api.account, waiting.account):
        suppress(account, said, source="sms_keyword")

    assert api.place(to_number=called).json()["error"]["code"] == "recipient_unsubscribed"
    assert dialling.dial_next() == waiting.pk

    waiting.refresh_from_db()
    assert waiting.status == "canceled"
    assert len(telco.calls) == 0
