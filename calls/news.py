"""What a call's listeners are told (spec 5.2, 5.3), written into the outbox with the change."""

from datetime import UTC, datetime
from typing import Any

from calls.models import Call
from calls.outputs import transcript
from calls.recordings import signed_url
from webhooks import outbox


def tell_started(call: Call) -> None:
    """Write ``call.started``, in the caller's transaction."""
    _emit(call, _payload(call, "call.started"))


def tell_completed(call: Call) -> None:
    """Write ``call.completed`` of a call that is over, in the caller's transaction."""
    _emit(call, _payload(call, "call.completed", is_over=True))


def tell_analyzed(call: Call) -> None:
    """Write ``call.analyzed``: the analysis came, or came again, after ``call.completed``."""
    _emit(call, _payload(call, "call.analyzed", is_over=True))


def _emit(call: Call, payload: dict[str, Any]) -> None:
    agent = call.agent
    outbox.emit(
        call.account,
        payload["event"],
        payload,
        subject=call.call_id,
        phone_number=call.our_number,
        agent_id=call.agent_public_id,
        agent_url=agent.webhook_url if agent else None,
        api_key=agent.api_key if agent else None,
    )


def _payload(call: Call, event: str, *, is_over: bool = False) -> dict[str, Any]:
    """The documented fields, and the call's ``metadata`` as it was given; before the end, what is
    known only after it is null.
    """
    told: dict[str, Any] = {
        "event": event,
        "call_id": call.call_id,
        "agent_id": call.agent_public_id,
        "direction": call.direction,
        "from": call.from_number,
        "to": call.to_number,
        "status": call.status,
        "ended_reason": None,
        "started_at": _iso(call.created_at),
        "ended_at": None,
        "duration_seconds": None,
        "transcript": None,
        "summary": None,
        "sentiment": None,
        "successful": None,
        "extracted": None,
        "bookings": [],
        "recording_url": None,
        "recording_duration_seconds": None,
        "voicemail_detected": None,
        "campaign_id": call.campaign_id or None,
        "avg_latency_ms": None,
        "metadata": call.metadata,
    }
    return told | _outcome(call) if is_over else told


def _outcome(call: Call) -> dict[str, Any]:
    return {
        "ended_reason": call.ended_reason,
        "ended_at": _iso(call.ended_at),
        "duration_seconds": round(call.duration_ms / 1000),
        "transcript": transcript(list(call.turns.all()), agent="Agent"),
        "summary": call.call_summary or None,
        "sentiment": call.caller_sentiment or None,
        "successful": call.call_successful,
        "extracted": call.extracted_data or None,
        "bookings": call.bookings,
        "recording_url": signed_url(call),
        "recording_duration_seconds": call.recording_duration_s,
        "voicemail_detected": call.voicemail_detected,
        "avg_latency_ms": call.avg_latency_ms,
        "caller_name": call.caller_name or None,
        "call_reason": call.call_reason or None,
    }


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
