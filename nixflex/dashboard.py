"""What the dashboard shows on its front page, in its sidebar, and on every page."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Aggregate, Count, F, FloatField, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from accounts.models import Account, ApiKey
from agents.models import Agent, PhoneNumber
from calls.models import Call
from nixflex import health

PERIOD = timedelta(hours=24)
MOST_ROWS = 8

# The sidebar's groups, by icon and model; other models stand under the last one. A model is called
# there what its own page is called: its plural.
GROUPS: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "Conversations",
        [
            ("call", "calls.Call"),
            ("campaign", "campaigns.Campaign"),
            ("sms", "sms.Message"),
            ("outgoing_mail", "sms.TextCampaign"),
            ("forum", "sms.Thread"),
            ("contacts", "agents.Caller"),
            ("sticky_note_2", "agents.Note"),
        ],
    ),
    (
        "Setup",
        [
            ("support_agent", "agents.Agent"),
            ("dialpad", "agents.PhoneNumber"),
            ("do_not_disturb_on", "accounts.Suppression"),
            ("function", "agents.CustomFunction"),
            ("webhook", "webhooks.Endpoint"),
        ],
    ),
    (
        "Access",
        [
            ("apartment", "accounts.Account"),
            ("key", "accounts.ApiKey"),
            ("cell_tower", "accounts.CarrierAccount"),
            ("person", "accounts.User"),
        ],
    ),
]
LAST_GROUP = "Behind the scenes"


class Percentile(Aggregate):
    """A continuous percentile, as PostgreSQL counts it."""

    template = "percentile_cont(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def on_every_page(request: HttpRequest) -> dict[str, Any]:
    """Say on each page of the dashboard whether calls are simulated."""
    return {"sandbox": settings.SANDBOX, "development": settings.DEBUG}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: the models this user may see, in the operator's words."""
    models = {
        model._meta.label: model_admin
        for model, model_admin in admin.site._registry.items()
        if model_admin.has_view_permission(request)
    }

    def item(icon: str, label: str) -> dict[str, Any]:
        name = label.lower().replace(".", "_")
        title = capfirst(str(models[label].opts.verbose_name_plural))
        return {"title": title, "icon": icon, "link": reverse(f"admin:{name}_changelist")}

    front = {"title": "Dashboard", "icon": "space_dashboard", "link": reverse("admin:index")}
    docs = {"title": "API reference", "icon": "code", "link": reverse("api-docs")}
    groups: list[dict[str, Any]] = [{"items": [front]}]
    named = {label for _, entries in GROUPS for _, label in entries}
    for title, entries in GROUPS:
        items = [item(*entry) for entry in entries if entry[1] in models]
        if title == "Access":
            items.append(docs)
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    others = [item("database", label) for label in sorted(models) if label not in named]
    if others:
        groups.append(
            {"title": LAST_GROUP, "separator": True, "collapsible": True, "items": others}
        )
    return groups


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to ``context`` what an operator wants to know first: now, today, and what is wrong."""
    if not admin.site._registry[Call].has_view_permission(request):
        return context | {"title": "Dashboard"}
    recent = Call.objects.filter(created_at__gte=timezone.now() - PERIOD)
    return context | {
        "title": "Dashboard",
        "live": _live(),
        "figures": _figures(recent),
        "outcomes": _outcomes(recent),
        "attention": [*_processes(), *_setup(), *_failures(recent)],
        "hours": Account.objects.filter(is_active=True).order_by("pk")[:MOST_ROWS],
        "latest": Call.objects.select_related("agent")[:MOST_ROWS],
        "steps": _first_steps(),
    }


def _live() -> QuerySet[Call]:
    return Call.objects.occupying().select_related("agent").order_by("created_at")[:MOST_ROWS]


def _figures(recent: QuerySet[Call]) -> list[dict[str, Any]]:
    """The numbers at the top, each with a word on what it counts."""
    day = recent.aggregate(
        calls=Count("pk"),
        answered=Count("pk", filter=Q(answered_at__isnull=False)),
        talked_ms=Sum("duration_ms", default=0),
        typical_ms=Percentile(F("avg_latency_ms"), fraction=0.5),
        slow_ms=Percentile(F("avg_latency_ms"), fraction=0.95),
    )
    unfinished = Call.objects.unfinished().count()
    live = Call.objects.occupying().count()
    share = round(100 * day["answered"] / day["calls"]) if day["calls"] else None
    return [
        {
            "name": "Calls now",
            "value": live,
            "note": f"{unfinished - live} waiting for a line",
        },
        {
            "name": "Calls, last 24 h",
            "value": day["calls"],
            "note": f"{round(day['talked_ms'] / 60_000, 1):g} minutes talked",
        },
        {
            "name": "Answered",
            "value": "–" if share is None else f"{share} %",
            "note": f"{day['answered']} of {day['calls']}, voicemail included",
        },
        {
            "name": "Answer latency",
            "value": "–" if day["typical_ms"] is None else f"{day['typical_ms']:.0f} ms",
            "note": "median of calls’ averages"
            if day["slow_ms"] is None
            else f"median of calls; 95 % under {day['slow_ms']:.0f} ms",
        },
    ]


def _outcomes(recent: QuerySet[Call]) -> list[dict[str, Any]]:
    """How calls ended, the most frequent first; ``percent`` is of all that ended."""
    rows = list(
        recent.exclude(ended_reason="")
        .values("ended_reason")
        .annotate(calls=Count("pk"))
        .order_by("-calls", "ended_reason")
    )
    total = sum(row["calls"] for row in rows)
    link = reverse("admin:calls_call_changelist")
    return [
        {
            "name": Call.EndedReason(row["ended_reason"]).label,
            "calls": row["calls"],
            "percent": round(100 * row["calls"] / total),
            "link": f"{link}?ended_reason__exact={row['ended_reason']}",
        }
        for row in rows
    ]


def _processes() -> list[dict[str, str]]:
    if (word := health.word_on(health.beat)) == "ok":
        return []
    return [
        {
            "text": f"Nothing is dialled or swept at the moment: {word} "
            "`manage.py doctor` says what is wrong.",
            "link": "",
        }
    ]


def _setup() -> list[dict[str, str]]:
    """Numbers that ring nowhere, and agents whom nobody can call from."""
    found = [
        {
            "text": f"{number} has no agent: calls to it are not taken.",
            "link": reverse("admin:agents_phonenumber_change", args=[number.pk]),
        }
        for number in PhoneNumber.objects.filter(agent=None, inbound_enabled=True)[:MOST_ROWS]
    ]
    found += [
        {
            "text": f"{number}’s agent {number.agent} is not active: calls to it are not taken.",
            "link": reverse("admin:agents_agent_change", args=[number.agent_id]),
        }
        for number in PhoneNumber.objects.filter(
            agent__is_active=False, inbound_enabled=True
        ).select_related("agent")[:MOST_ROWS]
    ]
    return found


def _failures(recent: QuerySet[Call]) -> list[dict[str, str]]:
    """The latest failed calls, each with its reason."""
    return [
        {
            "text": f"Call to {call.their_number} failed: "
            f"{call.error_message or call.get_ended_reason_display()}",
            "link": reverse("admin:calls_call_change", args=[call.pk]),
        }
        for call in recent.filter(status=Call.Status.FAILED)[:MOST_ROWS]
    ]


def _first_steps() -> dict[str, Any] | None:
    """Return what is still to do before the first call, with that call as curl; None after it."""
    if Call.objects.exists():
        return None
    number = PhoneNumber.objects.exclude(agent=None).select_related("agent").first()
    agent = number.agent if number else Agent.objects.first()
    return {
        "agent": agent,
        "number": number,
        "key": ApiKey.objects.filter(revoked_at=None).exists(),
        "url": f"{settings.PUBLIC_URL}/v1/calls/outbound",
        "agent_id": agent.agent_id if agent else "agent_…",
        "to_number": "+12025550110" if settings.SANDBOX else "+44<your mobile>",
    }
