"""A finished call as GoHighLevel keeps it: a note on the person's contact (API version 2021-07-28).

The contact is found or made by the phone number. Its own tags stay: the tags of an upsert would
replace them, so ours are added by a request of their own. The note comes last: a delivery that is
tried again repeats only what may be repeated.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.conf import settings

from accounts import net

VERSION = "2021-07-28"
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Crm:
    """A location of GoHighLevel, and the private integration token that may write to it."""

    token: str
    location_id: str
    tags: tuple[str, ...] = ()

    @classmethod
    def read(cls, stored: str) -> "Crm":
        fields = json.loads(stored)
        return cls(fields["pit"], fields["location_id"], tuple(fields.get("tags") or ()))

    def stored(self) -> str:
        """Return it as ``read`` takes it, the token included."""
        return json.dumps(
            {"pit": self.token, "location_id": self.location_id, "tags": list(self.tags)}
        )


def body_for(call: Mapping[str, Any]) -> dict[str, str]:
    """Return what a call leaves: the other side's ``phone`` (E.164, or what the carrier gave) and
    the ``note``.
    """
    inbound = call.get("direction") == "inbound"
    judged = {True: "successful", False: "not successful"}.get(
        call.get("successful"),  # type: ignore[arg-type]
        "not judged",
    )
    lines = [
        f"{'Inbound' if inbound else 'Outbound'} call, {call.get('started_at') or ''}".rstrip(", "),
        f"Outcome: {judged} ({call.get('ended_reason') or 'unknown'})",
        str(call.get("summary") or "No summary."),
    ]
    extracted = call.get("extracted") or {}
    lines += [f"{name}: {value}" for name, value in extracted.items() if value is not None]
    if call.get("recording_url"):
        lines.append(f"Recording: {call['recording_url']}")
    lines.append(f"Call {call.get('call_id') or ''}")
    other = call.get("from") if inbound else call.get("to")
    return {"phone": str(other or ""), "note": "\n".join(lines)}


async def tell(crm: Crm, body: Mapping[str, str]) -> net.Answer:
    """Put ``body_for``'s note on the person's contact.

    Returns the first answer that is not a success, else the last one. Raises ``net.RequestFailed``.
    """
    found = await _post(
        crm, "/contacts/upsert", {"locationId": crm.location_id, "phone": body["phone"]}
    )
    if not 200 <= found.status < 300:
        return found
    contact = f"/contacts/{quote(_contact_id(found.content), safe='')}"
    if crm.tags:
        tagged = await _post(crm, f"{contact}/tags", {"tags": list(crm.tags)})
        if not 200 <= tagged.status < 300:
            return tagged
    return await _post(crm, f"{contact}/notes", {"body": body["note"]})


def _contact_id(content: bytes) -> str:
    try:
        contact_id = json.loads(content)["contact"]["id"]
    except (ValueError, LookupError, TypeError) as error:
        raise net.RequestFailed("no contact in the answer") from error
    if not isinstance(contact_id, str) or not contact_id:
        raise net.RequestFailed("no contact in the answer")
    return contact_id


async def _post(crm: Crm, path: str, body: Mapping[str, Any]) -> net.Answer:
    return await net.arequest(
        "POST",
        f"{settings.GOHIGHLEVEL_API_URL}{path}",
        content=json.dumps(body, ensure_ascii=False).encode(),
        headers={
            "Authorization": f"Bearer {crm.token}",
            "Version": VERSION,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        timeout_s=TIMEOUT_S,
    )
