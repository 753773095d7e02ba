"""The reply window: how long after a text of ours the person may be answered automatically.

It starts when a text that we started is handed to the carrier, one for each person and number, and
again with each such text; what people write and automatic answers leave it as it is.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from sms.models import Message, Thread

DEFAULT_HOURS = 24


def open_window(thread: Thread, message: Message, at: datetime) -> None:
    """Let the person answer ``message`` from ``at`` on: its agent and context have the thread now.

    The caller holds the thread's row.
    """
    hours = message.reply_window_hours or DEFAULT_HOURS
    thread.agent_id = message.agent_id
    thread.context_prompt = message.context_prompt
    thread.reply_until = at + timedelta(hours=hours)
    thread.window_open = True
    thread.save(update_fields=["agent", "context_prompt", "reply_until", "window_open"])


def restore_window(thread_pk: int) -> None:
    """Put the window back to the newest text that did go out: one that was refused opens none."""
    thread = Thread.objects.select_for_update(no_key=True).get(pk=thread_pk)
    last = (
        thread.messages.started().filter(sent_at__isnull=False).order_by("-sent_at", "-pk").first()
    )
    if last is not None and last.sent_at is not None:
        open_window(thread, last, last.sent_at)
        return
    thread.agent, thread.context_prompt = None, ""
    thread.reply_until, thread.window_open = None, False
    thread.save(update_fields=["agent", "context_prompt", "reply_until", "window_open"])


def take_back(message: Message) -> None:
    """Note that a text has not been sent after all, where no part of it was."""
    if message.parts.exclude(carrier_sid="").exists():
        return
    Message.objects.filter(pk=message.pk).update(sent_at=None)
    if message.origin in Message.STARTS:
        restore_window(message.thread_id)


@transaction.atomic
def close_expired(now: datetime | None = None) -> int:
    """Bring ``window_open`` up to date with the clock; return how many windows had ended."""
    return Thread.objects.filter(window_open=True, reply_until__lte=now or timezone.now()).update(
        window_open=False
    )
