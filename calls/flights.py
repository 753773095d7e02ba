"""Flight logs as they lie in the database: pieces that the media process writes and a replay reads.

What is in them is ``media.flight``'s affair. They hold words, as transcripts do, and go with their
call.
"""

from collections.abc import Iterator

from calls.models import Call, FlightLog


def store_flight(call_pk: int, generation: int, number: int, data: bytes) -> None:
    """Commit a piece of a socket's flight log. One that is stored already stays as it is."""
    piece = FlightLog(call_id=call_pk, generation=generation, number=number, data=data)
    FlightLog.objects.bulk_create([piece], ignore_conflicts=True)


def flight_pieces(call: Call) -> Iterator[bytes]:
    """A call's pieces in the order in which they were recorded, socket after socket."""
    for data in call.flight_logs.values_list("data", flat=True):
        yield bytes(data)
