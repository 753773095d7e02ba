"""What we answer the carrier when it asks what to do with a call."""

from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse


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


def hang_up() -> str:
    response = VoiceResponse()
    response.hangup()
    return str(response)


def say_and_hang_up(words: str) -> str:
    response = VoiceResponse()
    response.say(words)
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
