"""How anybody tells a live call something: news to the media processes, over the channel layer.

Every media process listens on the group ``media`` and routes by call; whoever does not have the
call ignores it. News may be lost; what must happen is also in the database.
"""

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from calls.models import Call

logger = logging.getLogger(__name__)

GROUP = "media"


def send_command(call: Call, kind: str, **data: Any) -> bool:
    """Send ``{"type": "call.command", "call_id", "kind", **data}`` to the media processes; say
    whether it went out.

    ``kind`` is ``hang_up`` (``reason``) or ``amd`` (``answered_by``); ``data`` must be JSON.
    """
    layer = get_channel_layer()
    if layer is None:
        return False
    message = {**data, "type": "call.command", "call_id": call.call_id, "kind": kind}
    try:
        async_to_sync(layer.group_send)(GROUP, message)
    except Exception:  # whatever the layer's transport raises: the caller's own work is done
        logger.exception("cannot send %s to the media process of %s", kind, call.call_id)
        return False
    return True
