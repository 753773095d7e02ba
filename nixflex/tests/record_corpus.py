"""``python -m nixflex.tests.record_corpus [NAME …]``: record the corpus of ``media/tests/corpus``.

Starts an installation of its own, has it call the sandbox's people (and one of them call us), and
writes each call's flight log. A change of the machine's rules makes ``media/tests/test_corpus.py``
fail: look at the differences (``manage.py replay_call FILE``), and if they are meant, record again.
``--decide-again`` keeps the recorded events and notes what is decided today; good enough for a
change that does not lead a call elsewhere, and done in a second.
"""

import argparse
import gzip
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agents.tests.outside import PROJECT, official_sdk

CORPUS = PROJECT / "media/tests/corpus"
OUR_NUMBERS = [f"+120255501{digits:02}" for digits in range(10)]
COLLEAGUE, BUSY = "+12025550129", "+12025550114"
ENDS_WITHIN_S = 150.0
AT_ONCE = 2  # as many as two cores hear and speak for

PROMPT = (
    "You are Mia of Bright Smile Dental. We open at nine and close at five. There is parking "
    "behind the house. There is a lift. Say goodbye when all is said. End the call with "
    "[END_CALL] after your goodbye."
)

TO_A_PERSON = "If the caller wants a person, write"


@dataclass(frozen=True)
class Scene:
    """One call: who is called, with what settings, and what is done to it meanwhile."""

    person: str
    agent: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    say: tuple[str, ...] = ()
    faults: dict[str, Any] = field(default_factory=dict)
    calls_us: bool = False
    calendar: bool = False
    meanwhile: "Callable[[Stage], None] | None" = None


@dataclass
class Stage:
    """A running call of a scene, for what is done to it."""

    house: Any
    records: Any
    call_id: str
    carrier_sid: str

    def wait(self, sql: str, *, least: int = 1) -> None:
        """Wait until the call ``c`` has so many rows of that kind."""
        deadline = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < deadline:
            if len(self.records.rows(f"{sql} AND c.call_id = %s", self.call_id)) >= least:
                return
            time.sleep(0.1)
        raise AssertionError(f"never came: {sql}")

    def wait_for_turns(self, role: str, least: int = 1) -> None:
        self.wait(
            "SELECT 1 FROM calls_turn t JOIN calls_call c ON c.id = t.call_id"
            f" WHERE t.role = '{role}'",
            least=least,
        )

    def press(self, digits: str) -> None:
        url = f"{self.house.sandbox.url}/_sandbox/calls/{self.carrier_sid}/digits"
        httpx.post(url, json={"digits": digits}).raise_for_status()

    def hang_up(self) -> None:
        httpx.delete(f"{self.house.sandbox.url}/_sandbox/calls/{self.carrier_sid}")


def press_keys(stage: Stage) -> None:
    stage.wait_for_turns("agent")
    stage.press("4711#")
    stage.wait_for_turns("agent", 2)
    stage.hang_up()


def kill_the_process(stage: Stage) -> None:
    # Its flight log is written every 15 s: what is killed before leaves none.
    stage.wait(
        "SELECT 1 FROM calls_flightlog f JOIN calls_call c ON c.id = f.call_id"
        " WHERE f.generation = 1"
    )
    os.kill(stage.records.pid_of(stage.call_id, 1), signal.SIGKILL)
    stage.records.wait_for_apology(stage.call_id, 1)
    stage.wait_for_turns("caller", 2)
    stage.hang_up()


def hang_up_after_two_answers(stage: Stage) -> None:
    stage.wait_for_turns("agent", 3)
    stage.hang_up()


def hang_up_when_bridged(stage: Stage) -> None:
    stage.wait(
        "SELECT 1 FROM calls_transfer t JOIN calls_call c ON c.id = t.call_id"
        " WHERE t.status = 'bridged'"
    )
    stage.hang_up()


