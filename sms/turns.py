"""A thread's turn to be answered: ``Thread.answer_due_at`` and the texts that wait.

Written as SQL, which is ready at once: all of it is asked for each answer. The caller is in a
transaction.
"""

from datetime import datetime

from django.db import connection

from sms.models import Message, Thread

_DUE = """
    SELECT * FROM sms_thread WHERE answer_due_at <= %s ORDER BY answer_due_at LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
"""
_THREAD = "SELECT * FROM sms_thread WHERE id = %s FOR NO KEY UPDATE"
_NEWEST = """
    SELECT * FROM sms_message WHERE thread_id = %s AND reply = 'pending'
    ORDER BY created_at DESC, id DESC LIMIT 1
"""
_HOLD = "UPDATE sms_thread SET answer_due_at = %s WHERE id = %s"
_SETTLE = "UPDATE sms_message SET reply = %s WHERE reply = 'pending' AND thread_id = %s"
_CLOSE = """
    UPDATE sms_thread SET answer_due_at = NULL, answer_failures = 0, needs_human = %s WHERE id = %s
"""


def next_due(now: datetime) -> Thread | None:
    """Lock the thread that has been due for longest and that nobody else has."""
    return next(iter(Thread.objects.raw(_DUE, [now])), None)


def lock(thread_pk: int) -> Thread | None:
    """Lock a thread; None if it was erased."""
    return next(iter(Thread.objects.raw(_THREAD, [thread_pk])), None)


def newest_waiting(thread: Thread) -> Message | None:
    """Return the newest text that waits for an answer."""
    newest = next(iter(Message.objects.raw(_NEWEST, [thread.pk])), None)
    if newest is not None:
        newest.thread = thread
    return newest


def hold(thread: Thread, until: datetime) -> None:
    """Keep others from the thread while one step of an answer is made; then it comes due again."""
    thread.answer_due_at = until
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [until, thread.pk])


def close(thread: Thread, reply: str = "") -> None:
    """End the turn: the texts that wait have got ``reply``."""
    thread.answer_due_at, thread.answer_failures = None, 0
    with connection.cursor() as cursor:
        if reply:
            cursor.execute(_SETTLE, [reply, thread.pk])
        cursor.execute(_CLOSE, [thread.needs_human, thread.pk])
