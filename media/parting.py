"""How a live call leaves its media process: hung up on, or put through to a person. Whatever comes
of that, the socket's work is done: when it closes, the carrier asks what next, and is told so
again.
"""

import asyncio
import logging
from functools import partial

from agents.languages import locale_of
from calls import live
from calls.handing_over import hand_over
from calls.live import LiveCall
from media.events import HandOver
from media.journal import in_thread

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0


async def put_through(call: LiveCall, to: HandOver) -> None:
    """Let the carrier put the call through; a failure is logged."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await in_thread(
                hand_over,
                call.pk,
                generation=call.generation,
                to_number=to.number,
                kind=to.kind,
                after_turn=to.after_turn,
            )
    except Exception:
        logger.exception("hand-over failed", extra={"call_id": call.call_id})


async def hang_up(call: LiveCall, reason: str, words: str = "") -> None:
    """End the call at the carrier, which says ``words`` before; a failure is logged."""
    locale = locale_of(str(call.extras.get("start_language") or call.language))
    try:
        async with asyncio.timeout(TIMEOUT_S):
            say = (words, locale) if words else None
            await in_thread(partial(live.hang_up, say=say), call.pk, reason)
    except Exception:
        logger.exception("hang-up failed", extra={"call_id": call.call_id})
