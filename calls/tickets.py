"""One-time passes for media sockets: each TwiML answer mints one, bound to its call."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from calls.models import Call, MediaTicket

VALID_FOR = timedelta(seconds=120)
# So many openings in a row that no media process took: none will.
UNUSED_AT_MOST = 3


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


def nobody_takes_them(call: Call) -> bool:
    """Whether the last few passes of ``call`` were not used, so the carrier comes back again and
    again."""
    last = list(
        call.media_tickets.order_by("-pk").values_list("used_at", flat=True)[:UNUSED_AT_MOST]
    )
    return len(last) == UNUSED_AT_MOST and not any(last)


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
