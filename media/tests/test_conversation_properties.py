"""What holds in every conversation, whatever happens in whatever order."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.tools.base import Outcome, ToolCall, ToolResult
from calls.transfer_rules import NO_TRANSFERS, FailedTransfer, TransferRules
from media.conversation import LAST_WORDS_MS, Conversation
from media.events import (
    Action,
    AskModel,
    Beep,
    CallerGone,
    CancelModel,
    ClauseAudio,
    ClauseFailed,
    ClauseReady,
    ClauseSent,
    Clear,
    Digit,
    EndCommand,
    Event,
    Forget,
    HandOver,
    HangUp,
    Heard,
    HearingBack,
    HearingLost,
    MachineVerdict,
    ModelDone,
    ModelFailed,
    ModelText,
    Opened,
    Pause,
    Prepare,
    Press,
    Resume,
    Speak,
    StoreTurn,
    Tick,
    ToolsDone,
    ToolsWanted,
    TurnEnded,
    TurnMayEnd,
    TurnResumed,
    UseTools,
    Voiced,
    VoiceFell,
    VoiceRose,
    Words,
)
from media.factories import LiveCallFactory

LOOK_UP = ToolCall("toolu_1", "look_up", {})
MAY_GO = TransferRules(numbers=("+442087601234",), left=3)
CAME_BACK = TransferRules(failed=(FailedTransfer(0, "+442087601234", "busy"),))
WANTED = ToolCall("toolu_1", "transfer_call", {"number": "+442087601234"})

ids = st.integers(1, 8)
texts = st.sampled_from(
    [
        "yeah",
        "stop",
        "when are you open",
        "mm hmm",
        "bye",
        "no wait a minute",
        "",
        "¿qué?",
        "[x",
        "For appointments, press 1. For opening hours, press 2.",
        "I am screening this call. Please say your name and why you're calling.",
        "Please stay on the line.",
        "Please leave a message after the tone.",
        "Hello?",
    ]
)
written = st.sampled_from(
    [
        "We open at nine. ",
        "Yes",
        "? ",
        " [END_CALL]",
        "[WA",
        "IT]",
        "Goodbye!",
        "[VOICEMAIL]",
        " ",
        "[TRANSFER:+442087601234]",
        "[TRANSFER:+449098790000]",
        "[IVR]",
        "[IVR]",
        "[IVR_END]",
        "[PRESS: 1w2#]",
        "[PRESS: 1]",
        "[PRESS: x]",
    ]
)
verdicts = st.sampled_from(["human", "unknown", "machine_start", "machine_end_beep", "fax"])
what = st.one_of(
    st.tuples(st.just(Voiced), st.booleans()),
    st.tuples(st.just(VoiceRose)),
    st.tuples(st.just(VoiceRose)),
    st.tuples(st.just(VoiceFell)),
    st.tuples(st.just(Words), texts),
    st.tuples(st.just(TurnEnded), texts, st.integers(0, 60_000), st.sampled_from([0.1, 0.9])),
    st.tuples(st.just(TurnMayEnd), texts),
    st.tuples(st.just(TurnResumed), texts),
    st.tuples(st.just(HearingLost), st.integers(1, 5)),
    st.tuples(st.just(HearingBack)),
    st.tuples(st.just(ModelText), ids, written),
    st.tuples(st.just(ModelText), ids, written),
    st.tuples(st.just(ToolsWanted), ids, st.just((LOOK_UP,))),
    st.tuples(st.just(ToolsDone), ids, st.just((ToolResult(LOOK_UP, Outcome("Nine.")),))),
    st.tuples(st.just(ModelDone), ids),
    st.tuples(st.just(ToolsWanted), ids, st.just((WANTED,))),
    st.tuples(st.just(ModelFailed), ids, st.just("stalled")),
    st.tuples(st.just(ClauseReady), ids),
    st.tuples(st.just(ClauseAudio), ids, st.integers(20, 3_000)),
    st.tuples(st.just(ClauseSent), ids),
    st.tuples(st.just(ClauseFailed), ids, st.just("gone")),
    st.tuples(st.just(Heard), ids),
    st.tuples(st.just(Digit), st.sampled_from("12#x")),
    st.tuples(st.just(MachineVerdict), verdicts),
    st.tuples(st.just(Beep)),
    st.tuples(st.just(Tick)),
    st.tuples(st.just(EndCommand), st.just("completed")),
    st.tuples(st.just(CallerGone)),
)
steps = st.lists(st.tuples(st.integers(0, 4_000), what), max_size=40)
calls = st.builds(
    LiveCallFactory,
    direction=st.sampled_from(["inbound", "outbound"]),
    opening=st.sampled_from(["", "Hello, this is Mia."]),
    speaks_first=st.booleans(),
    interruption_sensitivity=st.sampled_from([0, 10, 50, 100]),
    dtmf_enabled=st.booleans(),
    max_duration_s=st.sampled_from([5, 600]),
    silence_hangup_s=st.sampled_from([5, 30]),
    voicemail_action=st.sampled_from(["hangup", "leave_message", "ignore"]),
    voicemail_message=st.sampled_from(["", "Call us back."]),
    transfers=st.sampled_from([NO_TRANSFERS, MAY_GO, CAME_BACK]),
    extras=st.fixed_dictionaries(
        {
            "hangup_on_ivr": st.booleans(),
            "ivr_timeout_s": st.sampled_from([3, 240]),
            "may_wait": st.booleans(),
        }
    ),
)


class Watch:
    """Knows from the actions alone what must not follow."""

    def __init__(self) -> None:
        self.writing: int | None = None
        self.guessed: int | None = None  # asked for before the turn had ended
        self.alive: set[int] = set()
        self.sequences: list[int] = []
        self.over = False
        self.paused = False
        self.prepared = ""  # whose audio is made and waits

    def see(self, event: Event, actions: list[Action]) -> None:
        if isinstance(event, ModelDone | ToolsWanted) and event.generation == self.writing:
            self.writing = None
        if isinstance(event, ModelText | ToolsWanted) and event.generation == self.guessed:
            kinds = {type(action) for action in actions}
            settled = kinds & {StoreTurn, CancelModel}  # by the clock, in the same step
            assert settled or not kinds & {Speak, UseTools}, "before the turn's end"
        elif not isinstance(event, TurnMayEnd | ModelText | ModelDone | ModelFailed | ToolsWanted):
            self.guessed = None
        for action in actions:
            assert not self.over, "nothing follows the hang-up"
            match action:
                case AskModel():
                    if isinstance(event, ModelFailed):
                        self.writing = None
                    assert self.writing is None, "a second reply in flight"
                    self.writing = action.generation
                    if isinstance(event, TurnMayEnd):
                        self.guessed = action.generation
                    assert action.messages[0]["role"] == action.messages[-1]["role"] == "user"
                    roles = [message["role"] for message in action.messages]
                    assert all(a != b for a, b in pairwise(roles))
                case CancelModel():
                    self.writing = None
                case Prepare():
                    assert not self.prepared, "two clauses are held"
                    assert self.guessed is not None, "made ahead of nothing"
                    self.prepared = action.text
                case Forget():
                    assert self.prepared, "nothing to forget"
                    self.prepared = ""
                case Speak():
                    assert self.prepared in ("", action.text), "another clause goes first"
                    self.prepared = ""
                    assert action.text.strip()
                    self.alive.add(action.clause_id)
                case Press():
                    assert action.keys
                    self.alive.add(action.clause_id)
                case Clear():
                    self.alive.clear()
                    self.paused = False
                case Pause():
                    assert not self.paused, "paused twice"
                    self.paused = True
                case Resume():
                    assert self.paused, "resumed what was not paused"
                    self.paused = False
                case StoreTurn():
                    self.sequences.append(action.turn.sequence)
                    assert action.turn.text
                    assert action.turn.started_ms <= action.turn.ended_ms
                case HangUp() | HandOver():
                    self.over = True


def run(call, timed) -> tuple[Conversation, Watch, int]:
    machine, watch, t = Conversation(call), Watch(), 0
    watch.see(Opened(0), machine.handle(Opened(0)))
    for pause, (kind, *arguments) in timed:
        t += pause
        event = kind(t, *arguments)
        watch.see(event, machine.handle(event))
    return machine, watch, t


@settings(max_examples=300, deadline=None)
@given(calls, steps)
def test_no_sequence_of_events_breaks_the_rules_of_speaking(call, timed):
    machine, watch, _ = run(call, timed)

    assert watch.sequences == list(range(1, len(watch.sequences) + 1))
    in_playout = {clause.clause_id for clause in machine._agent.playout.clauses}
    assert in_playout <= watch.alive, "a clause lives on after a clear"
    assert watch.paused == (machine._agent.playout.paused_at is not None)
    guess = machine._agent.ahead._guess
    assert machine.over or watch.prepared == (guess.prepared if guess else ""), "held for nothing"


@settings(max_examples=300, deadline=None)
@given(calls, steps)
@example(  # nobody heard the caller for long, and only then the model was given up
    LiveCallFactory.build(
        direction="outbound",
        max_duration_s=600,
        voicemail_action="hangup",
        extras={"hangup_on_ivr": False, "ivr_timeout_s": 240, "may_wait": False},
    ),
    [(0, (Words, "For appointments, press 1. For opening hours, press 2.")), (0, (HearingLost, 3))],
)
def test_no_sequence_of_events_leaves_a_call_stuck(call, timed):
    machine, watch, t = run(call, timed)
    limit = max(t, call.max_duration_s * 1000 + LAST_WORDS_MS)

    for _ in range(500):
        wake = machine.wake_at
        if wake is None:
            break
        t = max(t, wake)
        tick = Tick(t)
        watch.see(tick, machine.handle(tick))
        after = machine.wake_at
        assert after is None or after > t, "woken again at once"
    else:
        raise AssertionError("the call never ends")
    assert machine.over
    assert t <= limit


@settings(max_examples=100, deadline=None)
@given(calls, steps)
def test_the_same_events_give_the_same_actions(call, timed):
    first, second = Conversation(call), Conversation(call)
    t = 0
    events: list[Event] = [Opened(0)]
    for pause, (kind, *arguments) in timed:
        t += pause
        events.append(kind(t, *arguments))

    assert [first.handle(e) for e in events] == [second.handle(e) for e in events]
