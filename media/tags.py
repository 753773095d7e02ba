"""What a model's action tags mean, and what is done at each (spec 6.7)."""

import re
from collections.abc import Callable

from agents.tools.base import ToolCall
from calls.live import LiveCall
from calls.transfer_rules import NotAllowed
from media.clauses import Tag
from media.events import Action, Note, UseTools
from media.outgoing import Outgoing
from media.reply import NO_REPLY, Reply

# What a model writes between the keys of a number.
_BETWEEN = re.compile(r"[\s,.\-–]+")
_KEYS = re.compile(r"[0-9*#A-DwW]{1,64}")
_ANY_KEY = re.compile(r"[0-9*#A-D]")
_FOR_MACHINES = frozenset({"IVR", "PRESS", "IVR_END", "VOICEMAIL"})
LONGEST_WAIT_S = 120


def keys_of(argument: str) -> str:
    """Return the keys of ``[PRESS: 4827#]`` with their pauses ``w`` and ``W``; "" if it names
    none, or anything else.
    """
    keys = _BETWEEN.sub("", argument)
    return keys if _KEYS.fullmatch(keys) and _ANY_KEY.search(keys) else ""


def wait_ms(argument: str, otherwise_s: int) -> int:
    """Return how much longer ``[WAIT]`` or ``[WAIT:45]`` lets the caller be silent."""
    asked = int(argument) if argument.isascii() and argument.isdigit() else 0
    return 1_000 * (min(asked, LONGEST_WAIT_S) or otherwise_s)


class Tags:
    """Takes the tags of a reply where they stand in its text; ``do`` takes the actions."""

    def __init__(self, call: LiveCall, outgoing: Outgoing, do: Callable[[Action], None]) -> None:
        self._call = call
        self._outgoing = outgoing
        self._do = do
        self._may_wait = bool(call.extras.get("may_wait"))
        self._wait_s = int(call.extras.get("wait_tag_s", 30))
        self._texts = 0
        self._orders: list[Tag] = []

    def collect_orders(self) -> list[Tag]:
        """Return the tags since last time that are the conversation's to obey, in order."""
        orders, self._orders = self._orders, []
        return orders

    def take(self, t: int, reply: Reply, tag: Tag) -> None:
        """Do what the tag asks for where this call allows it; else note that it was ignored."""
        if tag.name == "END_CALL" and self._call.may_end_call:
            reply.ends = reply.ends or "completed"
        elif self._is_order(tag, reply):
            self._take_order(t, reply, tag)
        elif tag.name == "WAIT" and self._may_wait:
            reply.patience = wait_ms(tag.argument, self._wait_s)
        elif tag.name == "TRANSFER":
            self._put_through(reply, tag.argument)
        elif tag.name == "SEND_SMS" and tag.argument:
            # The tag of older prompts; what becomes of it the model learns as of any tool.
            self._texts += 1
            reply.done_tags.add(tag.name)
            text = ToolCall(f"tag_{self._texts}", "send_sms", {"text": tag.argument})
            self._do(UseTools(NO_REPLY, (text,), ""))
        else:
            self._do(Note("tag_ignored", {"tag": tag.name}))

    def _put_through(self, reply: Reply, argument: str) -> None:
        if reply.goes_to is not None:
            return
        try:
            reply.goes_to = self._call.transfers.destination(argument)
        except NotAllowed as refusal:
            reply.not_put_through = str(refusal)
            self._do(Note("transfer_refused"))

    def _is_order(self, tag: Tag, reply: Reply) -> bool:
        """Tags of outbound calls only; nobody is there yet to press keys for an opening."""
        early = reply.hold and tag.name == "PRESS"
        return tag.name in _FOR_MACHINES and self._call.direction == "outbound" and not early

    def _take_order(self, t: int, reply: Reply, tag: Tag) -> None:
        """What the model does at a machine."""
        keys = keys_of(tag.argument) if tag.name == "PRESS" else ""
        if tag.name == "PRESS" and not keys:
            self._do(Note("tag_ignored", {"tag": tag.name}))
            return
        reply.may_be_silent = True
        reply.done_tags.add(tag.name)
        self._orders.append(tag)
        if keys:
            self._outgoing.press(t, reply, keys)
