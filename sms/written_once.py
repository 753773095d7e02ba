"""An operator's form is sent once, however often the button was pressed or the browser asked."""

import hashlib

from django.core.cache import cache
from django.db import transaction

from sms.models import Message, Thread
from sms.services import write_as_operator

SENT_S = 24 * 3600


def write_once(thread: Thread, body: str, *, by: str, form_id: str) -> Message | None:
    """Do as ``services.write_as_operator`` does; None, and nothing is sent, where the form
    ``form_id`` brought these words before. What was refused may be sent again.

    Copies wait for each other, so that all of them are told what became of the first.
    """
    asked = f"{thread.pk}:{form_id}:{body.strip()}"
    sent = f"sms-form:{hashlib.sha256(asked.encode()).hexdigest()}"
    message = None
    try:
        with transaction.atomic():
            Thread.objects.select_for_update(no_key=True).get(pk=thread.pk)
            if form_id and cache.get(sent):
                return None
            message = write_as_operator(thread, body, by=by)
            cache.set(sent, 1, SENT_S)
    except Exception:
        if message is not None:  # what this one wrote was not committed
            cache.delete(sent)
        raise
    return message
