"""``manage.py rehearse batchcall_…``"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.models import Campaign
from campaigns.rehearsal import ENOUGH_CALLS, Rehearsal, rehearse
from campaigns.samples import PEOPLE, converse, people


class Command(BaseCommand):
    help = (
        "Run a campaign on a virtual clock: when it will end, what will be missing, and how calls "
        "may go. Nobody is called."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="as batchcall_7f8fe206a5522cb7")
        parser.add_argument("--seed", type=int, default=1, help="another draw of the outcomes")
        parser.add_argument(
            "--samples", type=int, default=len(PEOPLE), help="conversations to show, as text"
        )
        parser.add_argument("--json", action="store_true", help="the forecast for a program")

    def handle(self, *, campaign: str, seed: int, samples: int, json: bool, **_: Any) -> None:
        found = Campaign.objects.filter(campaign_id=campaign).first()
        if found is None:
            raise CommandError(f"There is no campaign {campaign}.")
        shown = rehearse(found, seed=seed)
        if json:
            self.stdout.write(_as_json(shown))
            return
        self._tell(shown)
        for recipient, manner in people(found, samples):
            talk = converse(found, recipient, manner)
            self.stdout.write(f"\nRow {recipient.row_index}, somebody who {manner}:")
            for who, words in talk.lines:
                self.stdout.write(f"  {who:<6}  {words}")
            if talk.failure:
                self.stdout.write(f"  {talk.failure}")

    def _tell(self, shown: Rehearsal) -> None:
        say = self.stdout.write
        say(f"{shown.people} people wait; nobody is called now.")
        if shown.people < shown.of_people:
            say(f"They are the first of {shown.of_people}: the rest is not rehearsed.")
        say(
            "Outcomes are drawn from the account's last calls."
            if shown.from_history
            else f"Outcomes are assumed: the account has fewer than {ENOUGH_CALLS} campaign calls."
        )
        say(f"Starts {shown.starts_at:%Y-%m-%d %H:%M:%S} UTC.")
        if shown.ends_at:
            say(
                f"Ends   {shown.ends_at:%Y-%m-%d %H:%M:%S} UTC, after {shown.calls} calls, "
                f"{shown.calls_per_minute:.1f} a minute."
            )
        else:
            say(f"Stops after {shown.calls} calls: {shown.stopped_because}")
        for outcome, n in shown.outcomes.most_common():
            say(f"  {outcome:<10} {n:>6}  {100 * n / max(1, shown.people):.0f} %")
        if n := shown.counts["skipped"]:
            say(f"  skipped    {n:>6}  asked not to be called")
        say(f"Costs about ${shown.cost_micros / 1_000_000:.2f}.")
        for name, n in shown.missing.items():
            say(f"Missing: {n} people have no {{{name}}}.")


def _as_json(shown: Rehearsal) -> str:
    return json.dumps(
        {
            "starts_at": shown.starts_at.isoformat(),
            "ends_at": shown.ends_at.isoformat() if shown.ends_at else None,
            "from_history": shown.from_history,
            "people": shown.people,
            "calls": shown.calls,
            "outcomes": shown.outcomes,
        }
    )
