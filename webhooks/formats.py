"""An event in the words of who receives it."""

import json
from typing import Any

from webhooks import gohighlevel
from webhooks.models import Endpoint, Event

_OUTCOMES = {True: "successful", False: "not successful", None: "not judged"}


def body_for(endpoint: Endpoint, event: Event) -> str:
    """Return the JSON that ``endpoint`` gets: the event as it is, but for Slack, which shows
    text, and for GoHighLevel, which keeps a note."""
    if endpoint.kind == Endpoint.Kind.SLACK:
        return json.dumps(_slack(json.loads(event.body)), ensure_ascii=False)
    if endpoint.kind == Endpoint.Kind.GOHIGHLEVEL:
        note = gohighlevel.body_for(json.loads(event.body))
        return json.dumps(note, ensure_ascii=False)
    return event.body


def _slack(call: dict[str, Any]) -> dict[str, str]:
    """Spec 5.1: summary, the other side's number and the outcome, nothing else."""
    inbound = call.get("direction") == "inbound"
    other = _plain(call.get("from") if inbound else call.get("to"))
    way = "from" if inbound else "to"
    outcome = f"{_OUTCOMES.get(call.get('successful'))} ({_plain(call.get('ended_reason'))})"
    summary = _plain(call.get("summary")) or "No summary."
    return {"text": f"Call {way} {other}: {outcome}\n{summary}"}


def _plain(value: Any) -> str:
    # What a caller said must not become a mention or a link.
    text = str(value or "")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
