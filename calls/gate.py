"""The pre-call gate: the customer's server is asked before a call that comes in is answered
(spec 5.7).

It is asked once, waited for five seconds, and a gate that is silent or broken is open.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from django.core.cache import cache

from accounts.errors import ApiError
from accounts.net import RequestFailed, request
from agents.callers import checked_fields
from calls.models import Call

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
# Longer than any call: what the gate says of a caller holds for this call and is never stored.
KEPT_S = 3_600


def lets_in(call: Call) -> bool:
    """Ask the number's gate, else its agent's, about a call that rings; False only if it says so.

    What it tells of the caller is kept for ``told_of``.
    """
    number_url = call.number.precall_webhook_url if call.number else None
    url = number_url or (call.agent.precall_webhook_url if call.agent else None)
    if not url:
        return True
    answer = _ask(url, call)
    if answer.get("action") == "reject":
        logger.info("the pre-call gate turned %s away", call.call_id)
        return False
    if (told := _fields(answer.get("caller"), call)) != {}:
        cache.set(_key(call), told, KEPT_S)
    return True


def told_of(call: Call) -> dict[str, str]:
    """Return what the gate said of the caller, by field of ``Caller``; it holds for this call."""
    told: dict[str, str] = cache.get(_key(call)) or {}
    return told


def _key(call: Call) -> str:
    return f"gate:{call.call_id}"


def _ask(url: str, call: Call) -> dict[str, Any]:
    """Return the gate's answer, {} if there was none that can be read."""
    about = {
        "event": "call.inbound",
        "from": call.from_number,
        "to": call.to_number,
        "call_id": call.call_id,
    }
    try:
        answer = request(
            "POST",
            url,
            content=json.dumps(about).encode(),
            headers={"Content-Type": "application/json"},
            timeout_s=TIMEOUT_S,
        )
        said = json.loads(answer.content) if answer.status == 200 else {}
    except (RequestFailed, ValueError, RecursionError) as error:
        logger.warning("no answer of the pre-call gate for %s: %s", call.call_id, _name(error))
        return {}
    return said if isinstance(said, dict) else {}


def _name(error: Exception) -> str:
    return str(error) if isinstance(error, RequestFailed) else "not JSON"


def _fields(caller: Any, call: Call) -> dict[str, str]:
    """The usable fields of what the gate sent; a bad one is dropped and the call goes on."""
    told: dict[str, str] = {}
    given: Mapping[str, Any] = caller if isinstance(caller, dict) else {}
    for name, value in given.items():
        try:
            text = checked_fields({name: value})[name]
        except ApiError as error:
            logger.warning(
                "a field of the pre-call gate was dropped for %s: %s", call.call_id, error.code
            )
            continue
        if text:
            told[name] = text
    return told
