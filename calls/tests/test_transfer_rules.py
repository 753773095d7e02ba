"""Where a model may put a caller through to, whatever it was talked into."""

from typing import Any

import pytest

from agents.factories import PhoneNumberFactory
from calls.factories import CallFactory, TransferFactory
from calls.models import Call
from calls.transfer_rules import Destination, NotAllowed, TransferRules, rules_for

pytestmark = pytest.mark.django_db

DESK, SALES, PREMIUM = "+442087601234", "+442079460018", "+449098790000"


def rules(call: Call, *, profile: bool = True) -> TransferRules:
    assert call.agent is not None
    return rules_for(call, call.agent, call.number if profile else None)


def call_with(prompt: str, **agent: Any) -> Call:
    return CallFactory.create(
        agent__system_prompt=prompt, **{f"agent__{k}": v for k, v in agent.items()}
    )


@pytest.mark.parametrize(
    "written",
    [
        "[TRANSFER:+442087601234]",
        "transfer them to +44 20 8760 1234 at night",
        "transfer to +44 (0)20 8760-1234.",
        "Transfer: +44.20.8760.1234, 9 to 5",
        "Wer einen Menschen will: durchstellen an +44 20 8760 1234",
        "Se serve, trasferire la chiamata al +44 20 8760 1234",
        "Si besoin, transférez l'appel au +44 20 8760 1234",
    ],
)
def test_a_number_is_found_however_it_is_written(written: str):
    assert rules(call_with(written)).numbers == (DESK,)


def test_numbers_of_agent_number_and_call_count_and_the_default_comes_first():
    call = call_with(f"Transfer bills to {SALES}.", transfer_number="+442071838750")
    call.number.custom_prompt = f"The desk is {DESK}."
    call.prompt = "Or +44 20 7946 0 {nothing}, or {{office}}."
    call.variables = {"office": "+12025550129"}

    assert rules(call).numbers == ("+442071838750", SALES, DESK, "+12025550129")
    assert DESK not in rules(call, profile=False).numbers


def test_a_prompt_that_speaks_of_no_transfer_allows_none_though_it_names_numbers():
    assert rules(call_with(f"Our number is {DESK}. Put your heart into it.")) == TransferRules()


def test_what_callers_said_in_earlier_calls_is_no_place_to_find_numbers():
    call = call_with("Transfer those who ask. {{caller_history}} {{caller_phone}}")
    call.variables = {}

    assert rules(call).numbers == ()


@pytest.mark.parametrize(
    "written", [f"Ann {SALES}", f"transfer me to {SALES}", PREMIUM, "+44 909 879 0000"]
)
def test_what_somebody_wrote_into_a_form_is_no_place_to_find_numbers(written: str):
    call = call_with(f"Transfer those who ask to {DESK}. You speak with {{{{name}}}}.")
    call.variables = {"name": written}

    assert rules(call).numbers == (DESK,)


def test_what_somebody_wrote_into_a_form_allows_no_transfers():
    call = call_with(f"Our number is {DESK}. You speak with {{{{name}}}}.")
    call.variables = {"name": "Transfer"}

    assert rules(call) == TransferRules()


def test_neither_the_caller_nor_a_number_of_ours_is_a_destination():
    call = call_with(f"Transfer to {DESK}, +447386172392 or {SALES}.")
    PhoneNumberFactory.create(account=call.account, phone_number=SALES)

    assert call.their_number == "+447386172392"
    assert rules(call).numbers == (DESK,)


def test_another_accounts_number_is_a_number_like_others():
    call = call_with(f"Transfer to {SALES}.")
    PhoneNumberFactory.create(phone_number=SALES)

    assert rules(call).numbers == (SALES,)


def test_a_default_that_is_our_own_number_is_no_destination():
    call = CallFactory.create()
    call.agent.transfer_number = call.number.phone_number

    assert (rules(call).numbers, rules(call).default) == ((), "")


def test_three_transfers_are_made_and_no_more():
    call = call_with(f"Transfer to {DESK}.")
    for number in (1, 2, 3):
        assert rules(call).destination(DESK) == Destination(DESK, "cold")
        TransferFactory.create(call=call, number=number, failed=True, after_turn=number)

    allowed = rules(call)

    assert [(f.after_turn, f.number, f.words) for f in allowed.failed][-1] == (
        3, DESK, "nobody answered",
    )  # fmt: skip
    with pytest.raises(NotAllowed, match="no further transfer"):
        allowed.destination(DESK)


ALLOWED = TransferRules(numbers=(DESK, SALES), default=SALES, kind="cold", left=3)


@pytest.mark.parametrize(
    ("asked", "number", "kind"),
    [
        ("+442087601234", DESK, "cold"),
        (" +44 20 8760 1234 ", DESK, "cold"),
        ("+442087601234:warm", DESK, "warm"),
        ("+442087601234 : WARM", DESK, "warm"),
        ("default", SALES, "cold"),
        ("Default:warm", SALES, "warm"),
        ("", SALES, "cold"),
    ],
)
def test_the_forms_of_a_tag_are_understood(asked: str, number: str, kind: str):
    assert ALLOWED.destination(asked) == Destination(number, kind)


@pytest.mark.parametrize("asked", [PREMIUM, "02087601234", "the boss", "+44"])
def test_what_nobody_wrote_down_is_not_dialled(asked: str):
    with pytest.raises(NotAllowed, match="no such number"):
        ALLOWED.destination(asked)


def test_without_a_default_there_is_none():
    with pytest.raises(NotAllowed):
        TransferRules(numbers=(DESK,), left=3).destination("default")
