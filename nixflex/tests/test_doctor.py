"""`manage.py doctor` against the sandbox's services and other people's mistakes."""

import re
import threading
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone
from websockets.sync.server import serve

from accounts.factories import CarrierAccountFactory
from accounts.models import CarrierAccount
from accounts.tests.loopback import Handler, serving
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.models import PhoneNumber
from agents.numbers import bring_here
from agents.tests.outside import running_sandbox
from calls import presence
from nixflex import tasks
from nixflex.doctor import door, house, rounds, services

pytestmark = pytest.mark.django_db

OUR_NUMBER = "+447446466847"


@pytest.fixture(autouse=True)
def _no_worker_is_waited_for(monkeypatch):
    monkeypatch.setattr(house, "TIMEOUT_S", 0.4)


@pytest.fixture(scope="module")
def _outside():
    with running_sandbox("carrier", "speech", "model") as sandbox:
        yield sandbox


@pytest.fixture
def outside(_outside, settings):
    settings.TWILIO_API_URL = settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = _outside.url
    return _outside


@pytest.fixture
def number(outside):
    """A number that the carrier brings here."""
    account = CarrierAccountFactory.create(sid=outside.sid, auth_token=outside.token)
    number = PhoneNumberFactory.create(
        phone_number=OUR_NUMBER,
        account=account.account,
        carrier_account=account,
        carrier_number_sid=outside.number(OUR_NUMBER)["sid"],
    )
    bring_here(number)
    return number


def problems(found):
    return {one.what: one.problem for one in found if not one.is_well}


# --- our own parts ------------------------------------------------------------------------------


def test_an_unreachable_database_is_named_without_its_password():
    with mock.patch.object(
        house.connection, "cursor", side_effect=OperationalError("password=hunter2")
    ):
        found = house.database()

    at = house.connection.settings_dict
    assert found.problem.startswith(at["HOST"])
    assert found.problem.endswith(" cannot be asked (OperationalError)")
    assert "hunter2" not in repr(found)
    assert "DATABASE_URL" in found.remedy


def test_a_migration_that_is_missing_is_named():
    with mock.patch("nixflex.doctor.house.MigrationExecutor") as executor:
        executor.return_value.migration_plan.return_value = [("calls.0009_transfer", False)]
        found = house.database()

    assert found.problem == "1 migrations are not applied, calls.0009_transfer is the first"
    assert found.remedy == "Run: manage.py migrate"


@pytest.mark.parametrize(("theirs", "skew"), [(99.0, 1.0), (100.5, 0.0), (104.0, 3.0)])
def test_a_clock_is_wrong_by_what_the_time_of_asking_cannot_explain(theirs, skew):
    assert house.skew_s(theirs, 100.0, 101.0) == skew


def test_a_database_whose_clock_is_off_is_told(monkeypatch):
    moments = iter([1_000.0, 1_000.1])
    monkeypatch.setattr(house.time, "time", lambda: next(moments))

    found = house.database()

    assert "its clock is" in found.problem
    assert found.remedy == house.SET_CLOCK


def test_a_valkey_that_is_away_is_named_and_what_needs_it_is_not_asked(settings):
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:1/0"
    with mock.patch.object(door, "public_address", return_value=()):
        found = list(rounds.findings())

    assert problems(found)["Valkey"] == "127.0.0.1:1 cannot be asked (ConnectionError)"
    assert "Workers" not in {one.what for one in found}
    assert "hunter2" not in repr(found)


def test_processes_that_do_not_run_are_named():
    assert problems(house.processes()) == {
        "Workers": "none answers: nothing is dialled, sent or analysed",
        "Media": "no process says that it lives: callers would hear nothing",
    }


def test_a_beat_that_stopped_is_told_from_workers_that_stopped():
    with mock.patch.object(house.app.control, "ping", return_value=[{"worker@a": {"ok": "pong"}}]):
        silent = problems(house.processes())
        tasks.heartbeat()
        beating = problems(house.processes())

    assert "no heartbeat" in silent["Beat"]
    assert "Beat" not in beating


def test_a_media_process_without_room_is_no_media_process():
    presence.announce("full", live=80, has_room=False, draining=False)
    assert "1 running, none takes a call" in problems(house.processes())["Media"]

    presence.announce("idle", live=0, has_room=True, draining=False)
    assert "Media" not in problems(house.processes())


