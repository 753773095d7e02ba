"""A call as text: the same machine that live calls have, with words where their audio would be.

For rehearsals: nobody is called, no tool is used, nothing is stored, and time is not waited for.
"""

import heapq
from collections.abc import Callable

from agents.model import ModelFailed, Written
from agents.tools.base import Outcome, ToolCall, ToolResult
from calls.live import LiveCall
from media import events as e
from media.conversation import Conversation

MS_A_CHARACTER = 60  # about 150 words a minute
NO_TOOLS = Outcome("Tools are not used in a rehearsal: say what you would do.", failed=True)


class TextCall:
    """One call. ``write`` is asked for each reply of the model, and may raise ``ModelFailed``.

    ``lines`` are (``person`` or ``agent``, words), in order; ``ended`` is why it is over, "" while
    it is not; ``failure`` is what the model failed with.
    """

    def __init__(self, call: LiveCall, write: Callable[[e.AskModel], Written]) -> None:
        self.lines: list[tuple[str, str]] = []
        self.ended = ""
        self.failure = ""
        self._machine = Conversation(call)
        self._write = write
        self._now = 0
        self._play_end = 0
        self._coming: list[tuple[int, int, e.Event]] = []
        self._count = 0
        self._feed(e.Opened(0))

    def say(self, words: str) -> None:
        """Let the person say something, and the agent all that it answers."""
        self.lines.append(("person", words))
        self._feed(e.Words(self._now, words))
        self._feed(e.TurnEnded(self._now, words, self._now))
        self._listen()

    def _listen(self) -> None:
        while not self.ended and (self._coming or self._machine.agent_speaks):
            wake = self._machine.wake_at
            if self._coming and (wake is None or self._coming[0][0] <= wake):
                self._now, _, event = heapq.heappop(self._coming)
                self._feed(event)
            elif wake is None:
                return
            else:
                self._now = max(self._now, wake)
                self._feed(e.Tick(self._now))

    def _later(self, event: e.Event) -> None:
        self._count += 1  # of two at one moment, the first one first
        heapq.heappush(self._coming, (event.t, self._count, event))

    def _feed(self, event: e.Event) -> None:
        for action in self._machine.handle(event):
            self._carry_out(action)

    def _carry_out(self, action: e.Action) -> None:
        t = self._now
        match action:
            case e.AskModel():
                self._ask(action)
            case e.UseTools():
                results = tuple(ToolResult(one, NO_TOOLS) for one in action.calls)
                self._later(e.ToolsDone(t, action.generation, results))
            case e.Speak():
                self._speak(action)
            case e.Press():
                self.lines.append(("agent", f"(presses {action.keys})"))
                self._play(action.clause_id, 0)
            case e.Clear():
                self._coming = [one for one in self._coming if not isinstance(one[2], e.Heard)]
                heapq.heapify(self._coming)
                self._play_end = t
            case e.StoreTurn() if action.turn.role == "agent":
                self.lines.append(("agent", action.turn.text))
            case e.HangUp():
                self.ended = action.reason
            case e.HandOver():
                self.ended = "transferred"

    def _ask(self, ask: e.AskModel) -> None:
        try:
            written = self._write(ask)
        except ModelFailed as failure:
            self.failure = str(failure)
            self.ended = "failed"
            return
        self._later(e.ModelText(self._now, ask.generation, written.text))
        wanted = tuple(
            ToolCall(str(n), c.name, c.arguments) for n, c in enumerate(written.tool_calls)
        )
        if wanted and ask.may_use_tools:
            self._later(e.ToolsWanted(self._now, ask.generation, wanted))
        else:
            self._later(e.ModelDone(self._now, ask.generation))

    def _speak(self, clause: e.Speak) -> None:
        self._play(clause.clause_id, len(clause.text) * MS_A_CHARACTER)

    def _play(self, clause_id: int, ms: int) -> None:
        begins = max(self._now, self._play_end)
        self._play_end = begins + ms
        self._later(e.ClauseReady(self._now, clause_id))
        self._later(e.ClauseAudio(begins, clause_id, ms))
        self._later(e.ClauseSent(begins, clause_id))
        self._later(e.Heard(self._play_end, clause_id))