QUESTIONS = (
    "When do you open on Monday?",
    "And when do you close?",
    "Do you have parking?",
    "Is there a lift?",
    "That is all. Goodbye.",
)
SCENES = {
    "plain-talk": Scene("+12025550110", say=("When do you open on Monday?", "Thank you. Goodbye.")),
    "inbound": Scene(
        "+12025550140",
        agent={"welcome_message": "Bright Smile Dental, Mia speaking. How can I help you?"},
        say=("Do you have parking?", "Thank you. Goodbye."),
        calls_us=True,
    ),
    "interruption": Scene("+12025550111"),
    "backchannels": Scene("+12025550121"),
    "voicemail-hung-up": Scene("+12025550112"),
    "voicemail-message": Scene(
        "+12025550112",
        call={"voicemail_message": "This is Mia of Bright Smile Dental. Please call us back."},
    ),
    "screening": Scene("+12025550122"),
    "phone-menu": Scene(
        "+12025550116",
        agent={"system_prompt": f"{PROMPT} Press through menus with [PRESS: 1]."},
        call={"prompt": "Confirm our appointments for tomorrow."},
    ),
    "transfer": Scene(
        "+12025550145",
        agent={
            "system_prompt": f"{PROMPT} {TO_A_PERSON} [TRANSFER:{COLLEAGUE}].",
            "amd_enabled": False,
        },
        say=("Can I speak to a real person, please?",),
        meanwhile=hang_up_when_bridged,
    ),
    "transfer-in-vain": Scene(
        "+12025550146",
        agent={
            "system_prompt": f"{PROMPT} {TO_A_PERSON} [TRANSFER:{BUSY}].",
            "amd_enabled": False,
        },
        say=("Can I speak to a real person, please?", "No, thank you. Goodbye."),
    ),
    "keypad": Scene(
        "+12025550141",
        agent={"dtmf_enabled": True, "amd_enabled": False},
        say=("One moment, I will type it in.",),
        meanwhile=press_keys,
    ),
    "booking-read-back": Scene(
        "+12025550142",
        agent={"require_booking_confirmation": True},
        say=(
            "I would like to book an appointment on Tuesday at ten in the morning.",
            "My name is Sam Carter.",
            "My email is sam at example dot com.",
            "Yes, please.",
            "No, that is all. Goodbye.",
        ),
        calendar=True,
    ),
    "silence": Scene("+12025550119", agent={"silence_hangup_seconds": 8}),
    "refusal": Scene("+12025550118"),
    "slow-speaker": Scene("+12025550120"),
    "hangs-up-at-once": Scene("+12025550117"),
    "model-failure": Scene(
        "+12025550143",
        agent={"fallback_message": "I am sorry, could you say that again?"},
        say=QUESTIONS,
        faults={"model": {"kind": "error_mid_stream", "count": 3}},
        meanwhile=hang_up_after_two_answers,
    ),
    "process-killed": Scene(
        "+12025550144", agent={"amd_enabled": False}, say=QUESTIONS, meanwhile=kill_the_process
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nixflex.tests.record_corpus")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENES))
    parser.add_argument("--decide-again", action="store_true", help="keep the recorded events")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENES):
        parser.error(f"no such scene: {', '.join(sorted(unknown))}")
    names = options.names or list(SCENES)
    if options.decide_again:
        _decide_again(names)
        return
    with tempfile.TemporaryDirectory() as folder:
        record(names, Path(folder))


def _decide_again(names: Iterable[str]) -> None:
    from media.replay import decided_again, read

    for name in names:
        file = CORPUS / f"{name}.jsonl.gz"
        flights = read(gzip.decompress(file.read_bytes()).splitlines())
        write(file, [line for flight in flights for line in decided_again(flight)])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write(file: Path, lines: Iterable[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))


def record(names: list[str], folder: Path) -> None:
    """Call everybody, those first who can be called side by side."""
    from nixflex.tests.test_lost_process import Records, wait_for_media_processes
    from nixflex.tests.test_whole_house import running_house

    (folder / "house").mkdir()
    with running_house(folder / "house/data", MEDIA_PROCESSES="2") as house:
        wait_for_media_processes(house, 2)
        key = house.manage("create_api_key", "--name", "corpus").strip().splitlines()[-1]
        client = official_sdk().Nixflex(api_key=key, base_url=house.url)
        free_numbers = list(OUR_NUMBERS)
        alone = [name for name in names if SCENES[name].faults or SCENES[name].meanwhile]
        side_by_side = [name for name in names if name not in alone]

        def play(name: str) -> None:
            began = time.monotonic()
            ours = free_numbers.pop()
            try:
                lines = _play(house, client, key, Records(house), SCENES[name], ours)
            except Exception as error:  # the other scenes are worth having
                _say(f"{name}: FAILED: {error!r}")
                return
            finally:
                client.phone_numbers.delete(ours)
                free_numbers.insert(0, ours)
            write(CORPUS / f"{name}.jsonl.gz", lines)
            _say(f"{name}: {len(lines)} lines, {time.monotonic() - began:.0f} s")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(play, side_by_side))
        for name in alone:
            wait_for_media_processes(house, 2)
            play(name)


