"""What a reply says and presses, in its order, on its way to the voice and the line."""

from collections.abc import Callable

from media.clauses import Clause, ClauseSplitter
from media.events import Action, Forget, Note, Press, Speak
from media.playout import Playout
from media.reply import Reply


class Outgoing:
    """Numbers every clause of a call, and holds those that wait; ``do`` takes the actions."""

    def __init__(self, do: Callable[[Action], None]) -> None:
        self.playout = Playout()
        self.prepared = ""  # the clause whose audio waits to be the next
        self._do = do
        self._clause_id = 0

    def add_text(self, t: int, reply: Reply, text: str) -> None:
        """Say a text that no model wrote, word for word: brackets in it are no tags."""
        splitter = ClauseSplitter(tags=False)
        for piece in splitter.feed(text) + splitter.finish():
            if isinstance(piece, Clause):
                self.add(t, reply, piece.text)

    def add(self, t: int, reply: Reply, clause: str) -> None:
        """Say one clause, behind all that was added before; a reply on hold keeps it."""
        reply.written.append(clause)
        reply.clause_at = t if reply.clause_at is None else reply.clause_at
        if reply.hold:
            reply.held.append(clause)
        else:
            self._speak(t, clause)

    def release(self, t: int, reply: Reply) -> None:
        """Say what the reply kept back."""
        reply.hold = False
        held, reply.held = reply.held, []
        for clause in held:
            self._speak(t, clause)

    def press(self, t: int, reply: Reply, keys: str) -> None:
        """Press keys in their place between the words."""
        self._clause_id += 1
        text = f"[PRESS:{keys}]"
        reply.written.append(text)
        reply.presses = True
        self.playout.add(t, self._clause_id, text)
        self._do(Press(self._clause_id, keys))
        self._do(Note("keys_pressed", {"keys": len(keys)}))

    def _speak(self, t: int, clause: str) -> None:
        if self.prepared and self.prepared != clause:
            self._do(Forget())
        self.prepared = ""
        self._clause_id += 1
        self.playout.add(t, self._clause_id, clause)
        self._do(Speak(self._clause_id, clause))
