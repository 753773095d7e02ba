"""A campaign's rules in the operator's words: when people are called, how often, when it stops."""

from accounts.hours.windows import Window
from campaigns.dispatch import BREAKER_CALLS, BREAKER_SHARE
from campaigns.models import Campaign, Recipient


def rules_of(campaign: Campaign) -> list[str]:
    """Return one sentence for each rule that holds."""
    rules = [_hours(campaign), *_retries(campaign)]
    if campaign.max_concurrent is not None:
        rules.append(f"At most {campaign.max_concurrent} calls at a time.")
    if campaign.max_calls is not None:
        rules.append(f"It pauses after {campaign.max_calls} calls.")
    if campaign.max_cost_micros is not None:
        rules.append(f"It pauses once its calls have cost ${campaign.max_cost_micros / 1e6:.2f}.")
    if campaign.stop_on_failures:
        rules.append(
            f"It pauses when {BREAKER_SHARE:.0%} of the last {BREAKER_CALLS} calls failed."
        )
    return rules


def _hours(campaign: Campaign) -> str:
    parts = []
    if campaign.keeps_law:
        parts.append("at the lawful hours of each person's place")
    if campaign.windows:
        own = ", ".join(str(Window.from_json(window)) for window in campaign.windows)
        parts.append(
            f"{own} on each person's own clock ({campaign.timezone} where that is unknown)"
        )
    return f"Only {' and '.join(parts)}." if parts else "At any hour."


def _retries(campaign: Campaign) -> list[str]:
    return [
        f"{Recipient.Outcome(outcome).label}: called again {_times(rule['times'])}, after "
        f"{rule['after_minutes']} minutes"
        + (" and at another hour of the day." if rule.get("other_hour") else ".")
        for outcome, rule in campaign.retries.items()
    ] or ["Nobody is called twice."]


def _times(n: int) -> str:
    return "once" if n == 1 else f"up to {n} times"
