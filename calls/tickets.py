"""One-time passes for media sockets: each TwiML answer mints one, bound to its call."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from calls.models import Call, MediaTicket

VALID_FOR = timedelta(seconds=120)


def issue(call: Call) -> str:
    """Mint a pass for ``call`` and return it. Only its hash is stored."""
    token = secrets.token_urlsafe(32)
    MediaTicket.objects.create(
        call=call, token_sha256=sha256(token), expires_at=timezone.now() + VALID_FOR
    )
    return token


def redeem(token: str) -> int | None:
    """Use the pass up and return its call's key; None if it is unknown, used or expired."""
    now = timezone.now()
    ticket = MediaTicket.objects.filter(token_sha256=sha256(token)).first()
    if ticket is None:
        return None
    unused = MediaTicket.objects.filter(pk=ticket.pk, used_at=None, expires_at__gt=now)
    return ticket.call_id if unused.update(used_at=now) else None


def last_is_untaken(call: Call) -> bool:
    """Whether the newest pass of ``call`` opened no socket: nobody took the last one."""
    last = call.media_tickets.order_by("-pk").first()
    return last is not None and last.used_at is None


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
