"""When nobody hears the caller: the transcriber is gone, and while it is, so are their words.

A short spell costs nothing, as the audio is said again to the next socket. After a long one the
caller is asked to say it again, and if it does not end the call does.
"""

LONG_MS = 10_000  # what was said before that is lost
LONGEST_MS = 20_000
LEAST_TRIES = 3  # one silent socket may only have had nothing to say


class Deafness:
    def __init__(self) -> None:
        self._since: int | None = None
        self._tries = 0
        self._spoken = False

    def begin(self, t: int, tries: int) -> None:
        """A connection was lost, the ``tries``-th in a row."""
        if self._since is None:
            self._since, self._spoken = t, False
        self._tries = tries

    def hear_voice(self) -> None:
        """The caller speaks, perhaps to nobody."""
        self._spoken = True

    def end(self, t: int) -> tuple[int, bool]:
        """We hear again: for how long we did not, and whether that calls for an apology."""
        if self._since is None:
            return 0, False
        ms, self._since = t - self._since, None
        return ms, self._spoken and ms >= LONG_MS

    def excused_until(self) -> int:
        """Until when the caller need not be asked whether they are there: we might not hear it."""
        return 0 if self._since is None else self._since + LONGEST_MS

    def leave_at(self) -> int | None:
        """When to end the call if nothing changes."""
        if self._since is None or self._tries < LEAST_TRIES:
            return None
        return self._since + LONGEST_MS
