"""System checks of the settings: each bad or missing variable, and what to do about it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

SECRET_KEY_LENGTH = 50
RANDOM_TEXT = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
FERNET_KEY = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)
TRANSCRIBERS = ("flux", "nova-3")
SERVICES = {
    "TWILIO_API_URL": ("https://api.twilio.com", None),
    "DEEPGRAM_API_URL": ("https://api.deepgram.com", "DEEPGRAM_API_KEY"),
    "ANTHROPIC_API_URL": ("https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "CALCOM_API_URL": ("https://api.cal.com", None),  # keys come with each number's calendar
}


@register()
def environment_is_usable(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Everything wrong with the environment, one message for each variable."""
    return [
        Error(text, hint=hint or None, id=f"nixflex.E{number:03}")
        for number, text, hint in problems()
    ]


def stop_if_unusable() -> None:
    """End the process with those same sentences: for where Django itself runs no checks."""
    found = [f"{text} {hint}".strip() for _, text, hint in problems()]
    if found:
        raise SystemExit("Nixflex does not start:\n" + "\n".join(f"  - {line}" for line in found))


def problems() -> Iterator[tuple[int, str, str]]:
    """What is wrong: number, sentence, what to do."""
    for text in settings.ENVIRONMENT_PROBLEMS:
        yield 1, text, ""
    yield from _secrets()
    yield from _addresses()
    yield from _sandbox()
    yield from _ears()
    yield from _limits()


def _secrets() -> Iterator[tuple[int, str, str]]:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # how Django says that it is empty
        key = ""
    if not key:
        yield 10, "SECRET_KEY is not set.", f"Make one: {RANDOM_TEXT}"
    elif not settings.DEBUG and (
        len(key) < SECRET_KEY_LENGTH or len(set(key)) < 10 or key.startswith("django-insecure")
    ):
        yield (
            11,
            f"SECRET_KEY is weak: it needs {SECRET_KEY_LENGTH} random characters with DEBUG off.",
            f"Make one: {RANDOM_TEXT}",
        )
    if not settings.FIELD_ENCRYPTION_KEYS:
        yield (
            12,
            "FIELD_ENCRYPTION_KEYS is not set: carrier credentials could not be stored encrypted.",
            f"Make one, and keep it as safe as the database: {FERNET_KEY}",
        )
    for position, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, 1):
        try:
            Fernet(key)
        except ValueError:
            yield (
                13,
                f"FIELD_ENCRYPTION_KEYS: key {position} is no Fernet key (32 bytes in base64).",
                f"Make one: {FERNET_KEY}",
            )


def _addresses() -> Iterator[tuple[int, str, str]]:
    public = settings.PUBLIC_URL
    example = (
        "Write the address at which the carrier reaches this server: https://calls.example.com"
    )
    if urlsplit(public).scheme != "https" and not settings.DEBUG and not settings.SANDBOX:
        yield 21, f"PUBLIC_URL={public!r} is not https, which DEBUG off asks for.", example
    elif urlsplit(public).path or urlsplit(public).query:
        yield 22, f"PUBLIC_URL={public!r} has a path: it must be a host of its own.", example
    if not _is_url(settings.MEDIA_STREAM_URL, "ws", "wss"):
        yield (
            23,
            f"MEDIA_URL={settings.MEDIA_STREAM_URL!r} is not a WebSocket address.",
            "Leave it empty, or write e.g. wss://calls.example.com/media/twilio/",
        )
    for name in SERVICES:
        if not _is_url(value := getattr(settings, name), "http", "https"):
            yield 24, f"{name}={value!r} is not a web address.", "Leave it empty for the default."
    ports = {name: getattr(settings, name) for name in ("PORT", "MEDIA_PORT", "SANDBOX_PORT")}
    for name, value in ports.items():
        if not 1 <= value <= 65535:
            yield 25, f"{name}={value} is no port.", "Ports go from 1 to 65535."
    if len(set(ports.values())) < len(ports):
        listed = ", ".join(f"{name}={value}" for name, value in ports.items())
        yield 26, f"Two of {listed} are the same.", "Each process listens on a port of its own."
    if not settings.EMBEDDED_VALKEY and not _is_url(settings.REDIS_URL, "redis", "rediss", "unix"):
        yield (
            27,
            "REDIS_URL is not the address of a Redis or Valkey.",
            "Write redis://:PASSWORD@HOST:6379/0, or leave it empty for the embedded one.",
        )


def _sandbox() -> Iterator[tuple[int, str, str]]:
    if not settings.DEBUG and settings.SANDBOX_SAID is None:
        yield (
            30,
            "SANDBOX is not set: with DEBUG off it must be said whether calls are simulated.",
            "Write SANDBOX=0 to call real people, or SANDBOX=1 to simulate everybody.",
        )
    for name, (real, key_name) in SERVICES.items():
        if key_name and getattr(settings, name) == real and not getattr(settings, key_name):
            yield (
                31,
                f"{key_name} is not set, and the sandbox is off.",
                f"Write the key, or SANDBOX=1 to simulate, or {name} for another server.",
            )


def _ears() -> Iterator[tuple[int, str, str]]:
    if settings.TRANSCRIBER not in TRANSCRIBERS:
        yield (
            32,
            f"TRANSCRIBER={settings.TRANSCRIBER!r} is not a transcriber.",
            f"Write one of: {', '.join(TRANSCRIBERS)}.",
        )


def _limits() -> Iterator[tuple[int, str, str]]:
    for name in (
        "RING_TIMEOUT_SECONDS",
        "MAX_CONCURRENT_CALLS",
        "TRANSCRIBER_SOCKETS",
        "VOICE_SOCKETS",
        "API_RATE_LIMIT_PER_MINUTE",
        "RETENTION_DAYS",
        "SMS_PER_NUMBER_PER_SECOND",
        "SMS_PER_ACCOUNT_PER_SECOND",
    ):
        if (value := getattr(settings, name)) < 1:
            yield 40, f"{name}={value} must be at least 1.", ""


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname or parts.path) and parts.port != 0
    except ValueError:
        return False
