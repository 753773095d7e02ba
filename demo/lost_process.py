"""``KILL=1``: the process that carries a call's audio is killed, and the call goes on."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from calls.models import Call, CallEvent, Turn
from demo import seed
from demo.call import LONGEST_CALL_S, LOOKS_EVERY_S, Follower
from demo.stage import AGENT, Stage, dashboard

PURPOSE = "Ask the caller whether they have any question about their next check-up."
QUESTIONS = ["When are you open?", "Where can I park?"]
LONGEST_GAP_S = 5.0
APOLOGY = "I lost you"


def kill_one(stage: Stage) -> None:
    """Kill the call's media process after the first answer; show who goes on, and the gap."""
    console = stage.console
    person = stage.sandbox.instruct(seed.SOMEBODY, say=QUESTIONS, rings_s=1)
    console.scene(f"Mia calls {person}, and the process that carries the call is killed.")
    follower = Follower(
        console, stage.place(seed.SOMEBODY, prompt=PURPOSE), agent=AGENT, person=person
    )
    call = follower.call
    killed: tuple[int, datetime] | None = None
    deadline = time.monotonic() + LONGEST_CALL_S
    while not follower.tell(stage.sandbox.news()) and time.monotonic() < deadline:
        answered = call.turns.filter(role=Turn.Role.AGENT).count() >= 2
        if killed is None and answered and (pid := _process(call, 1)):
            killed = _kill(pid)
            console.moment(f"kill -9 {killed[0]}  (the media process of this call)", style="1;31")
        time.sleep(LOOKS_EVERY_S)
    console.moment(follower.summary())
    _show_gap(stage, person, call, killed)


def _kill(pid: int) -> tuple[int, datetime]:
    os.kill(pid, signal.SIGKILL)
    return pid, datetime.now(UTC)


def _process(call: Call, generation: int) -> int:
    """The process whose socket is the call's n-th; 0, which must not be killed, if none is known:
    that would be this process and all that it started.
    """
    opened = _opened(call).filter(data__generation=generation).first()
    pid = str(opened.data.get("process", "")).rpartition(":")[2] if opened else ""
    return int(pid) if pid.isascii() and pid.isdigit() else 0


def _opened(call: Call) -> QuerySet[CallEvent]:
    return CallEvent.objects.filter(call=call, kind="media opened").order_by("at")


def _show_gap(stage: Stage, person: str, call: Call, killed: tuple[int, datetime] | None) -> None:
    # Whoever talks over it hears only its first words.
    is_apology = Q(text__contains=APOLOGY) | Q(full_text__contains=APOLOGY)
    apology = call.turns.filter(is_apology, role=Turn.Role.AGENT).first()
    first = _opened(call).first()
    if killed is None or apology is None or first is None:
        stage.console.promise(
            "The call went on in another process",
            False,
            otherwise=f"See what happened to it: {dashboard('calls/callevent/')}",
        )
        return
    pid, at = killed
    # A call's clock starts with its first socket, and goes on in whatever process.
    gap = (first.at + timedelta(milliseconds=apology.started_ms) - at).total_seconds()
    goes_on = _process(call, 2)
    stage.console.promise(
        f"Process {pid} died, process {goes_on} went on; {person} heard nothing for "
        f"{gap:.1f} s, then: “{apology.text}”",
        goes_on not in {0, pid} and gap <= LONGEST_GAP_S,
        otherwise=f"It should take {LONGEST_GAP_S:.0f} s at most: run it again with less load.",
    )
