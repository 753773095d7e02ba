from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import ApiError
from accounts.factories import AccountFactory, SuppressionFactory
from accounts.models import Suppression
from accounts.suppression import (
    BY_TEXT,
    TEXT,
    VOICE,
    erase_number,
    is_suppressed,
    lift,
    refuse_if_suppressed,
    suppress,
    suppress_many,
    suppressed_among,
)

pytestmark = pytest.mark.django_db

THEM, SOMEBODY_ELSE = "+447386172392", "+447386172393"


@pytest.mark.parametrize(
    ("scope", "forbids_calls", "forbids_texts"),
    [("all", True, True), ("voice", True, False), ("text", False, True)],
)
def test_an_entry_forbids_what_its_scope_says(scope: str, forbids_calls: bool, forbids_texts: bool):
    account = AccountFactory.create()

    suppress(account, THEM, source="operator", scope=scope)

    assert (is_suppressed(account, THEM, VOICE) is not None) is forbids_calls
    assert (is_suppressed(account, THEM, TEXT) is not None) is forbids_texts
    assert is_suppressed(account, SOMEBODY_ELSE) is None
    assert is_suppressed(AccountFactory.create(), THEM) is None


def test_saying_no_twice_is_one_entry_with_the_first_evidence():
    account = AccountFactory.create()
    first, is_new = suppress(account, THEM, source="spoken", evidence={"call_id": "call_1"})

    again, is_new_again = suppress(account, THEM, source="spoken", evidence={"call_id": "call_2"})

    assert (is_new, is_new_again) == (True, False)
    assert again.pk == first.pk
    assert Suppression.objects.get().evidence == {"call_id": "call_1"}


@pytest.mark.django_db(transaction=True)
def test_ten_who_enter_the_same_number_at_once_leave_one_entry():
    account = AccountFactory.create()

    def enter(_: int) -> bool:
        try:
            return suppress(account, THEM, source="sms_keyword")[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        new = list(threads.map(enter, range(10)))

    assert sum(new) == 1
    assert Suppression.objects.count() == 1


def test_the_database_refuses_a_second_active_entry():
    entry = SuppressionFactory.create()

    with pytest.raises(IntegrityError, match="one_active"), transaction.atomic():
        SuppressionFactory.create(account=entry.account, phone_number=entry.phone_number)


def test_a_lifted_number_may_be_called_and_its_history_stays():
    entry = SuppressionFactory.create(phone_number=THEM)

    assert lift(entry.account, THEM, by="ann") == 1

    assert is_suppressed(entry.account, THEM) is None
    entry.refresh_from_db()
    assert (entry.lifted_by, entry.lifted_at is not None) == ("ann", True)
    assert suppress(entry.account, THEM, source="operator")[1] is True
    assert Suppression.objects.count() == 2


def test_a_text_lifts_what_was_entered_by_text_and_nothing_else():
    account = AccountFactory.create()
    suppress(account, THEM, source="sms_keyword")
    suppress(account, THEM, source="spoken")

    assert lift(account, THEM, sources=BY_TEXT) == 1

    entry = is_suppressed(account, THEM)
    assert entry is not None
    assert entry.source == "spoken"


def test_an_erased_person_stays_uncalled_and_leaves_nothing_but_a_hash():
    account = AccountFactory.create()
    evidence = {"call_id": "call_1", "turn": 4, "text": "This is Ann. Never call me again!"}
    suppress(account, THEM, source="spoken", evidence=evidence, reason="Ann was cross")

    assert erase_number(account, THEM) == 1
    assert erase_number(account, THEM) == 0

    entry = is_suppressed(account, THEM)
    assert entry is not None
    assert (entry.phone_number, entry.reason) == ("", "")
    assert entry.evidence == {"call_id": "call_1", "turn": 4}
    assert THEM not in entry.number_hash
    # Entered again it is still the same person's one entry.
    assert suppress(account, THEM, source="spoken")[1] is False


def test_two_accounts_hash_the_same_number_differently():
    one, other = SuppressionFactory.create(), SuppressionFactory.create()

    assert one.phone_number == other.phone_number
    assert one.number_hash != other.number_hash


def test_many_numbers_are_looked_up_at_once(django_assert_num_queries):
    account = AccountFactory.create()
    numbers = [f"+4473861{n:05d}" for n in range(200)]
    for number in numbers[:3]:
        suppress(account, number, source="csv")
    suppress(account, numbers[3], source="csv", scope="text")

    with django_assert_num_queries(1):
        found = suppressed_among(account, numbers)

    assert found == set(numbers[:3])


def test_many_are_entered_once_however_often_they_are_named():
    account = AccountFactory.create()
    suppress(account, THEM, source="csv")

    rows = [(THEM, "all", ""), (SOMEBODY_ELSE, "all", "asked"), (SOMEBODY_ELSE, "all", "")]

    assert suppress_many(account, rows, source="csv") == 1
    assert Suppression.objects.get(phone_number=SOMEBODY_ELSE).reason == "asked"


def test_a_refusal_says_since_when_and_where_it_was_entered():
    entry = SuppressionFactory.create(source="spoken")

    with pytest.raises(ApiError) as refused:
        refuse_if_suppressed(entry.account, entry.phone_number)

    assert (refused.value.status, refused.value.code) == (403, "recipient_unsubscribed")
    assert refused.value.details == {
        "scope": "all",
        "source": "spoken",
        "since": entry.created_at.isoformat(),
    }


def test_the_oldest_entry_is_the_one_that_is_named():
    account = AccountFactory.create()
    SuppressionFactory.create(account=account, source="csv")
    long_ago = timezone.now() - timedelta(days=9)
    SuppressionFactory.create(account=account, source="spoken", created_at=long_ago)

    entry = is_suppressed(account, THEM)

    assert entry is not None
    assert entry.source == "spoken"


# --- one line under two spellings -----------------------------------------------------------------

ARGENTINA = ("+5491123456789", "+541123456789")
MEXICO = ("+5215512345678", "+525512345678")
TWO_SPELLINGS = [*(ARGENTINA, ARGENTINA[::-1]), *(MEXICO, MEXICO[::-1])]


@pytest.mark.parametrize(("said", "asked"), TWO_SPELLINGS)
@pytest.mark.parametrize("channel", [VOICE, TEXT])
def test_who_said_no_is_meant_under_either_spelling(said: str, asked: str, channel: str):
    account = AccountFactory.create()
    entry, _ = suppress(account, said, source="spoken", scope=channel)

    assert is_suppressed(account, asked, channel) == entry
    assert suppressed_among(account, [asked, said, THEM], channel) == {asked, said}
    with pytest.raises(ApiError, match="asked not to be contacted"):
        refuse_if_suppressed(account, asked, channel)
    assert suppress(account, asked, source="spoken", scope=channel) == (entry, False)
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(("said", "asked"), TWO_SPELLINGS)
def test_a_no_is_lifted_and_erased_under_either_spelling(said: str, asked: str):
    account = AccountFactory.create()
    suppress(account, said, source="sms_keyword")

    assert erase_number(account, asked) == 1
    assert Suppression.objects.get().phone_number == ""
    assert is_suppressed(account, asked) is not None
    assert lift(account, asked, sources=BY_TEXT) == 1

    assert is_suppressed(account, said) is is_suppressed(account, asked) is None


@pytest.mark.parametrize("other", ["+5491123456780", "+54112345678", "+549112345678901"])
def test_another_line_is_nobody_elses_no(other: str):
    account = AccountFactory.create()
    suppress(account, ARGENTINA[0], source="spoken")

    assert is_suppressed(account, other) is None
