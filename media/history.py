"""The turns of a call: what is stored of them, and what the model sees of them."""

from calls.live import LiveCall, SpokenTurn

SPEAK_FIRST = {
    "outbound": "[The call has just been answered. Speak first.]",
    "inbound": "[A caller has just been connected. Speak first.]",
}


class History:
    """Committed turns in order; the caller's are whole, the agent's hold only what was heard."""

    def __init__(self, call: LiveCall) -> None:
        self.turns: list[SpokenTurn] = list(call.turns)
        self._opening_note = SPEAK_FIRST[call.direction]

    def next_sequence(self) -> int:
        return self.turns[-1].sequence + 1 if self.turns else 1

    def add(self, turn: SpokenTurn) -> None:
        self.turns.append(turn)

    def messages(self) -> tuple[dict[str, str], ...]:
        """The conversation for the model: begins and ends with the user, roles alternating.

        A leading note tells it that the agent spoke, or shall speak, first.
        """
        messages: list[dict[str, str]] = []
        for turn in self.turns:
            role = "assistant" if turn.role == "agent" else "user"
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += f" {turn.text}"
            else:
                messages.append({"role": role, "content": turn.text})
        if not messages or messages[0]["role"] == "assistant":
            messages.insert(0, {"role": "user", "content": self._opening_note})
        return tuple(messages)
