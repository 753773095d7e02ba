"""Where a call may be put through to.

A model can be talked into dialling a premium number, so only numbers that its operator wrote down
are dialled: the agent's ``transfer_number``, and those named in the instructions of the agent, the
number or the call, where these speak of transfers at all. What earlier calls or the person on the
line said is never such a place, nor what somebody may have written into a form: of a call's
variables only those that are a number and nothing else, and not a premium one, count.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import phonenumbers

from accounts.errors import ApiError
from accounts.phone_numbers import parse_e164, parsed
from agents import variables
from agents.models import Agent, PhoneNumber
from agents.prompt import speaks_of_transfers
from calls.models import Call, Transfer

TRANSFER_CALL = "transfer_call"
MOST_TRANSFERS = 3  # in a call, whatever becomes of them
DEFAULT = "default"

_WRITTEN = re.compile(r"\+[1-9][0-9 ().\-/\u00a0]{5,24}")
_NATIONAL_PREFIX = re.compile(r"\(0\)")
_ARGUMENT = re.compile(r"(?P<where>.*?)(?:[:,]\s*(?P<kind>cold|warm))?", re.I | re.S)

_FAILURES = {
    "no-answer": "nobody answered",
    "busy": "the line was busy",
    "canceled": "nobody answered",
    "declined": "the colleague could not take the call",
}


class NotAllowed(Exception):
    """This call may not be put through there; ``str`` says why, for the model."""


@dataclass(frozen=True, slots=True)
class Destination:
    number: str  # E.164
    kind: str  # "cold" | "warm"


@dataclass(frozen=True, slots=True)
class FailedTransfer:
    """Nobody took the call there; it came after the turn with the sequence number."""

    after_turn: int
    number: str
    failure: str  # as in ``Transfer.failure``

    @property
    def words(self) -> str:
        return _FAILURES.get(self.failure, "the number could not be reached")


@dataclass(frozen=True, slots=True)
class TransferRules:
    """Where one call may go, how, how many more times, and what was tried in vain."""

    numbers: tuple[str, ...] = ()
    default: str = ""  # the agent's ``transfer_number``, if it may be dialled
    kind: str = "cold"
    left: int = 0
    failed: tuple[FailedTransfer, ...] = ()

    def destination(self, asked: str) -> Destination:
        """Return what ``asked`` means: ``+44…``, ``default``, each with ``:warm`` or ``:cold``
        behind it or not. Raises ``NotAllowed``.
        """
        match = _ARGUMENT.fullmatch(asked.strip())
        where, kind = (match["where"], match["kind"]) if match else (asked, None)
        if self.left <= 0:
            raise NotAllowed("no further transfer is possible in this call")
        number = self.default if where.strip().lower() in {DEFAULT, ""} else _digits(where)
        if number not in self.numbers:
            raise NotAllowed("your instructions name no such number to put a caller through to")
        return Destination(number, (kind or self.kind).lower())


NO_TRANSFERS = TransferRules()


def rules_for(call: Call, agent: Agent, number: PhoneNumber | None) -> TransferRules:
    """Return the rules of ``call``, made by ``agent`` with the profile of ``number``, if any.

    A call in a browser goes nowhere else: no carrier could put it through.
    """
    if call.is_browser:
        return NO_TRANSFERS
    done = list(call.transfers.all())
    failed = tuple(
        FailedTransfer(one.after_turn, one.to_number, one.failure)
        for one in done
        if one.status == Transfer.Status.FAILED
    )
    instructions = _instructions(call, agent, number)
    if not speaks_of_transfers(agent, *instructions):
        return TransferRules(failed=failed)
    default = agent.transfer_number or ""
    named = dict.fromkeys([*filter(None, [default]), *_named(instructions)])
    ours = PhoneNumber.objects.of(call.account).filter(phone_number__in=list(named))
    never = {call.their_number, call.our_number, *ours.values_list("phone_number", flat=True)}
    numbers = tuple(one for one in named if one not in never and _is_real(one))
    return TransferRules(
        numbers=numbers,
        default=default if default in numbers else "",
        kind=agent.transfer_type,
        left=MOST_TRANSFERS - len(done),
        failed=failed,
    )


def _instructions(call: Call, agent: Agent, number: PhoneNumber | None) -> list[str]:
    """What the operator wrote, with the numbers among the call's own variables in it, and none of
    the engine's: those hold what callers said.
    """
    texts = [agent.system_prompt, (number.custom_prompt if number else None) or "", call.prompt]
    values = _only_numbers(call.variables)
    return [variables.substitute(text, values) for text in texts]


def _only_numbers(given: Mapping[str, Any]) -> dict[str, str]:
    texts = ((name, variables.as_text(value).strip()) for name, value in given.items())
    return {
        name: text
        for name, text in texts
        if _WRITTEN.fullmatch(text) and _is_real(_digits(text)) and not _is_premium(_digits(text))
    }


def _named(instructions: Iterable[str]) -> list[str]:
    """The numbers with a country code, however they are spaced."""
    found = []
    for text in instructions:
        for match in _WRITTEN.finditer(text):
            groups = match.group().split()
            # Digits of the next sentence may stand behind the number.
            for end in range(len(groups), 0, -1):
                number = _digits(" ".join(groups[:end]))
                if _is_real(number):
                    found.append(number)
                    break
    return found


def _is_premium(number: str) -> bool:
    kind = phonenumbers.number_type(parsed(number))
    return bool(kind == phonenumbers.PhoneNumberType.PREMIUM_RATE)


def _digits(text: str) -> str:
    return "+" + re.sub(r"\D", "", _NATIONAL_PREFIX.sub("", text))


def _is_real(number: str) -> bool:
    try:
        parse_e164(number)
    except ApiError:
        return False
    return True
