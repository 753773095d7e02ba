"""Our own voice, coming back over the caller's line and written down by the transcriber."""

from difflib import SequenceMatcher

from media.courtesies import words_of

# So much of what was heard must be ours, in our order: faint speech is not written down perfectly.
SHARE = 0.75
# After we have fallen silent, how long its last words may still come. Not longer: a caller too soft
# for our ear may choose among what was offered in our own words.
LATE_MS = 700


def sounds_like(heard: str, said: str) -> bool:
    """Whether ``heard`` is a piece of ``said``."""
    words = words_of(heard)
    if not words:
        return False
    match = SequenceMatcher(None, words, words_of(said), autojunk=False)
    return sum(block.size for block in match.get_matching_blocks()) >= SHARE * len(words)