def test_a_folder_that_cannot_be_written_to_is_named(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.RECORDINGS_DIR = tmp_path / "file"

    found = house.disk()

    assert found.problem.startswith(f"{tmp_path / 'file'} cannot be written to")
    assert "RECORDINGS_DIR" in found.remedy


# --- the way in ---------------------------------------------------------------------------------


@contextmanager
def proxy_that_says(pages, webhooks):
    class Proxy(Handler):
        def do_GET(self):
            self.say(*pages)

        def do_POST(self):
            self.body()
            self.say(*webhooks)

    with serving(Proxy) as port:
        yield f"http://127.0.0.1:{port}"


GOOD_PAGE, GOOD_REFUSAL = (200, b'{"status": "ok"}'), (403, b"The signature is not valid.")


def test_an_address_that_leads_here_is_well(settings):
    with (
        proxy_that_says(GOOD_PAGE, GOOD_REFUSAL) as settings.PUBLIC_URL,
        serve(lambda socket: socket.recv(), "127.0.0.1", 0) as media,
    ):
        thread = threading.Thread(target=media.serve_forever)
        thread.start()
        settings.MEDIA_STREAM_URL = f"ws://127.0.0.1:{media.socket.getsockname()[1]}/media/twilio/"

        found = list(door.public_address())

        media.shutdown()
        thread.join()

    assert problems(found) == {}
    assert [one.what for one in found] == ["PUBLIC_URL", "Webhooks", "Audio sockets"]


@pytest.mark.parametrize(
    ("pages", "webhooks", "what", "says"),
    [
        ((400, b"Bad Request"), GOOD_REFUSAL, "PUBLIC_URL", "a host name that is not expected"),
        ((502, b"Bad Gateway"), GOOD_REFUSAL, "PUBLIC_URL", "answers 502"),
        ((200, b"<h1>Welcome to nginx</h1>"), GOOD_REFUSAL, "PUBLIC_URL", "not as `web` does"),
        (GOOD_PAGE, (403, b"Attention required! Cloudflare"), "Webhooks", "answered 403"),
        (GOOD_PAGE, (200, b""), "Webhooks", "answered 200"),
    ],
)
def test_a_proxy_that_leads_elsewhere_is_told_from_us(settings, pages, webhooks, what, says):
    with proxy_that_says(pages, webhooks) as settings.PUBLIC_URL:
        settings.MEDIA_STREAM_URL = settings.PUBLIC_URL.replace("http", "ws")

        found = problems(door.public_address())

    assert says in found[what]
    # A page is no socket, whoever answers.
    assert "answers something else to a WebSocket" in found["Audio sockets"]
    assert set(found) == {what, "Audio sockets"}


def test_an_address_where_nobody_listens_is_told(settings):
    settings.PUBLIC_URL, settings.MEDIA_STREAM_URL = "http://127.0.0.1:1", "ws://127.0.0.1:1/"

    found = problems(door.public_address())

    assert found["PUBLIC_URL"] == "http://127.0.0.1:1 cannot be reached from here (ConnectError)"
    assert "ConnectionRefusedError" in found["Audio sockets"]


def test_this_machines_own_address_is_no_address_for_real_calls(settings):
    settings.SANDBOX = False

    (found,) = door.public_address()

    assert "the carrier cannot reach it" in found.problem


# --- the services -------------------------------------------------------------------------------


def test_the_sandboxs_services_take_the_sandboxs_keys(number):
    found = [*services.speech_and_model(services.agents_models()), *services.carrier()]

    assert problems(found) == {}
    assert [one.what for one in found] == [
        "Deepgram",
        "Claude",
        f"Twilio {number.carrier_account.sid}",
        f"Number {OUR_NUMBER}",
    ]


def test_a_key_that_is_not_taken_is_named_by_its_setting(outside, settings):
    settings.DEEPGRAM_API_KEY = settings.ANTHROPIC_API_KEY = "invalid"

    speech, model = services.speech_and_model(services.agents_models())

    assert speech.problem == model.problem == "the key is not accepted (401)"
    assert "DEEPGRAM_API_KEY" in speech.remedy
    assert "ANTHROPIC_API_KEY" in model.remedy


def test_a_model_that_does_not_exist_is_named(outside, settings):
    AgentFactory.create(llm_model="claude-nobody-9")

    _, model = services.speech_and_model(services.agents_models())

    assert model.problem == "there is no model 'claude-nobody-9'"


def test_services_that_cannot_be_reached_are_named_with_their_address(settings, number):
    for name in ("TWILIO_API_URL", "DEEPGRAM_API_URL", "ANTHROPIC_API_URL"):
        setattr(settings, name, "http://127.0.0.1:1")

    found = problems([*services.speech_and_model(services.agents_models()), *services.carrier()])

    assert found == {
        "Deepgram": "http://127.0.0.1:1 cannot be reached (ConnectError)",
        "Claude": "http://127.0.0.1:1 cannot be reached (APIConnectionError)",
        f"Twilio {number.carrier_account.sid}": "http://127.0.0.1:1 gives no answer "
        "(ConnectionError)",
    }


def test_a_clock_far_from_the_services_is_told(outside, time_machine):
    time_machine.move_to(timezone.now() + timedelta(minutes=10), tick=True)

    speech, model = services.speech_and_model(services.agents_models())

    ahead_s = re.fullmatch(r"its clock is (\d+) s from ours", speech.problem)
    assert ahead_s
    assert abs(int(ahead_s[1]) - 600) <= 2
    assert speech.remedy == model.remedy == house.SET_CLOCK


def test_an_installation_without_numbers_cannot_call():
    (found,) = services.carrier()

    assert found.problem == "no number is imported: nobody can call or be called"


def test_a_wrong_auth_token_is_named_by_its_account_and_not_shown(number):
    CarrierAccount.objects.update(auth_token="hunter2")

    (found,) = services.carrier()

    assert found.what == f"Twilio {number.carrier_account.sid}"
    assert found.problem == "the auth token is not accepted (20003)"
    assert "hunter2" not in repr(found)


def test_a_token_of_another_encryption_key_is_told_from_a_wrong_one(number, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["b3RoZXItdGVzdHMta2V5LW90aGVyLXRlc3RzLWtleSE="]

    (found,) = services.carrier()

    assert "cannot be read with FIELD_ENCRYPTION_KEYS" in found.problem


def test_a_number_that_rings_at_another_address_is_named_until_it_is_brought_here(number, settings):
    settings.PUBLIC_URL = "https://new.example.com"
    before = problems(services.carrier())

    bring_here(number)

    assert before == {
        f"Number {OUR_NUMBER}": "Twilio brings its calls to http://127.0.0.1:8000/twilio/voice/"
    }
    assert problems(services.carrier()) == {}


def test_a_number_that_was_given_back_to_the_carrier_is_named(number):
    PhoneNumber.objects.update(phone_number="+442079460000")

    assert problems(services.carrier()) == {
        "Number +442079460000": "the Twilio account does not hold it any more"
    }


def test_a_suspended_account_is_named(number):
    with mock.patch.object(
        services.twilio, "standing", return_value=services.twilio.Standing("suspended", False)
    ):
        found = problems(services.carrier())

    assert found == {f"Twilio {number.carrier_account.sid}": "the account is suspended"}


# --- the command --------------------------------------------------------------------------------


def test_the_command_ends_with_1_and_says_what_to_do(settings):
    settings.PUBLIC_URL, settings.MEDIA_STREAM_URL = "http://127.0.0.1:1", "ws://127.0.0.1:1/"
    settings.DEEPGRAM_API_URL = settings.ANTHROPIC_API_URL = "http://127.0.0.1:1"
    said = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=said, no_color=True)

    assert ended.value.code == 1
    lines = said.getvalue().splitlines()
    assert lines[0] == "Nixflex at http://127.0.0.1:1; the outside is simulated (SANDBOX=1)."
    assert "ok     Database: answers; every migration is applied" in lines
    at = lines.index("WRONG  Twilio: no number is imported: nobody can call or be called.")
    assert (
        lines[at + 1] == "       Import one: dashboard, Phone numbers, or POST /v1/phone-numbers."
    )
    assert lines[-1] == "7 to put right; then run this again."
