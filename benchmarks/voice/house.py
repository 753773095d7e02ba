"""Calls for Nixflex's media process, made as the product makes them: an account, an agent with a
number, and for each simulated caller an admitted inbound call with a one-time pass.

A process of its own: ``python -m benchmarks.voice.house`` brings the database up to date, then for
each line ``N`` on its input prints N calls as one line of JSON; an empty input ends them.
"""

# ruff: noqa: E402 (Django and the servers come up before what needs them)

import json
import os
import secrets
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings")
django.setup()

from django.conf import settings

from nixflex import embedded

embedded.ensure(settings.DATA_DIR, postgres=True, valkey=True)

from django.core.management import call_command
from django.db import connections, transaction
from django.utils import timezone
from twilio.request_validator import RequestValidator

from accounts.models import Account, CarrierAccount
from agents.models import Agent, PhoneNumber
from calls import services, tickets
from calls.admission import admit_inbound
from calls.models import Call

PROMPT = "You are Mia, the assistant of Acme Dental. You answer questions about opening hours. "


def number() -> PhoneNumber:
    """A number whose agent greets, listens and is recorded."""
    account, _ = Account.objects.get_or_create(
        name="Benchmark", defaults={"max_concurrent_calls": 10_000}
    )
    found = PhoneNumber.objects.filter(account=account).select_related("carrier_account").first()
    if found is not None:
        return found
    agent = Agent.objects.create(
        account=account,
        name="Mia",
        system_prompt=PROMPT * 12,
        language="en",
        welcome_message="Hello, this is Acme Dental.",
    )
    carrier = CarrierAccount.objects.create(
        account=account, sid=f"AC{secrets.token_hex(16)}", auth_token=secrets.token_hex(16)
    )
    return PhoneNumber.objects.create(
        account=account,
        agent=agent,
        carrier_account=carrier,
        phone_number="+447446000000",
        carrier_number_sid=f"PN{secrets.token_hex(16)}",
    )


def begin(number: PhoneNumber, count: int) -> list[dict[str, str]]:
    """End the calls of the round before, and let ``count`` people call."""
    for pk in list(Call.objects.filter(ended_at=None).values_list("pk", flat=True)):
        services.end_call(pk, Call.Status.COMPLETED, at=timezone.now())
    return [admit(number, person) for person in range(count)]


def admit(number: PhoneNumber, person: int) -> dict[str, str]:
    """Let a person call, and return how their media socket gets in."""
    sid = f"CA{secrets.token_hex(16)}"
    with transaction.atomic():
        call = admit_inbound(number, carrier_sid=sid, from_number=f"+4473861{person % 100_000:05d}")
    if call is None:
        raise RuntimeError("a call was not admitted")
    signer = RequestValidator(number.carrier_account.auth_token)
    return {
        "call_sid": sid,
        "account_sid": number.carrier_account.sid,
        "signature": signer.compute_signature(settings.MEDIA_STREAM_URL, {}),
        "ticket": tickets.issue(call),
    }


def main() -> None:
    call_command("migrate", interactive=False, verbosity=0)
    ours = number()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(begin(ours, int(line))), flush=True)
    connections.close_all()
    embedded.release(settings.DATA_DIR)


if __name__ == "__main__":
    main()
