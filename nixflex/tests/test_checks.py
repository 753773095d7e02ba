import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from conftest import PATIENCE_S
from nixflex import checks
from nixflex.environment import Environment

PROJECT = Path(__file__).resolve().parent.parent.parent
# Named in the environment only by tests and by the supervisor.
INTERNAL = {"DJANGO_SETTINGS_MODULE", "NIXFLEX_ENV_FILE", "NIXFLEX_TEST_DATA_DIR", "NIXFLEX_ROLE"}


def found():
    return {number: text for number, text, _ in checks.problems()}


@pytest.fixture
def live(settings):
    """A server that calls real people, everything right."""
    settings.DEBUG = False
    settings.SANDBOX = settings.SANDBOX_SAID = False
    settings.PUBLIC_URL = "https://calls.example.com"
    settings.MEDIA_STREAM_URL = "wss://calls.example.com/media/twilio/"
    settings.TWILIO_API_URL = "https://api.twilio.com"
    settings.DEEPGRAM_API_URL = "https://api.deepgram.com"
    settings.ANTHROPIC_API_URL = "https://api.anthropic.com"
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "a-key"
    return settings


def test_a_good_live_environment_has_no_problem(live):
    assert found() == {}


def test_the_tests_environment_has_no_problem():
    assert found() == {}


@pytest.mark.parametrize(
    ("name", "value", "number", "says"),
    [
        ("SECRET_KEY", "", 10, "SECRET_KEY is not set"),
        ("SECRET_KEY", "short", 11, "SECRET_KEY is weak"),
        ("SECRET_KEY", "a" * 60, 11, "SECRET_KEY is weak"),
        ("FIELD_ENCRYPTION_KEYS", [], 12, "FIELD_ENCRYPTION_KEYS is not set"),
        ("FIELD_ENCRYPTION_KEYS", ["nonsense"], 13, "key 1 is no Fernet key"),
        ("PUBLIC_URL", "http://calls.example.com", 21, "is not https"),
        ("PUBLIC_URL", "https://example.com/calls", 22, "has a path"),
        ("MEDIA_STREAM_URL", "https://calls.example.com", 23, "is not a WebSocket address"),
        ("TWILIO_API_URL", "api.twilio.com", 24, "TWILIO_API_URL='api.twilio.com'"),
        ("PORT", 70000, 25, "PORT=70000 is no port"),
        ("MEDIA_PORT", 8000, 26, "PORT=8000, MEDIA_PORT=8000"),
        ("SANDBOX_SAID", None, 30, "SANDBOX is not set"),
        ("DEEPGRAM_API_KEY", "", 31, "DEEPGRAM_API_KEY is not set"),
        ("ANTHROPIC_API_KEY", "", 31, "ANTHROPIC_API_KEY is not set"),
        ("TRANSCRIBER", "whisper", 32, "TRANSCRIBER='whisper' is not a transcriber"),
        ("MAX_CONCURRENT_CALLS", 0, 40, "MAX_CONCURRENT_CALLS=0"),
    ],
)
def test_each_mistake_is_named_and_nothing_else_is(live, name, value, number, says):
    setattr(live, name, value)

    problems = found()

    assert list(problems) == [number]
    assert says in problems[number]


def test_a_key_for_a_replaced_service_is_not_asked_for(live):
    live.DEEPGRAM_API_URL = "http://127.0.0.1:9000"
    live.DEEPGRAM_API_KEY = ""

    assert found() == {}


def test_a_weak_secret_key_is_allowed_in_development(live):
    live.DEBUG = True
    live.SECRET_KEY = "short"

    assert found() == {}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "", 8000),
        ("int", "9000", 9000),
        ("bool", "", 8000),
        ("bool", "1", True),
        ("bool", "Off", False),
    ],
)
def test_good_values_are_read(monkeypatch, kind, text, value):
    monkeypatch.setenv("THING", text)
    env = Environment()

    assert getattr(env, kind)("THING", default=8000) == value
    assert env.problems == []


@pytest.mark.parametrize(
    ("kind", "text"), [("int", "many"), ("bool", "maybe"), ("address", "example.com")]
)
def test_a_bad_value_is_noted_and_the_default_used(monkeypatch, kind, text):
    monkeypatch.setenv("THING", text)
    env = Environment()

    assert getattr(env, kind)("THING", default="default") == "default"
    assert len(env.problems) == 1
    assert f"THING='{text}'" in env.problems[0]


@pytest.mark.parametrize("url", ["mysql://me:hunter2@db/x", "nonsense", "sqlite:///x"])
def test_a_bad_database_address_is_noted_without_its_password(url):
    env = Environment()

    env.database(url)

    assert len(env.problems) == 1
    assert "DATABASE_URL" in env.problems[0]
    assert "hunter2" not in env.problems[0]


def test_a_bad_environment_ends_the_command_in_sentences_not_in_a_traceback():
    environment = {
        "PATH": os.environ["PATH"],
        "NIXFLEX_ENV_FILE": os.devnull,
        "PORT": "abc",
        "PUBLIC_URL": "http://[x",
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 1
    assert "PORT='abc' is not a whole number" in done.stderr
    assert "PUBLIC_URL='http://[x' is not a web address" in done.stderr
    assert "SECRET_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("debug", "url", "seconds"),
    [("0", "https://a.example", 2_592_000), ("1", "https://a.example", 0), ("0", "http://a.b", 0)],
)
def test_a_browser_is_held_to_https_where_there_is_some(debug: str, url: str, seconds: int):
    environment = {
        "PATH": os.environ["PATH"],
        "NIXFLEX_ENV_FILE": os.devnull,
        "DEBUG": debug,
        "PUBLIC_URL": url,
    }
    ask = "from nixflex import settings; print(settings.SECURE_HSTS_SECONDS)"

    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.stdout == f"{seconds}\n"


def test_the_example_lists_exactly_the_variables_that_settings_read():
    source = Path(django_settings.BASE_DIR / "nixflex/settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source)) - INTERNAL
    example = (PROJECT / ".env.example").read_text()
    listed = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))

    assert len(read) > 20
    assert listed == read


def test_the_example_explains_each_variable():
    lines = (PROJECT / ".env.example").read_text().splitlines()
    explained = False
    for line in lines:
        if line.startswith("#") and not line.startswith("# ---"):
            explained = True
        elif not line or line.startswith("# ---"):
            explained = False
        else:
            assert explained, f"no comment above {line}"


def test_a_good_server_gets_no_warning_that_nobody_can_act_upon():
    environment = {
        "PATH": os.environ["PATH"],
        "NIXFLEX_ENV_FILE": os.devnull,
        "SANDBOX": "0",
        "SECRET_KEY": "vR4-" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP",
        "FIELD_ENCRYPTION_KEYS": "dGhlLXRlc3RzLWtleS1pcy1rbm93bi10by1hbGwtISE=",
        "PUBLIC_URL": "https://calls.example.com",
        "DATABASE_URL": "postgres://nixflex:secret@db.example.com/nixflex",
        "REDIS_URL": "redis://valkey.example.com:6379/0",
        "DEEPGRAM_API_KEY": "a-key",
        "ANTHROPIC_API_KEY": "a-key",
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level=WARNING"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.stderr == ""
    assert done.stdout == "System check identified no issues (3 silenced).\n"
