"""What can be done with telephone numbers: import from the carrier, change, let go."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.errors import ApiError, not_found_error
from accounts.models import Account, CarrierAccount
from agents.models import PhoneNumber
from agents.services import find_agent, require_voicemail_words
from carriers import twilio
from carriers.errors import CarrierError, Refused, Unavailable
from webhooks.outbox import forget_number

log = structlog.get_logger(__name__)

# Twilio's "Authenticate".
WRONG_CREDENTIALS = 20003


@dataclass(frozen=True, slots=True)
class Release:
    """What became of a deleted number. The carrier may still ring us if it could not be told."""

    phone_number: str
    carrier_cleared: bool


def find_number(account: Account, phone_number: str) -> PhoneNumber:
    """Return the account's number; ApiError ``number_not_found`` (404) for anybody else's too."""
    number = PhoneNumber.objects.of(account).with_owners().filter(phone_number=phone_number).first()
    if number is None:
        raise _number_not_found()
    return number


def import_number(
    account: Account, *, phone_number: str, agent_id: str, sid: str, token: str, **own: Any
) -> PhoneNumber:
    """Take a number of a Twilio account into service: calls and texts to it come to us from now on.

    The carrier is asked whether the account holds the number, then told our webhooks; its own are
    overwritten. ``own`` are settings of the number. After an ApiError nothing is left behind:
    ``agent_not_found``, ``voicemail_message_required``, ``twilio_auth_failed`` or
    ``twilio_invalid_credentials`` (401), ``number_not_in_twilio`` (404),
    ``number_already_imported`` (409), ``twilio_error`` (400), ``twilio_unavailable`` (503).
    """
    agent = find_agent(account, agent_id)
    number = PhoneNumber(account=account, agent=agent, phone_number=phone_number, **own)
    require_voicemail_words(number)
    carrier = twilio.Account(sid, token)
    try:
        owned = twilio.find_number(carrier, phone_number)
        if owned is None:
            raise not_found_error(
                "number_not_in_twilio", f"This Twilio account does not hold {phone_number}."
            )
        number.carrier_number_sid = owned.sid
        # The row first: whoever imports the same number now waits here for our outcome, and a
        # carrier that refuses takes the row back with it.
        with transaction.atomic():
            number.carrier_account, _ = CarrierAccount.objects.update_or_create(
                account=account,
                provider=CarrierAccount.Provider.TWILIO,
                sid=sid,
                defaults={"auth_token": token},
            )
            _insert(number)
            twilio.point_number_at(carrier, owned.sid, **our_webhooks())
    except CarrierError as error:
        raise _as_api_error(error) from error
    return number


@transaction.atomic
def update_number(account: Account, phone_number: str, **own: Any) -> PhoneNumber:
    """Change the given settings, all or none, from the very next call or text.

    ``agent_id`` moves the number to another agent of the account (None: to none). Raises ApiError
    ``number_not_found``, ``agent_not_found``, ``voicemail_message_required``.
    """
    number = (
        PhoneNumber.objects.of(account)
        .with_owners()
        .select_for_update(of=("self",))
        .filter(phone_number=phone_number)
        .first()
    )
    if number is None:
        raise _number_not_found()
    if "agent_id" in own:
        agent_id = own.pop("agent_id")
        own["agent"] = find_agent(account, agent_id) if agent_id else None
    for name, value in own.items():
        setattr(number, name, value)
    require_voicemail_words(number)
    number.save(update_fields=[*own])
    return number


def release_number(account: Account, phone_number: str) -> Release:
    """Let a number go: the carrier is told to bring it to nobody, and the row is deleted.

    The number stays the customer's. A carrier that cannot be told does not stop the deletion.
    """
    number = find_number(account, phone_number)
    carrier = twilio.Account(number.carrier_account.sid, number.carrier_account.auth_token)
    try:
        twilio.point_number_at(
            carrier, number.carrier_number_sid, voice_url="", sms_url="", status_url=""
        )
    except CarrierError as error:
        log.warning("carrier_webhooks_not_cleared", number=number.pk, error=type(error).__name__)
        cleared = False
    else:
        cleared = True
    with transaction.atomic():
        forget_number(account, phone_number)
        number.delete()
    return Release(phone_number, cleared)


def our_webhooks() -> dict[str, str]:
    """Where the carrier brings a number's calls (``voice_url``), its texts (``sms_url``) and what
    becomes of its calls (``status_url``)."""
    return {
        "voice_url": f"{settings.PUBLIC_URL}/twilio/voice/",
        "sms_url": f"{settings.PUBLIC_URL}/twilio/sms/",
        "status_url": f"{settings.PUBLIC_URL}/twilio/status/",
    }


def bring_here(number: PhoneNumber) -> None:
    """Tell the carrier our webhooks again: our address has changed, or somebody set others.

    Raises ApiError as ``import_number`` does, and nothing has changed.
    """
    carrier = twilio.Account(number.carrier_account.sid, number.carrier_account.auth_token)
    try:
        twilio.point_number_at(carrier, number.carrier_number_sid, **our_webhooks())
    except CarrierError as error:
        raise _as_api_error(error) from error


def _insert(number: PhoneNumber) -> None:
    try:
        with transaction.atomic():
            number.save(force_insert=True)
    except IntegrityError as error:
        if "agents_phonenumber_unique" not in str(error):
            raise
        raise ApiError(
            "number_already_imported",
            f"{number.phone_number} is already imported. Delete it first to import it again.",
            409,
        ) from error


def _as_api_error(error: CarrierError) -> ApiError:
    match error:
        case Refused(code=code) if error.is_wrong_credentials:
            name = (
                "twilio_auth_failed" if code == WRONG_CREDENTIALS else "twilio_invalid_credentials"
            )
            return ApiError(
                name,
                "Twilio does not accept this account SID and auth token.",
                401,
                {"twilio_error": code},
            )
        case Refused(code=code, message=message):
            return ApiError(
                "twilio_error", f"Twilio refused: {message}", 400, {"twilio_error": code}
            )
        case Unavailable():
            return ApiError(
                "twilio_unavailable",
                "Twilio could not be reached. Nothing has changed; try again.",
                503,
            )
    return ApiError("twilio_unavailable", "Twilio gave no clear answer. Nothing has changed.", 502)


def _number_not_found() -> ApiError:
    return not_found_error("number_not_found", "There is no such number in this account.")
