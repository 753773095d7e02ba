"""Uses a tool that the model asked for."""

import asyncio
import logging
from collections.abc import Sequence

from agents.tools.base import Outcome, Tool, ToolCall

logger = logging.getLogger(__name__)


async def use(tools: Sequence[Tool], asked: ToolCall, said: str) -> Outcome:
    """Return what came of ``asked``, a failure included; never raises, but may be cancelled.

    ``said`` is what the person said so far, one turn a line.
    """
    tool = next((one for one in tools if one.name == asked.name), None)
    if tool is None:
        return Outcome(f"There is no tool {asked.name}.", failed=True)
    missing = [
        name for name in tool.input_schema.get("required", ()) if name not in asked.arguments
    ]
    if missing:
        return Outcome(f"Nothing was done: {', '.join(missing)} missing. Ask for it.", failed=True)
    try:
        async with asyncio.timeout(tool.timeout_ms / 1000):
            return await tool.use(asked.arguments, said)
    except TimeoutError:
        why = "took too long"
    except Exception:
        logger.exception("a tool failed", extra={"tool": asked.name})
        why = "does not work at the moment"
    return Outcome(f"The tool {why}. Its outcome is not known: do not claim one.", failed=True)
