"""A campaign that runs, seen from outside."""

from collections import Counter
from typing import Any

from calls import services as calls
from calls.models import Call
from campaigns import outcomes
from campaigns.models import Campaign

ROOMY = 1000


def states(campaign: Campaign) -> Counter[str]:
    return Counter(campaign.recipients.values_list("status", flat=True))


def end(call: Call, status: str = "completed", **how: Any) -> None:
    calls.move_call(call.pk, "in-progress") if status == "completed" else None
    calls.end_call(call.pk, status, **how)
    outcomes.settle(call.pk)
