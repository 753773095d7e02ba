"""How many calls there may be at once, all of this installation's together."""

from django.conf import settings

from calls import presence


def lines() -> int:
    """Return what the operator allows, or less where the speech service would refuse them.

    A live call holds one socket of the transcriber and one of the voice. The service limits both
    for a project, whatever number of processes it has, and answers 429 to one more; of those to the
    voice each media process keeps some open that no call has yet. At least one line is left.
    """
    ahead = settings.VOICE_SOCKETS_AHEAD * len(presence.alive())
    voices = settings.VOICE_SOCKETS - ahead
    return max(1, min(settings.MAX_CONCURRENT_CALLS, settings.TRANSCRIBER_SOCKETS, voices))
