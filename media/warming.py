"""What a media process does before its first call, so that this call does not wait for it.

The SDKs load modules and build validators at first use, 150 ms in all; the first request to a host
waits for its handshakes; and a collection of garbage looks at everything that was ever loaded. All
of it is done before the server listens, and so before anybody calls it ready.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import anthropic
import httpx2
from anthropic import AsyncAnthropic
from deepgram.core.unchecked_base_model import construct_type
from deepgram.listen.v1.socket_client import V1SocketClientResponse

from agents.model import ModelFailed
from media import garbage
from media.brain import write_reply
from media.providers import model_client, speech_client

logger = logging.getLogger(__name__)

CONNECT_WITHIN_S = 2.0
CONNECTED_FOR_S = 60.0  # less than ``providers.MODEL_CONNECTIONS`` keeps one

_connected_at: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()

# The shortest reply there is, as the service streams it.
_REPLY = b"""\
event: message_start
data: {"type":"message_start","message":{"id":"msg_0","type":"message","role":"assistant",\
"model":"none","content":[],"stop_reason":null,"stop_sequence":null,\
"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},\
"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

"""
_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_RESULTS = {
    "type": "Results",
    "channel_index": [0, 1],
    "start": 0.0,
    "duration": 1.0,
    "is_final": True,
    "speech_final": True,
    "channel": {"alternatives": [{"transcript": "hello", "confidence": 1.0, "words": []}]},
    "metadata": {},
}


async def warm_up() -> None:
    """Load what the first call would load, and open a connection to the model; a model that cannot
    be reached is left for the first call to complain about.
    """
    try:
        _load_speech()
        await _load_model()
    except Exception:  # calls work without it, a little later
        logger.exception("not everything was loaded ahead of a call")
    await connect_model()
    garbage.keep_what_is_loaded()


async def keep_model_connected() -> None:
    """Have a connection to the model open before a call's first question, which may come after a
    pause of all calls.
    """
    loop = asyncio.get_running_loop()
    if loop.time() - _connected_at.get(loop, -CONNECTED_FOR_S) >= CONNECTED_FOR_S:
        await connect_model()


async def connect_model() -> None:
    """Open a connection to the model; it is kept for a minute and a half."""
    loop = asyncio.get_running_loop()
    _connected_at[loop] = loop.time()
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await model_client().models.list(limit=1)
    except anthropic.APIStatusError:
        pass  # somebody answered
    except (TimeoutError, anthropic.APIError, httpx2.HTTPError) as error:
        logger.warning("no connection to the model ahead of a call: %s", type(error).__name__)


def _load_speech() -> None:
    client = speech_client()
    for part in (client.listen.v1, client.speak.v1, client.speak.v1.audio):
        part.with_raw_response  # noqa: B018 (a look loads its module)
    parse: Any = construct_type
    parse(type_=V1SocketClientResponse, object_=_RESULTS)


async def _load_model() -> str:
    """Send requests to nobody and read the answers from memory, for the first time in this process:
    a failure, for which the SDK builds a hundred validators (20 ms in which nobody would be heard),
    and a reply; return what it says.
    """
    with suppress(ModelFailed):
        await _read(httpx2.Response(529, json=_OVERLOADED))
    return await _read(
        httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_REPLY)
    )


async def _read(answer: httpx2.Response) -> str:
    async def give(_request: httpx2.Request) -> httpx2.Response:
        return answer

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(give)) as nobody:
        sdk = AsyncAnthropic(
            api_key="none", base_url="http://nobody", http_client=nobody, max_retries=0
        )
        reply = write_reply(
            model="none",
            system_stable="-",
            system_call="-",
            messages=[{"role": "user", "content": "-"}],
            tools=[{"name": "none", "input_schema": {"type": "object"}}],
            client=sdk,
        )
        return "".join([str(piece) async for piece in reply])
