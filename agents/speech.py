"""The voice's door for what is said as a whole, beside any live stream: a file to be played.

Synchronous; live speech has a streaming door of its own in ``media``.
"""

import io
import wave

from django.conf import settings

RATE = 8_000
CONNECT_AND_SPEAK_S = 6.0


class SpeechFailed(Exception):
    """The text could not be spoken. ``str`` names the failure in one word."""


def speak(text: str, *, voice: str, speed: float | None = None) -> bytes:
    """Return ``text`` as a WAV file, 16 bit mono at 8 kHz. ``voice`` is the service's own name for
    it. Raises ``SpeechFailed``.
    """
    # Loading the SDK takes a while: only a process that speaks pays for it.
    import httpx
    from deepgram import DeepgramClient
    from deepgram.core.api_error import ApiError
    from deepgram.core.request_options import RequestOptions
    from deepgram.environment import DeepgramClientEnvironment

    base = settings.DEEPGRAM_API_URL.rstrip("/")
    client = DeepgramClient(
        api_key=settings.DEEPGRAM_API_KEY,
        environment=DeepgramClientEnvironment(
            base=base, production=base, agent=base, agent_rest=base
        ),
        timeout=CONNECT_AND_SPEAK_S,
    )
    try:
        samples = b"".join(
            client.speak.v1.audio.generate(
                text=text,
                model=voice,
                encoding="linear16",
                sample_rate=RATE,
                # The service's own header is written before the length is known.
                container="none",
                speed=speed,
                request_options=RequestOptions(max_retries=0),
            )
        )
    except (ApiError, httpx.HTTPError, OSError) as failure:
        raise SpeechFailed(type(failure).__name__) from failure
    if not samples:
        raise SpeechFailed("silence")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples)
    return file.getvalue()
