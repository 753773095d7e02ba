"""Calls for a soak: made and ended one by one, while others go on.

A process of its own, like ``benchmarks.voice.house``: for each line of JSON on its input it prints
one. ``{"begin": 7}`` lets person 7 call, ``{"end": sid}`` ends a call as the carrier's callback
does, ``{"state": true}`` counts what is on record.
"""

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from benchmarks.voice import house
from calls import services
from calls.models import Call, CallEvent, FlightLog, Turn
from nixflex import embedded


def end(sid: str) -> None:
    call = Call.objects.get(carrier_sid=sid)
    services.end_call(call.pk, Call.Status.COMPLETED, at=timezone.now())


def state() -> dict[str, int]:
    """What the database holds; ``connections`` are those of others to it, except for its
    own vacuum workers.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        [others] = cursor.fetchone() or [0]
    return {
        "connections": others,
        "occupying": Call.objects.occupying().count(),
        "turns": Turn.objects.count(),
        "events": CallEvent.objects.count(),
        "flight_pieces": FlightLog.objects.count(),
        "opened": CallEvent.objects.filter(kind="media opened").count(),
        "closed": CallEvent.objects.filter(kind="media closed").count(),
    }


def main() -> None:
    call_command("migrate", interactive=False, verbosity=0)
    number = house.number()
    for pk in list(Call.objects.filter(ended_at=None).values_list("pk", flat=True)):
        services.end_call(pk, Call.Status.COMPLETED, at=timezone.now())
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        if "begin" in order:
            answer = house.admit(number, order["begin"])
        elif "end" in order:
            end(order["end"])
        else:
            answer = state()
        print(json.dumps(answer), flush=True)
    connections.close_all()
    embedded.release(settings.DATA_DIR)


if __name__ == "__main__":
    main()
