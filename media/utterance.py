"""A clause on its way from the voice to the writer."""

from media.writer import Writer


class Utterance:
    """Holds a clause's audio until ``release`` says which clause it is, then lets it out."""

    def __init__(self, text: str, writer: Writer) -> None:
        self.text = text
        self.clause_id: int | None = None  # None until it is released
        self.begun = False  # the voice was asked for it
        self.over = False  # … and is done with it, or failed
        self.failed = False
        self.dropped = False
        self._writer = writer
        self._held: list[bytes] = []

    @property
    def has_audio(self) -> bool:
        """Whether audio waits to be let out."""
        return bool(self._held)

    def audio(self, mulaw: bytes) -> None:
        """More of it was made."""
        if self.clause_id is None:
            self._held.append(mulaw)
        else:
            self._writer.audio(self.clause_id, mulaw)

    def end(self) -> None:
        """All of it was made."""
        self.over = True
        if self.clause_id is not None:
            self._writer.end(self.clause_id)

    def release(self, clause_id: int) -> None:
        """Let out what there is, and what comes."""
        self.clause_id = clause_id
        held, self._held = self._held, []
        for mulaw in held:
            self._writer.audio(clause_id, mulaw)
        if self.over:
            self._writer.end(clause_id)
