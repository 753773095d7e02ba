"""The turns of a call: what is stored of them, and what the model sees of them."""

from collections.abc import Sequence
from typing import Any

from agents.tools.base import ToolResult
from calls.live import LiveCall, SpokenTurn
from calls.machines import said_by_machine
from media.putting_through import came_back

SILENT = "[IVR]"  # a reply of no words, as the model itself writes it
SPEAK_FIRST = {
    "outbound": "[The call has just been answered. Speak first.]",
    "inbound": "[A caller has just been connected. Speak first.]",
}


class History:
    """Committed turns in order; the caller's are whole, the agent's hold only what was heard."""

    def __init__(self, call: LiveCall) -> None:
        self.turns: list[SpokenTurn] = list(call.turns)
        # What tools answered, and how many turns stood before it.
        self._tools: list[tuple[int, tuple[ToolResult, ...]]] = []
        # What the engine tells the model, and how many turns stood before it.
        self._notes = [
            (sum(turn.sequence <= failed.after_turn for turn in self.turns), note)
            for failed, note in came_back(call.transfers)
        ]
        self._silences: set[int] = set()  # how many turns stood before a reply of no words
        self._opening_note = SPEAK_FIRST[call.direction]

    def next_sequence(self) -> int:
        return self.turns[-1].sequence + 1 if self.turns else 1

    def add(self, turn: SpokenTurn) -> None:
        self.turns.append(turn)

    def add_tools(self, results: Sequence[ToolResult]) -> None:
        """Note what tools answered; it belongs to the reply that is being written."""
        self._tools.append((len(self.turns), tuple(results)))

    def note(self, text: str) -> None:
        """Tell the model ``text``, at this point of the conversation; it is nobody's words."""
        self._notes.append((len(self.turns), text))

    def ends_with_note(self) -> bool:
        """Whether nothing was said since the engine told something."""
        return any(place == len(self.turns) for place, _ in self._notes)

    def add_silence(self, turns_before: int) -> None:
        """Note that the model chose to say nothing to what was said until then."""
        self._silences.add(turns_before)

    @property
    def unanswered(self) -> bool:
        """Whether the caller's side spoke last, and the model has not let it pass."""
        last = self.turns[-1].role == "caller" if self.turns else False
        return last and len(self.turns) not in self._silences

    def caller_words(self) -> str:
        """Everything the caller said, one turn a line."""
        return "\n".join(
            turn.text
            for turn in self.turns
            if turn.role == "caller" and not said_by_machine(turn.text)
        )

    def messages(
        self,
        saying: str = "",
        note: str = "",
        *,
        heard: str = "",
        cut_off: tuple[str, str] | None = None,
    ) -> tuple[dict[str, Any], ...]:
        """The conversation for the model: begins and ends with the user, roles alternating.

        A leading note tells it that the agent spoke, or shall speak, first. ``saying`` is what the
        running reply said before it used the tools that were answered last, ``note`` the engine's
        own word to the model at the end; ``heard`` is a turn of the caller that has not ended yet.
        ``cut_off`` are the reply's words that the model has to go on with, and how it is asked to.
        """
        script = _Script()
        running = [SpokenTurn(self.next_sequence(), "caller", heard, 0, 0)] if heard else []
        for place, turn in enumerate([*self.turns, *running, None]):
            answered = [results for before, results in self._tools if before == place]
            if turn is not None and place in self._silences:
                script.add("assistant", {"type": "text", "text": SILENT})
            if turn is None and answered and saying:
                script.add("assistant", {"type": "text", "text": saying})
            for results in answered:
                script.add_tools(results)
            for text in (text for before, text in self._notes if before == place):
                script.add("user", {"type": "text", "text": text})
            if turn is not None:
                role = "assistant" if turn.role == "agent" else "user"
                script.add(role, {"type": "text", "text": turn.text})
        if not script.messages or script.messages[0][0] == "assistant":
            first = {"type": "text", "text": self._opening_note}
            script.messages.insert(0, ("user", [first]))
        if note:
            script.add("user", {"type": "text", "text": note})
        if cut_off is not None:
            said, asked = cut_off
            script.add("assistant", {"type": "text", "text": said})
            script.add("user", {"type": "text", "text": asked})
        return tuple(
            {"role": role, "content": _content(blocks)} for role, blocks in script.messages
        )


class _Script:
    """Messages as blocks; what follows in the same role joins the message before it."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, list[dict[str, Any]]]] = []

    def add(self, role: str, block: dict[str, Any]) -> None:
        if not self.messages or self.messages[-1][0] != role:
            self.messages.append((role, []))
        self.messages[-1][1].append(block)

    def add_tools(self, results: Sequence[ToolResult]) -> None:
        for one in results:
            use = {"id": one.call.id, "name": one.call.name, "input": dict(one.call.arguments)}
            self.add("assistant", {"type": "tool_use", **use})
        for one in results:
            answer = {"type": "tool_result", "tool_use_id": one.call.id}
            failed = {"is_error": True} if one.outcome.failed else {}
            self.add("user", {**answer, "content": one.outcome.content, **failed})


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Plain text where there is nothing else; in lines, where a machine is among the speakers."""
    if all(block["type"] == "text" for block in blocks):
        lines = [block["text"] for block in blocks]
        return ("\n" if any(map(said_by_machine, lines)) else " ").join(lines)
    return blocks
