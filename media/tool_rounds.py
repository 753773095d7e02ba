"""The tools that the model wants in mid-reply: used, held for the caller's yes, or a transfer."""

from collections.abc import Callable

from agents.tools.base import Outcome, Tool, ToolResult
from calls.live import LiveCall
from calls.transfer_rules import TRANSFER_CALL, NotAllowed
from media.confirming import HELD, ONE_AT_A_TIME, Confirmation
from media.courtesies import Phrases
from media.events import Action, Note, ToolsWanted, UseTools
from media.history import History
from media.outgoing import Outgoing
from media.reply import NO_REPLY, Reply

MOST_ROUNDS = 3  # of tools in one reply
TOOLS_GRACE_MS = 2_000
FILLER_AFTER_MS = 500  # a tool that answers sooner needs no words


class ToolRounds:
    """Decides what becomes of each request for tools; ``do`` takes the actions."""

    def __init__(
        self,
        call: LiveCall,
        phrases: Phrases,
        history: History,
        confirmation: Confirmation,
        outgoing: Outgoing,
        do: Callable[[Action], None],
    ) -> None:
        self._call = call
        self._phrases = phrases
        self._history = history
        self._confirmation = confirmation
        self._outgoing = outgoing
        self._do = do

    def begin(self, event: ToolsWanted, reply: Reply) -> None:
        """Have the tools used; what is set for the wait is said if they take their time, and
        nothing else was said. A read-back or a transfer ends the reply instead.
        """
        tools = {tool.name: tool for tool in self._call.tools}
        if self._held(event, reply, tools) or self._put_through(event, reply):
            return
        asked = [tools[call.name] for call in event.calls if call.name in tools]
        filler = next((tool.speak_during for tool in asked if tool.speak_during), "")
        if len(reply.written) == reply.written_before:
            reply.filler, reply.filler_at = filler, event.t + FILLER_AFTER_MS
        longest = max((tool.timeout_ms for tool in asked), default=0)
        reply.tools_due = event.t + longest + TOOLS_GRACE_MS
        reply.rounds += 1
        self._do(UseTools(event.generation, event.calls, self._history.caller_words()))

    def _held(self, event: ToolsWanted, reply: Reply, tools: dict[str, Tool]) -> bool:
        """Whether a write waits for the caller's yes: then it is read back, and no tool is used."""
        for held in event.calls:
            tool = tools.get(held.name)
            words = self._confirmation.question(tool, held) if tool else ""
            if not words:
                continue
            outcome = Outcome(HELD.format(name=held.name))
            self._history.add_tools(
                [
                    ToolResult(call, outcome if call is held else ONE_AT_A_TIME)
                    for call in event.calls
                ]
            )
            self._do(Note("held", {"name": held.name}))
            self._outgoing.add_text(event.t, reply, words)
            reply.proposes = reply.done = True
            return True
        return False

    def _put_through(self, event: ToolsWanted, reply: Reply) -> bool:
        """Whether a tool puts the caller through: then the reply ends with what was said so far,
        and other tools are used beside it.
        """
        wanted = next((call for call in event.calls if call.name == TRANSFER_CALL), None)
        if wanted is None:
            return False
        try:
            rules = self._call.transfers
            reply.goes_to = rules.destination(str(wanted.arguments.get("number", "")))
        except NotAllowed:
            return False  # the tool itself says so
        if len(reply.written) == reply.written_before:
            self._outgoing.add(event.t, reply, self._phrases.putting_through)
        if others := tuple(call for call in event.calls if call.name != TRANSFER_CALL):
            self._do(UseTools(NO_REPLY, others, self._history.caller_words()))
        reply.done = True
        return True

    def filler_due(self, reply: Reply | None) -> int | None:
        """When the caller is told that a tool is taking its time, in ms of the call's clock."""
        return reply.filler_at if reply is not None and reply.filler else None

    def fill(self, t: int, reply: Reply | None) -> None:
        """Say what is set for the wait, once it is due."""
        if reply is not None and reply.filler and t >= reply.filler_at:
            filler, reply.filler = reply.filler, ""
            self._outgoing.add(t, reply, filler)
