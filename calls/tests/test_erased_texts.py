"""What was erased here is still in the carrier's list, and does not come back out of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from calls import retention
from sms import arrivals, recovery
from sms.factories import PERSON
from sms.models import Arrival, ErasedText, Message, Thread
from sms.tests.test_recovery import lists, text
from sms.tests.test_recovery import thread as thread
from sms.tests.twilio_side import brings, texts_us

pytestmark = pytest.mark.django_db


def forget_person(account: Account) -> None:
    retention.forget_person(account, PERSON)


@pytest.mark.parametrize("erase", [forget_person, retention.delete_all])
def test_a_text_that_was_erased_does_not_come_back_out_of_the_carriers_list(
    telco: Any, thread: Thread, erase: Callable[[Account], Any]
):
    taken_in, not_yet = text("My secret is blue."), text("Still on its way")
    texts_us(thread.number, taken_in["body"], taken_in["sid"])
    assert thread.number is not None
    brings(thread.number, Body=not_yet["body"], MessageSid=not_yet["sid"])
    erase(thread.account)
    lists(thread, taken_in, not_yet)

    assert recovery.recover_received() == 0
    arrivals.take_in()

    assert not Message.objects.exists()
    assert not Arrival.objects.exists()


def test_what_somebody_else_wrote_is_still_found(telco: Any, thread: Thread):
    ours, theirs = text("Mine"), {**text("Theirs"), "from": "+447386172393"}
    texts_us(thread.number, "Mine", ours["sid"])
    forget_person(thread.account)
    lists(thread, ours, theirs)

    assert recovery.recover_received() == 1

    assert Message.objects.get().from_number == "+447386172393"


def test_that_a_text_was_erased_is_kept_as_long_as_the_list_is_looked_at(thread: Thread):
    texts_us(thread.number, "Mine")
    forget_person(thread.account)
    now = timezone.now()

    retention.purge(now)
    assert ErasedText.objects.count() == 1
    retention.purge(now + timedelta(days=3))

    assert not ErasedText.objects.exists()
