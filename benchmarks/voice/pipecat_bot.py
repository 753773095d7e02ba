"""Two Pipecat bots on one server, after Pipecat's own Twilio template; in its own environment.
 ``python pipecat_bot.py PORT STUBS_URL default|tuned``.

``default`` is what its project generator writes for a telephone bot: Silero for voice activity and
the default turn strategies, which hold the local turn model (smart turn v3). ``tuned`` is as cheap
as its public options make it: no models, turns by the transcriber alone with no further wait, no
RTVI, turn tracking or metrics. Both at 8 kHz both ways, as the template says, so that nothing is
resampled; Pipecat takes frames as 16-bit PCM, so µ-law cannot go through it untouched.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import uvicorn
from anthropic import AsyncAnthropic
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.anthropic.llm import AnthropicLLMService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

STUBS, TUNED = sys.argv[2], sys.argv[3] == "tuned"
SOCKETS = STUBS.replace("http", "ws", 1)

logger.remove()
logger.add(sys.stderr, level="ERROR")
app = FastAPI()
client = AsyncAnthropic(api_key="k", base_url=STUBS)


@app.websocket("/media/twilio/")
async def call(websocket: WebSocket) -> None:
    await websocket.accept()
    _, data = await parse_telephony_websocket(websocket)
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            add_wav_header=False,
            serializer=TwilioFrameSerializer(
                stream_sid=data["stream_id"],
                params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
            ),
        ),
    )
    stt = DeepgramSTTService(api_key="k", base_url=SOCKETS)
    tts = DeepgramTTSService(api_key="k", base_url=SOCKETS)
    llm = AnthropicLLMService(
        api_key="k",
        client=client,
        settings=AnthropicLLMService.Settings(
            model="claude-haiku-5-5", system_instruction="You are Mia of Acme Dental."
        ),
    )
    if TUNED:
        params = LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(
                start=[TranscriptionUserTurnStartStrategy()],
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)],
            )
        )
    else:
        params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=params)
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant]),
        params=PipelineParams(
            audio_in_sample_rate=8000,
            audio_out_sample_rate=8000,
            enable_metrics=not TUNED,
            enable_usage_metrics=not TUNED,
        ),
        enable_rtvi=False if TUNED else None,
        enable_turn_tracking=not TUNED,
    )

    @transport.event_handler("on_client_disconnected")
    async def _gone(_transport: object, _client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        ws="websockets-sansio",
        loop="uvloop",
        ws_per_message_deflate=False,
        log_level="warning",
    )
