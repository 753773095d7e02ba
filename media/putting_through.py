"""The caller is put through to a person, and what the model is told where that did not work.

The rules: what the agent says of it is heard to its end first. Until then a caller who objects
("no", "wait", "stop") is listened to, and nobody is rung; whatever else they say is kept and
changes nothing. From the hand-over on, nothing they say counts.
"""

from collections.abc import Iterator

from calls.transfer_rules import FailedTransfer, TransferRules

MOST_REFUSALS = 2  # times in a row that a model may want what is not allowed

_FAILED = (
    "[The transfer to {number} did not work: {why}. The person on the phone heard it ring and is "
    "with you again. {next}]"
)
_MORE = (
    "If your instructions name another number that fits and was not tried, put them through to it "
    "now, without asking. Else apologise, and offer to take a message or to have somebody call "
    "them back."
)
_NO_MORE = (
    "No further transfer is possible in this call: apologise, and offer to take a message or to "
    "have somebody call them back."
)
_REFUSED = (
    "[You said that you put them through, but that did not happen: {why}. Put it right without "
    "naming the reason: apologise, and offer to take a message or to have somebody call them back.]"
)


def came_back(rules: TransferRules) -> Iterator[tuple[FailedTransfer, str]]:
    """Yield each transfer that failed, with the note about it."""
    for failed in rules.failed:
        further = _MORE if rules.left > 0 else _NO_MORE
        yield failed, _FAILED.format(number=failed.number, why=failed.words, next=further)


def refused(why: str) -> str:
    """Return the note about a transfer that may not be."""
    return _REFUSED.format(why=why)
