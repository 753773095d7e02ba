"""The story's calls: a booking, two voicemails at once, and one that knows who it is talking to."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agents.models import Note
from calls.models import Call, Turn
from demo import seed
from demo.call import Follower, follow
from demo.console import Console
from demo.sandbox import Event, ms_between
from demo.stage import AGENT, Stage, dashboard, wait_for
from sandbox.speech.wer import wer

FIRST_PURPOSE = "Book the caller's next check-up."
SECOND_PURPOSE = "Remind the caller about their appointment."
ASKS = "Yes, it does. And how much is a check-up?"
BREAKS_IN = "Sorry, where can I park?"
LEFT_MESSAGE = (
    "Hello, this is Mia of Bright Smile Dental. Please call us back about your check-up. Thank you."
)
FRIENDLY = "+12025550110"  # whom a newcomer may call next
NOTED_WITHIN_S = 30.0
STOPS_WITHIN_MS = 1000
MOST_MISHEARD = 0.3
_HOME = ZoneInfo("Europe/London")
_KNOWN = ("- 20", "Name: ", "Email: ", "Location: ", "Preference: ", "Still open: ")


@dataclass(frozen=True)
class Booking:
    """What stands in the calendar. ``start`` is in the clinic's time zone."""

    name: str
    email: str
    start: datetime

    @property
    def day(self) -> str:
        return f"{self.start:%A}"

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.start:%A} {self.start.day} {self.start:%B} at {self.start:%H:%M}"
        )


def first_call(stage: Stage, *, say: str = "", muted: bool = False) -> Call:
    """Call somebody of whom nothing is known."""
    lines = [say] if say else []
    person = stage.sandbox.instruct(seed.SOMEBODY, say=lines, muted=muted, rings_s=1, interrupts="")
    stage.console.scene(
        f"Mia calls {person}, a simulated person, and is told only: “{FIRST_PURPOSE}”"
    )
    return _call(stage, person, FIRST_PURPOSE).call


def booked(stage: Stage) -> Booking | None:
    """Show the booking as the calendar's own server has it."""
    made = stage.sandbox.find("booking_created")
    booking = _booking(made[-1]) if made else None
    stage.console.promise(
        f"In the calendar: {booking}, {booking.email}" if booking else "The slot is booked",
        booking is not None,
        otherwise=f"Nothing was booked. Read the conversation at {dashboard('calls/call/')}; the "
        "machine may be too busy for speech in real time: close other programs and try again.",
    )
    return booking


def _booking(event: Event) -> Booking:
    start = datetime.fromisoformat(event["start"]).astimezone(_HOME)
    return Booking(event["attendee_name"], event["attendee_email"], start)


def was_noted(call: Call) -> bool:
    """Wait until the call's analysis is on record; False if that takes too long."""
    noted = Note.objects.filter(source=call.call_id)
    return wait_for(lambda: noted.exists() or None, NOTED_WITHIN_S) is not None


def second_call(stage: Stage, *, say: str, interrupts: str = "") -> Follower:
    """Call the same person with one line of prompt, and show what the agent knew by itself."""
    person = stage.sandbox.instruct(seed.SOMEBODY, say=[say], interrupts=interrupts, rings_s=1)
    stage.console.scene(
        f"Mia calls {person} again. She is given a number and one line: “{SECOND_PURPOSE}”"
    )
    return _call(stage, person, SECOND_PURPOSE, shows_memory=True, interrupts=interrupts)


def reminder(stage: Stage, booking: Booking | None) -> None:
    """The second call: the day is known, and the person talks over the agent."""
    follower = second_call(stage, say=ASKS, interrupts=BREAKS_IN)
    turns = [turn for turn in follower.call.turns.all() if turn.role == Turn.Role.AGENT]
    opening = turns[0].full_text or turns[0].text if turns else ""
    knows = booking is not None and follower.person in opening and booking.day in opening
    stage.console.promise(
        f"Greeted by name, and the day was known: {booking.day if booking else 'none'}",
        knows,
        otherwise="See “what the agent knew” above: the first call's analysis must be in it "
        f"({dashboard('calls/aftercare/')}).",
    )
    _interruption(stage, follower, turns)


