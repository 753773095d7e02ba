"""What we answer the carrier when it asks what to do with a call."""

from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse


def connect_stream(*, media_url: str, token: str, then_url: str, ring_s: int = 0) -> str:
    """Connect the call to our media socket, and come back to ``then_url`` if the socket dies before
    the call does.

    ``ring_s`` lets an inbound call ring so long first (a leading pause is not an answer). The
    one-time ``token`` travels as the stream parameter ``t``: the carrier refuses a query string on
    the URL.
    """
    stream = Stream(url=media_url)
    stream.parameter(name="t", value=token)
    connect = Connect()
    connect.append(stream)
    response = VoiceResponse()
    if ring_s:
        response.pause(length=ring_s)
    response.append(connect)
    response.redirect(then_url, method="POST")
    return str(response)


def pause_and_ask_again(seconds: int, url: str) -> str:
    """Silence (ringing, where nobody has picked up yet), and then what ``url`` answers."""
    response = VoiceResponse()
    response.pause(length=seconds)
    response.redirect(url, method="POST")
    return str(response)


def put_through(
    *,
    to: str,
    caller_id: str,
    ring_s: int,
    longest_s: int,
    then_url: str,
    progress_url: str,
    whisper_url: str = "",
) -> str:
    """Ring ``to`` while the caller hears it ring, connect the two, and ask ``then_url`` when they
    have parted or nobody answered.

    ``whisper_url`` answers what the called party alone hears first. ``caller_id`` must be a number
    of the account.
    """
    dial = Dial(
        caller_id=caller_id, timeout=ring_s, time_limit=longest_s, action=then_url, method="POST"
    )
    whisper = {"url": whisper_url, "method": "POST"} if whisper_url else {}
    dial.number(
        to,
        status_callback=progress_url,
        status_callback_method="POST",
        status_callback_event="ringing answered completed",
        **whisper,
    )
    response = VoiceResponse()
    response.append(dial)
    return str(response)


def whisper(*, then_url: str, audio_url: str = "", words: str = "", language: str = "") -> str:
    """Play ``audio_url`` (a WAV file), else say ``words`` in the carrier's own voice; then do what
    ``then_url`` answers.
    """
    response = VoiceResponse()
    if audio_url:
        response.play(audio_url)
    elif words:
        response.say(words, **({"language": language} if language else {}))
    response.redirect(then_url, method="POST")
    return str(response)


def nothing() -> str:
    """The end of a document: a called party is connected then, a caller hung up on."""
    return str(VoiceResponse())


def hang_up() -> str:
    response = VoiceResponse()
    response.hangup()
    return str(response)


def say_and_hang_up(words: str, *, language: str | None = None) -> str:
    """Say ``words`` in the carrier's voice of ``language`` (``fr-FR``), and end the call."""
    response = VoiceResponse()
    response.say(words, language=language)
    response.hangup()
    return str(response)


def reject_busy() -> str:
    """A busy tone. The call is never answered, so it costs nobody anything."""
    response = VoiceResponse()
    response.reject(reason="busy")
    return str(response)


def nothing_to_send() -> str:
    """The answer to a text that came in: we reply, if at all, by a request of our own."""
    return str(MessagingResponse())
