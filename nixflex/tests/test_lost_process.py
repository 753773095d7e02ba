"""A live call whose media process is killed, with real processes and real audio."""

import json
import os
import signal
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from calls import presence
from conftest import PATIENCE_S
from nixflex.embedded.places import database_url, redis_url
from nixflex.tests.test_whole_house import OUR_NUMBER, WITHIN_S, House, running_house

SOMEBODY = "+447386172392"
# More than any test lets them say: no call ends by itself before a slow machine has come to the
# point.
LINES = 5 * [
    "When do you open on Monday?",
    "And when do you close?",
    "Do you have parking?",
    "Is there a lift?",
    "Is it far from the station?",
    "Can I bring my dog?",
    "Do you take cards?",
    "Who will see me?",
]

pytestmark = pytest.mark.timeout(900)


class Journal:
    """What the carrier saw of one call, read as it happens."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seen = int(house.ask_sandbox("GET", "journal")["last"])
        self.call_sid = ""

    @classmethod
    def of(cls, house: House, call_sid: str) -> "Journal":
        """All that the carrier saw of the call, from its beginning."""
        journal = cls(house)
        journal.call_sid, journal._seen = call_sid, 0
        return journal

    def wait_for(
        self, kind: str, which: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            query: dict[str, Any] = {"after": self._seen, "wait": 5, "kind": kind}
            if self.call_sid:
                query["call_sid"] = self.call_sid
            for event in self._house.ask_sandbox("GET", "journal", params=query)["events"]:
                self._seen = event["n"]
                if which(event):
                    return event
        raise AssertionError(f"the carrier never saw {kind}")


class Records:
    """The house's own rows, read from outside."""

    def __init__(self, house: House) -> None:
        data = house.environment["NIXFLEX_DATA_DIR"]
        self._connection = psycopg.connect(database_url(data), autocommit=True)

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, args).fetchall()

    def pid_of(self, call_id: str, generation: int) -> int:
        """Return the process whose socket is the call's n-th, once there is one."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            found = self.rows(
                "SELECT e.data->>'process' FROM calls_callevent e JOIN calls_call c"
                " ON c.id = e.call_id WHERE c.call_id = %s AND e.kind = 'media opened'"
                " AND (e.data->>'generation')::int = %s",
                call_id,
                generation,
            )
            if found:
                return int(found[0][0].rpartition(":")[2])
            time.sleep(0.05)
        raise AssertionError(f"no {generation}. socket")

    def sockets_of(self, call_id: str) -> int:
        [[sockets]] = self.rows(
            "SELECT media_generation FROM calls_call WHERE call_id = %s", call_id
        )
        return int(sockets)

    def events_of(self, call_id: str) -> list[str]:
        rows = self.rows(
            "SELECT e.kind FROM calls_callevent e JOIN calls_call c ON c.id = e.call_id"
            " WHERE c.call_id = %s ORDER BY e.id",
            call_id,
        )
        return [str(kind) for [kind] in rows]

    def wait_for_caller(self, call_id: str) -> None:
        """Wait until something that the caller said is on record."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            if self.rows(
                "SELECT 1 FROM calls_turn t JOIN calls_call c ON c.id = t.call_id"
                " WHERE c.call_id = %s AND t.role = 'caller'",
                call_id,
            ):
                return
            time.sleep(0.05)
        raise AssertionError("the caller said nothing")

    def wait_for_apology(self, call_id: str, count: int) -> None:
        """Wait until the caller has heard, ``count`` times in all, that they were lost."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            found = self.rows(
                "SELECT 1 FROM calls_turn t JOIN calls_call c ON c.id = t.call_id"
                " WHERE c.call_id = %s AND t.role = 'agent'"
                " AND t.text || t.full_text LIKE '%%I lost you%%'",  # perhaps interrupted in it
                call_id,
            )
            if len(found) >= count:
                return
            time.sleep(0.1)
        raise AssertionError(f"the caller heard no {count}. apology")

    def turns_of_agent(self, call_id: str) -> int:
        [[turns]] = self.rows(
            "SELECT count(*) FROM calls_turn t JOIN calls_call c ON c.id = t.call_id"
            " WHERE c.call_id = %s AND t.role = 'agent'",
            call_id,
        )
        return int(turns)

    def ended(self, call_id: str, *, closed: bool = True) -> dict[str, Any]:
        """Return the call once it is over and its recording known, and ``closed`` unless nobody
        was left to close it.
        """
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            call = self.call(call_id)
            is_closed = call["recording_duration_s"] is not None or not closed
            if call["ended_reason"] and call["recording_file"] and is_closed:
                return call
            time.sleep(0.1)
        raise AssertionError(f"the call did not end: {call}")

    def call(self, call_id: str) -> dict[str, Any]:
        names = "status", "ended_reason", "recording_file", "recording_duration_s", "duration_ms"
        [row] = self.rows(
            f"SELECT {', '.join(names)} FROM calls_call WHERE call_id = %s",
            call_id,
        )
        return dict(zip(names, row, strict=True))


def prepare(house: House, *people: str) -> tuple[Any, str]:
    """Return a client and the agent that calls these people (``SOMEBODY``)."""
    client = house.client()
    agent = client.agents.create(
        name="Mia",
        system_prompt="You are Mia of Bright Smile Dental. We open at nine and close at five. "
        "There is parking behind the house. There is a lift.",
        language="en",
        amd_enabled=False,
    )
    client.phone_numbers.import_(
        OUR_NUMBER,
        agent["agent_id"],
        twilio_account_sid=house.sandbox.sid,
        twilio_auth_token=house.sandbox.token,
    )
    # Who is patient does not speak up, nor hang up, while nobody hears them.
    asks = {"say": LINES, "rings_s": 0.3, "patience_s": PATIENCE_S}
    for person in people or (SOMEBODY,):
        house.ask_sandbox("PUT", f"people/{person}", json=asks)
    return client, agent["agent_id"]


def place(client: Any, agent_id: str, person: str = SOMEBODY, why: str = "") -> str:
    """Call somebody. Two calls to one person need two reasons: what is asked for twice is one."""
    placed = client.calls.create(
        agent_id=agent_id,
        to_number=person,
        prompt=f"Ask if all is well. {why}".strip(),
        from_number=OUR_NUMBER,
    )
    return str(placed["call_id"])


def lose_sockets_by(house: House, policy: str) -> None:
    """What the carrier does when a socket dies without a goodbye."""
    house.ask_sandbox("PUT", "faults", json={"socket_loss": policy})


def wait_for_media_processes(house: House, count: int) -> None:
    """``make run`` waits for the media port itself; the web process may be ready before."""
    valkey = redis.Redis.from_url(redis_url(house.environment["NIXFLEX_DATA_DIR"]))
    deadline = time.monotonic() + WITHIN_S

    def living() -> int:
        said = [json.loads(text) for text in valkey.hvals(presence.KEY)]
        now = time.time()
        return sum(now - one["at"] <= presence.FRESH_S and not one["draining"] for one in said)

    # One that was killed counts until its news is stale.
    while living() < count:
        assert time.monotonic() < deadline, "the media processes did not come up"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house") / "data"
    with running_house(data, MEDIA_PROCESSES="2") as house:
        yield house


@pytest.fixture(scope="module")
def agent(house: House) -> tuple[Any, str]:
    return prepare(house)


@dataclass(frozen=True)
class Lost:
    """A call in whose midst the media process was killed with SIGKILL."""

    records: Records
    journal: Journal
    call_id: str
    pid: int

    def is_hung_up(self, house: House) -> dict[str, Any]:
        """Let the person hang up; return the call as it ended."""
        house.ask_sandbox("DELETE", f"calls/{self.journal.call_sid}")
        return self.records.ended(self.call_id)


def lose_a_process(house: House, agent: tuple[Any, str], policy: str) -> Lost:
    client, agent_id = agent
    wait_for_media_processes(house, 2)
    lose_sockets_by(house, policy)
    records, journal = Records(house), Journal(house)
    call_id = place(client, agent_id, why=policy)
    pid = records.pid_of(call_id, 1)
    journal.call_sid = journal.wait_for("stream_started")["call_sid"]
    records.wait_for_caller(call_id)
    os.kill(pid, signal.SIGKILL)
    return Lost(records, journal, call_id, pid)


def test_a_call_goes_on_in_another_process_when_its_own_is_killed(
    house: House, agent: tuple[Any, str]
):
    lost = lose_a_process(house, agent, "next_verb")

    lost.journal.wait_for("stream_started")
    # The carrier asked at once; nobody waited for the lease to end, which is 8 s.
    assert "audio lost" not in lost.records.events_of(lost.call_id)
    assert lost.records.pid_of(lost.call_id, 2) != lost.pid
    lost.records.wait_for_apology(lost.call_id, 1)
    call = lost.is_hung_up(house)
    assert (call["status"], call["ended_reason"]) == ("completed", "callee_hangup")
    turns = lost.records.rows(
        "SELECT t.started_ms FROM calls_turn t JOIN calls_call c ON c.id = t.call_id"
        " WHERE c.call_id = %s ORDER BY t.sequence",
        lost.call_id,
    )
    assert turns == sorted(turns)
    assert_one_recording(house, lost, call)


def test_a_carrier_that_ends_a_call_with_its_socket_leaves_it_ended_with_its_recording(
    house: House, agent: tuple[Any, str]
):
    lost = lose_a_process(house, agent, "end_call")

    assert lost.journal.wait_for("call_ended")["status"] == "completed"
    call = lost.records.ended(lost.call_id, closed=False)
    assert (call["status"], call["ended_reason"]) == ("completed", "callee_hangup")
    assert lost.records.sockets_of(lost.call_id) == 1
    assert recordings_of(house, lost.call_id) == [call["recording_file"]]


def test_a_call_whose_carrier_noticed_nothing_is_asked_for_again(
    house: House, agent: tuple[Any, str]
):
    lost = lose_a_process(house, agent, "half_open")

    lost.journal.wait_for("stream_started")
    # The lease of 8 s ended, and two sweeps found it so.
    assert "audio lost" in lost.records.events_of(lost.call_id)
    assert lost.records.pid_of(lost.call_id, 2) != lost.pid
    lost.records.wait_for_apology(lost.call_id, 1)
    call = lost.is_hung_up(house)
    assert (call["status"], call["ended_reason"]) == ("completed", "callee_hangup")
    assert_one_recording(house, lost, call)


def recordings_of(house: House, call_id: str) -> list[str]:
    folder = Path(house.environment["NIXFLEX_DATA_DIR"]) / "recordings"
    return [path.name for path in folder.glob(f"{call_id}*")]


def assert_one_recording(house: House, lost: Lost, call: dict[str, Any]) -> None:
    assert recordings_of(house, lost.call_id) == [call["recording_file"]]
    folder = Path(house.environment["NIXFLEX_DATA_DIR"]) / "recordings"
    with wave.open(str(folder / call["recording_file"])) as recording:
        seconds = recording.getnframes() / 8000
    assert abs(seconds - call["recording_duration_s"]) < 1.0
    # From the first socket to the call's end, with the gap between the two sockets.
    [[lasted]] = lost.records.rows(
        "SELECT extract(epoch FROM c.ended_at - min(e.at))::float FROM calls_call c"
        " JOIN calls_callevent e ON e.call_id = c.id AND e.kind = 'media opened'"
        " WHERE c.call_id = %s GROUP BY c.id",
        lost.call_id,
    )
    assert abs(seconds - lasted) < 4.0