def _play(house: Any, client: Any, key: str, records: Any, scene: Scene, ours: str) -> list[bytes]:
    sandbox = house.sandbox.url
    if scene.say:
        changes = {"say": list(scene.say), "rings_s": 0.5}
        httpx.put(f"{sandbox}/_sandbox/people/{scene.person}", json=changes).raise_for_status()
    agent = client.agents.create(
        name="Mia", **{"system_prompt": PROMPT, "language": "en", **scene.agent}
    )
    client.phone_numbers.import_(
        ours,
        agent["agent_id"],
        twilio_account_sid=house.sandbox.sid,
        twilio_auth_token=house.sandbox.token,
    )
    if scene.calendar:
        _connect_calendar(house, key, ours)
    httpx.put(f"{sandbox}/_sandbox/faults", json=scene.faults).raise_for_status()
    try:
        if scene.calls_us:
            body = {"from": scene.person, "to": ours}
            sid = (
                httpx.post(f"{sandbox}/_sandbox/calls", json=body).raise_for_status().json()["sid"]
            )
            call_id = _wait_for(records, "carrier_sid", sid, "call_id")
        else:
            placed = client.calls.create(
                agent_id=agent["agent_id"],
                to_number=scene.person,
                from_number=ours,
                **{"prompt": "Remind the person of the check-up tomorrow.", **scene.call},
            )
            call_id = placed["call_id"]
            sid = _wait_for(records, "call_id", call_id, "carrier_sid")
        if scene.meanwhile is not None:
            scene.meanwhile(Stage(house, records, call_id, sid))
        return _lines(records, call_id)
    finally:
        httpx.delete(f"{sandbox}/_sandbox/faults")


def _connect_calendar(house: Any, key: str, ours: str) -> None:
    httpx.put(
        f"{house.url}/v1/integrations/calcom/number/{ours}",
        headers={"Authorization": f"Bearer {key}"},
        json={
            "api_key": "cal_live_1",
            "username": "brightsmile",
            "event_slug": "30min",
            "default_timezone": "Europe/London",
        },
    ).raise_for_status()


def _wait_for(records: Any, column: str, value: str, wanted: str) -> str:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while time.monotonic() < deadline:
        rows = records.rows(f"SELECT {wanted} FROM calls_call WHERE {column} = %s", value)
        if rows and rows[0][0]:
            return str(rows[0][0])
        time.sleep(0.1)
    raise AssertionError(f"no call with {column} {value}")


def _lines(records: Any, call_id: str) -> list[bytes]:
    """The call's flight log, once its last socket is closed on record."""
    from media.replay import unpacked

    deadline = time.monotonic() + ENDS_WITHIN_S
    while time.monotonic() < deadline:
        closed = records.rows(
            "SELECT c.ended_reason FROM calls_call c JOIN calls_callevent e ON e.call_id = c.id"
            " WHERE c.call_id = %s AND c.ended_reason <> '' AND c.media_generation > 0"
            " AND e.kind = 'media closed' AND e.key = c.media_generation || ':closed'",
            call_id,
        )
        if closed:
            pieces = records.rows(
                "SELECT f.data FROM calls_flightlog f JOIN calls_call c ON c.id = f.call_id"
                " WHERE c.call_id = %s ORDER BY f.generation, f.number",
                call_id,
            )
            return list(unpacked(bytes(data) for [data] in pieces))
        time.sleep(0.2)
    raise AssertionError(f"the call did not end: {records.call(call_id)}")


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nixflex.settings_test")
    django.setup()
    main()
