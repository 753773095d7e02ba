"""Calls of the sandbox's people, each with a fault of its own, side by side on one installation."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import httpx
import psycopg

from benchmarks.faults.kinds import (
    AGAIN,
    FALLBACK,
    FIVE,
    GOODBYE,
    NINE,
    OPENING,
    PARKING,
    PROMPT,
    Kind,
)
from benchmarks.house import SID, TOKEN, House
from nixflex.embedded.places import database_url

METRICS_TOKEN = "only-for-faults"
SETTINGS = {
    "METRICS_TOKEN": METRICS_TOKEN,
}
OUR_NUMBERS = tuple(f"+1202555010{n}" for n in range(10))  # as many calls side by side
PERSON = "+120255501{:02d}"
FIRST_PERSON = 40
VOICES = """andromeda arcas aries asteria athena aurora callista cora cordelia delia draco electra
    harmonia helena hera hermes hyperion iris janus juno""".split()  # noqa: SIM905
ENDS_WITHIN_S = 120.0
LAST_WORDS_WITHIN_S, NO_MORE_S = 15.0, 3.0
POLL_S = 0.25
SILENCE_S = 45  # a slow machine is not a silent caller
RECORDED_WITHIN_S = 30.0
GOES_ON = r"park|house"


@dataclass
class Outcome:
    """What became of one call."""

    kind: Kind
    heard: str = ""
    silence_s: float = 0.0
    heard_later: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ended: bool = False
    asked_again: bool = True
    took_s: float = 0.0
    error: str = ""

    @property
    def went_on(self) -> bool:
        return bool(re.search(GOES_ON, self.heard_later.lower()))

    def complaints(self) -> list[str]:
        """What did not come out as it should."""
        if self.error:
            return [self.error]
        kind, said, wrong = self.kind, self.heard.lower().replace("-", ""), []
        if not re.search(".*".join(kind.hears), said, re.DOTALL):
            wrong.append(f"heard {self.heard!r}")
        wrong += [f"{one} twice" for one in (NINE, FIVE, AGAIN) if len(re.findall(one, said)) > 1]
        left = list(self.events)
        for name, data in kind.events:
            found = [one for one in left if one[0] == name and data.items() <= one[1].items()]
            if found:
                left.remove(found[0])
            else:
                wrong.append(f"no event {name} {data}")
        if kind.goes_on and self.asked_again and not self.went_on:
            wrong.append(f"did not go on: {self.heard_later!r}")
        if not kind.goes_on and not self.ended:
            wrong.append("did not end")
        return wrong


def play(
    house: House, kinds: Sequence[Kind], *, at_once: int, asks_again: bool = True
) -> list[Outcome]:
    """Place a call for each of ``kinds``; return what was heard, in their order. With
    ``asks_again`` the person has a second question, and it counts whether that is answered.
    """
    key = house.manage("create_api_key", "--name", "faults")
    api = httpx.Client(
        base_url=f"{house.url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    stage = _Stage(house, api, [PARKING, GOODBYE] if asks_again else [GOODBYE])
    _inject(house, kinds)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(stage.play, range(len(kinds)), kinds))
    finally:
        httpx.delete(f"{house.sandbox}/_sandbox/faults", timeout=10)


def failures(house: House) -> Counter[tuple[str, str]]:
    """How often each part has failed in which way, by the media process's own count."""
    text = httpx.get(
        f"http://127.0.0.1:{house.port + 1}/metrics",
        headers={"Authorization": f"Bearer {METRICS_TOKEN}"},
        timeout=30,
    ).text
    rows = re.findall(
        r'^nixflex_media_provider_errors_total\{error="([^"]+)",part="([^"]+)"\} (\S+)$',
        text,
        re.MULTILINE,
    )
    return Counter({(part, error): int(float(count)) for error, part, count in rows})


def uncounted(kinds: Sequence[Kind], counted: Counter[tuple[str, str]]) -> list[str]:
    """The failures of these calls that the metric does not tell of."""
    expected = Counter(label for kind in kinds for label in kind.counted)
    return [f"{part}, {error}" for part, error in expected - counted]


def _keyterm(n: int) -> str:
    return f"Fault{n:02d}End"


def _voice(n: int) -> str:
    return f"aura-2-{VOICES[n]}-en"


def _inject(house: House, kinds: Sequence[Kind]) -> None:
    """Each fault for its own call: that has a key term, a voice and a prompt like no other."""
    faults: dict[str, list[dict[str, Any]]] = {}
    for n, kind in enumerate(kinds):
        marks = {"transcriber": _keyterm(n), "model": _keyterm(n)}
        for part, wanted in kind.faults.items():
            for fault in wanted:
                only = fault.get("only", [])
                only = [only] if isinstance(only, str) else only
                mark = marks.get(part, _voice(n))
                faults.setdefault(part, []).append(fault | {"only": [mark, *only]})
    answer = httpx.put(f"{house.sandbox}/_sandbox/faults", json=faults, timeout=10)
    if answer.is_error:
        raise ValueError(answer.json()["error"])


