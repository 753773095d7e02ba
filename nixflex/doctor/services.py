"""The services that calls are made of: Twilio's accounts and numbers, speech, model."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from cryptography.fernet import InvalidToken
from django.conf import settings

from accounts.models import CarrierAccount
from agents.models import Agent, PhoneNumber
from agents.numbers import our_webhooks
from carriers import twilio
from carriers.errors import CarrierError, Refused
from carriers.twilio import OwnedNumber
from media.keys import KeyProblem, models_clock, speech_clock
from nixflex.doctor.finding import Finding
from nixflex.doctor.house import SET_CLOCK, skew_s

# A Date header is cut to whole seconds; Twilio's signatures and TLS bear more than this.
MOST_SKEW_S = 30.0
BRING_HERE = "Dashboard, Phone numbers: choose it, then “Have Twilio bring calls and texts here”."


def speech_and_model(models: Iterable[str]) -> Iterator[Finding]:
    """Both keys are taken, ``models`` and the settings' own exist, and our clock is theirs."""
    yield _asked("Deepgram", "the key is taken", speech_clock)
    wanted = sorted({settings.LLM_MODEL, settings.LLM_FALLBACK_MODEL, *models} - {""})
    yield _asked("Claude", f"the key is taken; {', '.join(wanted)}", lambda: models_clock(wanted))


def agents_models() -> set[str]:
    """Return the models that agents name for themselves."""
    own = Agent.objects.filter(is_active=True, llm_model__startswith="claude-")
    return set(own.values_list("llm_model", flat=True))


def _asked(what: str, note: str, ask: Callable[[], datetime | None]) -> Finding:
    before = time.time()
    try:
        clock = ask()
    except KeyProblem as problem:
        return Finding(what, problem=str(problem), remedy=problem.remedy)
    if clock is not None:
        skew = skew_s(clock.timestamp(), before, time.time())
        if skew > MOST_SKEW_S:
            return Finding(what, problem=f"its clock is {skew:.0f} s from ours", remedy=SET_CLOCK)
    return Finding(what, note)


def carrier() -> Iterator[Finding]:
    """Every Twilio account takes its token and is active, and brings its numbers' calls here."""
    accounts = CarrierAccount.objects.order_by("pk").values_list("pk", flat=True)
    if not accounts:
        yield Finding(
            "Twilio",
            problem="no number is imported: nobody can call or be called",
            remedy="Import one: dashboard, Phone numbers, or POST /v1/phone-numbers.",
        )
    for pk in accounts:
        yield from _account(pk)


def _account(pk: int) -> Iterator[Finding]:
    try:
        row = CarrierAccount.objects.get(pk=pk)
    except InvalidToken:
        yield Finding(
            "Twilio",
            problem="the stored auth token cannot be read with FIELD_ENCRYPTION_KEYS",
            remedy="Put back the key it was stored with, behind the new one.",
        )
        return
    what, account = f"Twilio {row.sid}", twilio.Account(row.sid, row.auth_token)
    try:
        standing = twilio.standing(account)
        owned = {number.phone_number: number for number in twilio.owned_numbers(account)}
    except Refused as refusal:
        yield Finding(
            what,
            problem=f"the auth token is not accepted ({refusal.code})"
            if refusal.is_wrong_credentials
            else f"Twilio refuses ({refusal.code})",
            remedy="Dashboard, Twilio accounts: write the account's token to “New auth token”.",
        )
        return
    except CarrierError as error:
        yield Finding(
            what,
            problem=f"{settings.TWILIO_API_URL} gives no answer ({error})",
            remedy="Let this machine connect to it, or look at status.twilio.com.",
        )
        return
    if standing.status != "active":
        yield Finding(
            what,
            problem=f"the account is {standing.status}",
            remedy="Look at its billing and messages in the Twilio console.",
        )
    else:
        trial = "; a trial calls only numbers that you verified at Twilio"
        yield Finding(what, f"the token is taken{trial if standing.is_trial else ''}")
    yield from _numbers(row.phone_numbers.select_related("agent").order_by("pk"), owned)


def _numbers(numbers: Iterable[PhoneNumber], owned: dict[str, OwnedNumber]) -> Iterator[Finding]:
    for number in numbers:
        what = f"Number {number.phone_number}"
        at_carrier = owned.get(number.phone_number)
        if at_carrier is None:
            yield Finding(
                what,
                problem="the Twilio account does not hold it any more",
                remedy="Dashboard, Phone numbers: delete it, or buy it again at Twilio.",
            )
        elif elsewhere := _elsewhere(at_carrier):
            yield Finding(what, problem=elsewhere, remedy=BRING_HERE)
        elif number.inbound_enabled and (number.agent is None or not number.agent.is_active):
            yield Finding(
                what,
                problem="it has no active agent: calls to it are not taken",
                remedy="Dashboard, Phone numbers: give it one, or switch incoming calls off.",
            )
        else:
            yield Finding(what, "its calls and texts come here")


def _elsewhere(number: OwnedNumber) -> str:
    """Say where the carrier brings the number's calls or texts; empty if it is here."""
    if number.trunk_sid or number.voice_application_sid:
        return "a trunk or application at Twilio takes its calls"
    if number.sms_application_sid:
        return "an application at Twilio takes its texts"
    ours = our_webhooks()
    if number.voice_url != ours["voice_url"]:
        return f"Twilio brings its calls to {number.voice_url or 'nobody'}"
    if number.sms_url != ours["sms_url"]:
        return f"Twilio brings its texts to {number.sms_url or 'nobody'}"
    if number.status_url != ours["status_url"]:
        return f"Twilio tells the end of its calls to {number.status_url or 'nobody'}"
    return ""