def _interruption(stage: Stage, follower: Follower, turns: list[Turn]) -> None:
    broken_off = next((turn for turn in turns if turn.interrupted), None)
    sid = follower.call.carrier_sid
    said = stage.sandbox.find("person_said", text=BREAKS_IN, call_sid=sid)
    stops = [
        ms_between(said[-1], clear)
        for clear in stage.sandbox.find("clear", call_sid=sid)
        if said and clear["n"] > said[-1]["n"]
    ]
    if broken_off is not None:
        stage.console.note(f"{follower.person} heard up to: “{broken_off.text}”")
        stage.console.note(f"of: “{broken_off.full_text}”")
    stage.console.promise(
        f"Talked over, {AGENT} stopped after {stops[0] if stops else '?'} ms, and remembers only "
        "what was heard",
        broken_off is not None and bool(stops) and stops[0] <= STOPS_WITHIN_MS,
        otherwise="She should fall silent within a second: run it again with less load.",
    )


def voicemails(stage: Stage) -> None:
    """Two answering machines at once: one is hung up on, one gets a message."""
    console = stage.console
    console.scene("Two calls at once, and both reach a voicemail: the second may leave a message.")
    owners = [
        stage.sandbox.instruct(number, rings_s=1)
        for number in (seed.VOICEMAIL, seed.OTHER_VOICEMAIL)
    ]
    silent = stage.place(seed.VOICEMAIL, prompt=FIRST_PURPOSE)
    leaves = stage.place(
        seed.OTHER_VOICEMAIL,
        prompt=FIRST_PURPOSE,
        voicemail_action="leave_message",
        voicemail_message=LEFT_MESSAGE,
    )
    first, second = (
        _VoicemailFollower(console, call_id, agent=AGENT, person=f"{owner}'s machine")
        for call_id, owner in zip((silent, leaves), owners, strict=True)
    )
    follow(stage.sandbox, first, second)
    hung_up = first.call.voicemail_detected and first.call.charged_minutes == 0
    console.promise(
        f"Hung up on {owners[0]}'s voicemail after {first.call.duration_ms / 1000:.0f} s: "
        "0 minutes charged",
        hung_up and not _recorded(stage, seed.VOICEMAIL),
        otherwise=f"See how it was answered: {dashboard('calls/call/')}.",
    )
    recorded = wait_for(lambda: _recorded(stage, seed.OTHER_VOICEMAIL) or None, 10) or ""
    console.promise(
        f"{owners[1]}'s voicemail recorded: “{recorded}”",
        wer(LEFT_MESSAGE, recorded) <= MOST_MISHEARD,
        otherwise=f"The message should be: “{LEFT_MESSAGE}”",
    )


def _recorded(stage: Stage, number: str) -> str:
    stage.sandbox.news()
    return " ".join(e["text"] for e in stage.sandbox.find("voicemail_left", number=number))


class _VoicemailFollower(Follower):
    """Tells of a machine in few words."""

    _told_the_end = False

    def tell(self, events: list[Event]) -> bool:
        over = super().tell(events)
        if over and not self._told_the_end:
            self._told_the_end = True
            reason = self.call.ended_reason
            why = "" if reason == "voicemail_detected" else f" ({reason})"
            self.console.moment(f"{AGENT} hangs up on {self.person}{why}")
        return over

    def tell_status(self) -> None:
        """Nothing: the end is told once all that was said is."""

    def tell_event(self, event: Event) -> None:
        if event["kind"] == "person_said":
            self.console.moment(f"{self.person}: {event['text']}")

    def tell_turn(self, turn: Turn) -> None:
        if turn.role == Turn.Role.AGENT:
            self.says_the_agent(turn)


def _call(
    stage: Stage, person: str, purpose: str, *, shows_memory: bool = False, interrupts: str = ""
) -> Follower:
    call_id = stage.place(seed.SOMEBODY, prompt=purpose)
    console = stage.console
    follower = Follower(
        console,
        call_id,
        agent=AGENT,
        person=person,
        on_talk=(lambda call: _show_memory(console, call)) if shows_memory else None,
        interrupts=interrupts,
    )
    follow(stage.sandbox, follower)
    console.moment(follower.summary())
    if follower.call.status != Call.Status.COMPLETED:
        console.promise(
            f"The call was completed, not {follower.call.status}",
            False,
            otherwise=follower.call.error_message or f"See {dashboard('calls/call/')}.",
        )
    return follower


def _show_memory(console: Console, call: Call) -> None:
    """Print the notes that were put into the prompt."""
    prompt = call.system_prompt_used
    known = prompt[prompt.find("## CALLER HISTORY") :].splitlines()
    notes = [line for line in known if line.startswith(_KNOWN)]
    console.note("what the agent knew by itself, from before:")
    for line in notes or ["nothing"]:
        console.note(f"  {line}")