class _Stage:
    """Where calls are played: numbers of ours, and who listens in."""

    def __init__(self, house: House, api: httpx.Client, then: list[str]) -> None:
        self._house, self._api, self._then = house, api, then
        self._sandbox = httpx.Client(base_url=f"{house.sandbox}/_sandbox", timeout=60)
        self._numbers: SimpleQueue[str] = SimpleQueue()
        self._imported: set[str] = set()
        for number in OUR_NUMBERS:
            self._numbers.put(number)

    def play(self, n: int, kind: Kind) -> Outcome:
        outcome = Outcome(kind, asked_again=PARKING in self._then)
        began = time.monotonic()
        ours = self._numbers.get()
        try:
            self._prepare(n, kind, ours)
            self._follow(outcome, self._call_us(n, ours))
        except Exception as error:  # the other calls are worth having
            outcome.error = f"{type(error).__name__}: {error}"
        finally:
            self._numbers.put(ours)
            outcome.took_s = time.monotonic() - began
        return outcome

    def _prepare(self, n: int, kind: Kind, ours: str) -> None:
        person = PERSON.format(FIRST_PERSON + n)
        manner = {"waits_s": kind.waits_s, "patience_s": kind.patience_s}
        said = {"say": [kind.asks, *self._then]}
        self._sandbox.put(f"/people/{person}", json=said | manner).raise_for_status()
        agent = self._ask(
            "POST",
            "/agents",
            name="Mia",
            system_prompt=f"{PROMPT} ({_keyterm(n)})",
            welcome_message=OPENING,
            fallback_message=FALLBACK,
            language="en",
            voice_id=_voice(n),
            boosted_keywords=_keyterm(n),
            pickup_delay=5,
            silence_hangup_seconds=SILENCE_S,
        )
        if ours in self._imported:
            self._ask("PATCH", f"/phone-numbers/{ours}", agent_id=agent["agent_id"])
            return
        self._imported.add(ours)
        self._ask(
            "POST",
            "/phone-numbers",
            phone_number=ours,
            agent_id=agent["agent_id"],
            twilio_sid=SID,
            twilio_token=TOKEN,
        )

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._api.request(method, path, json=body)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.text}")
        return answer.json()

    def _call_us(self, n: int, ours: str) -> str:
        body = {"from": PERSON.format(FIRST_PERSON + n), "to": ours}
        answer = self._sandbox.post("/calls", json=body)
        return str(answer.raise_for_status().json()["sid"])

    def _follow(self, outcome: Outcome, sid: str) -> None:
        """Listen in until all was said, then read what is on record."""
        talk = _Talk(outcome.kind)
        last_words_s = 0.0 if outcome.kind.goes_on else LAST_WORDS_WITHIN_S
        for event in self._journal(sid, last_words_s=last_words_s):
            if talk.take(event):
                self._sandbox.delete(f"/calls/{sid}")
        outcome.heard, outcome.heard_later = " ".join(talk.heard), " ".join(talk.heard_later)
        outcome.silence_s, outcome.ended = talk.silence_s, not talk.all_said
        outcome.events = self._events(sid)

    def _journal(self, sid: str, *, last_words_s: float) -> Any:
        """What the sandbox sees of the call, and of what was heard last, as it is written down."""
        after, deadline, over = 0, time.monotonic() + ENDS_WITHIN_S, False
        while time.monotonic() < deadline:
            query: dict[str, Any] = {"after": after, "wait": 2, "call_sid": sid}
            for event in self._sandbox.get("/journal", params=query).json()["events"]:
                after = event["n"]
                yield event
                if event["kind"] == "call_ended":
                    over, deadline = True, time.monotonic() + last_words_s
                elif over and event["kind"] == "person_heard":
                    deadline = min(deadline, time.monotonic() + NO_MORE_S)
            time.sleep(POLL_S)
        if not over:
            raise TimeoutError("the call did not end")

    def _events(self, sid: str) -> list[tuple[str, dict[str, Any]]]:
        """What is on the call's record, once its media process has closed it."""
        data = self._house.environment["NIXFLEX_DATA_DIR"]
        deadline = time.monotonic() + RECORDED_WITHIN_S
        with psycopg.connect(database_url(data), autocommit=True) as connection:
            while True:
                rows = connection.execute(
                    "SELECT e.kind, e.data::text FROM calls_callevent e JOIN calls_call c"
                    " ON c.id = e.call_id WHERE c.carrier_sid = %s ORDER BY e.id",
                    [sid],
                ).fetchall()
                closed = any(kind == "media closed" for kind, _ in rows)
                if closed or time.monotonic() > deadline:
                    return [(kind, json.loads(data)) for kind, data in rows]
                time.sleep(0.2)


class _Talk:
    """What was said and heard, in order: an opening, an answer to each question, a goodbye."""

    def __init__(self, kind: Kind) -> None:
        self.heard: list[str] = []
        self.heard_later: list[str] = []
        self.silence_s = 0.0
        self.all_said = False
        self._said = 1 if kind.before_a_word else 0
        self._until_s = 0.0

    def take(self, event: dict[str, Any]) -> bool:
        """Whether it is time to hang up."""
        if event["kind"] == "person_said":
            self._said += 1
            self._until_s = event["until_s"]
            self.all_said = event["text"] == GOODBYE
            return self.all_said
        if event["kind"] == "person_heard":
            if self._said == 1:
                if not self.heard:
                    self.silence_s = event["from_s"] - self._until_s
                self.heard.append(event["text"])
            elif self._said == 2:
                self.heard_later.append(event["text"])
        return False
