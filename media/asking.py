"""What the machine asks of the model and of tools, and what comes of it in the machine's words."""

import asyncio
from collections.abc import AsyncIterator, Callable

from django.conf import settings

from agents.model import ModelFailed as BrainFailed
from agents.tools.base import ToolCall, ToolResult
from agents.tools.using import use
from calls import live
from calls.live import LiveCall
from media.ahead import ModelEvent
from media.brain import write_reply
from media.events import AskModel, ModelDone, ModelFailed, ModelText, Note, ToolsWanted, UseTools
from media.journal import Journal


async def ask_model(
    call: LiveCall, ask: AskModel, now: Callable[[], int]
) -> AsyncIterator[ModelEvent]:
    """Yield a reply's texts as they are written, then the one event that ends it; a failure is
    such an event. ``now`` is the call's clock in ms."""
    wanted: list[ToolCall] = []
    try:
        async for piece in write_reply(
            model=(ask.second and settings.LLM_FALLBACK_MODEL) or call.model,
            system_stable=call.system_stable,
            system_call=call.system_call,
            messages=ask.messages,
            tools=[tool.definition for tool in call.tools],
            may_use_tools=ask.may_use_tools,
        ):
            if isinstance(piece, ToolCall):
                wanted.append(piece)
            else:
                yield ModelText(now(), ask.generation, piece)
    except BrainFailed as failed:
        yield ModelFailed(now(), ask.generation, str(failed))
        return
    if wanted:
        yield ToolsWanted(now(), ask.generation, tuple(wanted))
    else:
        yield ModelDone(now(), ask.generation)


async def use_tools(
    call: LiveCall, asked: UseTools, journal: Journal, note: Callable[[Note], None]
) -> tuple[ToolResult, ...]:
    """Use tools side by side; each has a time-out of its own and never raises. A booking is
    written down at once, and each use noted."""
    return tuple(
        await asyncio.gather(
            *(_use_tool(call, one, asked.said, journal, note) for one in asked.calls)
        )
    )


async def _use_tool(
    call: LiveCall, asked: ToolCall, said: str, journal: Journal, note: Callable[[Note], None]
) -> ToolResult:
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = await use(call.tools, asked, said)
    ms = round((loop.time() - began) * 1000)
    if outcome.booking is not None:
        journal.put(live.store_booking, call.pk, outcome.booking)
    note(Note("tool", {"name": asked.name, "ms": ms, "failed": outcome.failed}))
    return ToolResult(asked, outcome)
