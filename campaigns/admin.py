"""Campaigns in the dashboard: upload people, see when they can be called, watch and steer."""

import io
import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Model, QuerySet
from django.db.models.functions import TruncHour, TruncMinute
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from accounts.admin_pages import key_in, page_of_admin
from accounts.errors import ApiError
from accounts.read_only_admin import ReadOnlyAdmin
from campaigns import outputs, services
from campaigns.forms import MAPPED, NewCampaignForm, ScheduleForm, remap
from campaigns.models import Campaign, CampaignEvent, Recipient, RecipientCall
from campaigns.preview import preview
from campaigns.progress import counts_of, progress_of
from campaigns.rehearsal import ENOUGH_CALLS, rehearse
from campaigns.rows import CsvFile
from campaigns.rules import rules_of
from campaigns.samples import PEOPLE, converse, people
from campaigns.texts.admin import TextCampaignAdmin as TextCampaignAdmin  # registers it

Status = Campaign.Status
_COLOURS = {
    Status.DRAFT: "info",
    Status.SCHEDULED: "info",
    Status.RUNNING: "primary",
    Status.PAUSED: "warning",
    Status.COMPLETED: "success",
    Status.CANCELED: "warning",
    Status.FAILED: "danger",
}
_OUTCOME_COLOURS = {
    "answered": "#16a34a",
    "voicemail": "#7c3aed",
    "no-answer": "#d97706",
    "busy": "#0891b2",
    "failed": "#dc2626",
    "canceled": "#6b7280",
}
_PREVIEW_ROWS = 5
_BAD_ROWS = 100
_LATEST = 12
# People rehearsed while somebody waits for the page.
_REHEARSED = 300
_ACTIONS: dict[str, Callable[[int], Any]] = {
    "launch": services.launch,
    "pause": services.pause,
    "resume": services.resume,
    "cancel": services.cancel,
    "retry": services.retry_unanswered,
}
_OFFERED = {
    Status.DRAFT: ("launch", "cancel"),
    Status.SCHEDULED: ("launch", "pause", "cancel"),
    Status.RUNNING: ("pause", "cancel"),
    Status.PAUSED: ("resume", "cancel"),
    Status.COMPLETED: ("retry",),
    Status.FAILED: ("launch", "cancel"),
}
_LABELS = {
    "launch": "Launch now",
    "pause": "Pause",
    "resume": "Resume",
    "cancel": "Cancel for good",
    "retry": "Call the unanswered again",
}


@admin.register(Campaign)
class CampaignAdmin(ModelAdmin):
    """A campaign's page is its live progress; nothing about it is changed by editing fields."""

    when_empty = (
        "A campaign calls everybody in a CSV for one purpose. Nothing is dialled on upload."
    )
    list_display = ("name", "shown_status", "share", "answered", "people", "agent", "created_at")
    list_filter = ("status", "account")
    list_select_related = ("agent",)
    search_fields = ("name", "campaign_id")
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("columns/", view(self.columns), name="campaigns_campaign_columns"),
            path("<int:pk>/live/", view(self.live), name="campaigns_campaign_live"),
            path("<int:pk>/do/<str:what>/", view(self.do), name="campaigns_campaign_do"),
            path("<int:pk>/schedule/", view(self.schedule), name="campaigns_campaign_schedule"),
            path("<int:pk>/rehearse/", view(self.rehearse), name="campaigns_campaign_rehearse"),
            path(
                "<int:pk>/rehearse/<int:recipient_pk>/<str:manner>/",
                view(self.talk),
                name="campaigns_campaign_talk",
            ),
            path("<int:pk>/results.csv", view(self.results), name="campaigns_campaign_results"),
        ]
        return [*own, *super().get_urls()]

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        rows: QuerySet[Campaign] = super().get_queryset(request)
        return rows.order_by("-created_at", "-pk")

    def _counted(self, campaign: Any) -> Any:
        if not hasattr(campaign, "_progress"):
            campaign._progress = counts_of([campaign])[campaign.pk]
        return campaign._progress

    @display(description="Status", ordering="status", label=_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, campaign: Campaign) -> tuple[str, str]:
        return campaign.status, campaign.get_status_display()

    @admin.display(description="Progress")
    def share(self, campaign: Campaign) -> SafeString:
        percent = round(100 * self._counted(campaign).share)
        return format_html('<progress max="100" value="{}"></progress> {} %', percent, percent)

    @admin.display(description="Answered")
    def answered(self, campaign: Campaign) -> int:
        return int(self._counted(campaign).outcomes[Recipient.Outcome.ANSWERED])

    @admin.display(description="People")
    def people(self, campaign: Campaign) -> int:
        return int(self._counted(campaign).total)

    # --- a new one ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewCampaignForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                campaign = self._create(form)
            except ApiError as error:
                form.add_error("file", error.message)
            else:
                return redirect("admin:campaigns_campaign_change", campaign.pk)
        return page_of_admin(self, request, "campaigns/add.html", "New campaign", form=form)

    def _create(self, form: NewCampaignForm) -> Campaign:
        given = form.cleaned_data
        with transaction.atomic():
            campaign = services.create_campaign(
                given["agent"].account,
                agent=given["agent"],
                number=given["number"],
                **given["fields"],
            )
            services.add_people(campaign.pk, given["rows"])
        return campaign

    def columns(self, request: HttpRequest) -> HttpResponse:
        """Show the columns of the first bytes of a file, which the browser sends before all of
        it."""
        if not self.has_add_permission(request) or request.method != "POST":
            raise PermissionDenied
        file = request.FILES.get("start")
        start = file.read() if file else b""
        if request.POST.get("cut"):  # the last line is not whole
            start = start[: start.rfind(b"\n") + 1] or start
            start = start[: len(start) - len(start) % 2] if start[:2] in _UTF_16 else start
        context: dict[str, Any] = {}
        try:
            rows = CsvFile(io.BytesIO(start), request.POST.get("region", "").upper() or None)
            remap(rows, request.POST)
            context = {"rows": list(islice(rows, _PREVIEW_ROWS)), "file": rows}
            chosen = {name: getattr(rows.columns, name) for name in MAPPED}
            context["chosen"] = [(name, name.replace("_", " "), chosen[name]) for name in MAPPED]
            context["header"] = list(enumerate(rows.header))
        except ApiError as error:
            context = {"problem": error.message}
        return TemplateResponse(request, "campaigns/columns.html", context)

    # --- one campaign ---

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        campaign = self._found(request, key_in(object_id))
        waiting = campaign.status in {Status.DRAFT, Status.SCHEDULED, Status.PAUSED}
        may_change = self.has_change_permission(request)
        offered = _OFFERED.get(Status(campaign.status), ()) if may_change else ()
        over = campaign.status in {Status.COMPLETED, Status.CANCELED, Status.FAILED}
        return page_of_admin(
            self,
            request,
            "campaigns/campaign.html",
            campaign.name,
            campaign=campaign,
            colour=_COLOURS[Status(campaign.status)],
            actions=[(name, _LABELS[name]) for name in offered],
            polls=not over and campaign.status != Status.DRAFT,
            preview=preview(campaign) if waiting or campaign.status == Status.RUNNING else None,
            can_rehearse=may_change and waiting,
            can_schedule=may_change and campaign.status == Status.DRAFT,
            bad_rows=campaign.intake.get("invalid", [])[:_BAD_ROWS],
            chart=self._chart(campaign),
            rules=rules_of(campaign),
            events=[
                {"at": event.at, "shown": event.kind.replace("_", " "), "data": event.data}
                for event in campaign.events.order_by("-at", "-pk")[:_LATEST]
            ],
            **self._live(campaign),
        )

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of a campaign's page that changes, for htmx."""
        campaign = self._found(request, pk)
        response = TemplateResponse(
            request, "campaigns/live.html", {"campaign": campaign, **self._live(campaign)}
        )
        if campaign.status != request.GET.get("status", campaign.status):
            response["HX-Refresh"] = "true"  # other buttons, other parts
        return response

    def _live(self, campaign: Campaign) -> dict[str, Any]:
        made = RecipientCall.objects.filter(campaign=campaign).select_related("recipient", "call")
        progress = progress_of(campaign)
        return {
            "progress": progress,
            "percent": round(100 * progress.share),
            "cost": progress.cost_micros / 1_000_000,
            "shares": [
                (name, n, _OUTCOME_COLOURS[name], 100 * n / progress.total)
                for name, n in progress.outcomes.items()
                if n and progress.total
            ],
            "on_line": made.filter(settled_at=None).order_by("-pk")[:_LATEST],
            "latest": made.filter(settled_at__isnull=False).order_by("-settled_at")[:_LATEST],
        }

    def _chart(self, campaign: Campaign) -> str:
        """What became of the calls over time, as the data of a bar chart; "" if there were none."""
        if campaign.ended_at is None or campaign.launched_at is None:
            return ""
        short = (campaign.ended_at - campaign.launched_at).total_seconds() < 2 * 3600
        unit = TruncMinute("settled_at") if short else TruncHour("settled_at")
        rows = (
            campaign.calls.exclude(outcome="")
            .filter(settled_at__isnull=False)
            .annotate(unit=unit)
            .order_by("unit")
            .values_list("unit", "outcome")
            .annotate(n=Count("pk"))
        )
        cells = Counter({(unit, outcome): n for unit, outcome, n in rows})
        units = sorted({unit for unit, _ in cells})
        if not units:
            return ""
        form = "%H:%M" if short else "%d %b %H:00"
        sets = [
            {
                "label": name,
                "data": [cells[unit, name] for unit in units],
                "backgroundColor": colour,
                "stack": "calls",
                "barPercentage": 0.8,
                "categoryPercentage": 0.9,
                "maxBarThickness": 48,
                "borderRadius": 0,  # round corners would show through at the foot of a stack
                "displayYAxis": True,
            }
            for name, colour in _OUTCOME_COLOURS.items()
            if any(cells[unit, name] for unit in units)
        ]
        return json.dumps({"labels": [f"{unit:{form}}" for unit in units], "datasets": sets})

    def do(self, request: HttpRequest, pk: int, what: str) -> HttpResponseBase:
        campaign = self._to_change(request, pk)
        if what not in _ACTIONS:
            raise PermissionDenied
        try:
            _ACTIONS[what](campaign.pk)
        except ApiError as error:
            messages.error(request, error.message)
        return redirect("admin:campaigns_campaign_change", pk)

    def schedule(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        campaign = self._to_change(request, pk)
        form = ScheduleForm(request.POST, zone=campaign.timezone)
        if not form.is_valid():
            messages.error(request, " ".join(map(str, form.errors.get("starts_at", []))))
            return redirect("admin:campaigns_campaign_change", pk)
        try:
            services.schedule(campaign.pk, form.cleaned_data["starts_at"])
        except ApiError as error:
            messages.error(request, error.message)
        return redirect("admin:campaigns_campaign_change", pk)

    def rehearse(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what would happen; the page then asks for each conversation (``talk``)."""
        campaign = self._to_change(request, pk)
        shown = rehearse(campaign, most_people=_REHEARSED)
        return page_of_admin(
            self,
            request,
            "campaigns/rehearsal.html",
            f"Rehearsal of {campaign.name}",
            campaign=campaign,
            rehearsal=shown,
            enough_calls=ENOUGH_CALLS,
            cost=shown.cost_micros / 1_000_000,
            shares=[
                (name, n, _OUTCOME_COLOURS[name], 100 * n / max(1, shown.people))
                for name, n in shown.outcomes.most_common()
            ],
            talks=people(campaign),
        )

    def talk(self, request: HttpRequest, pk: int, recipient_pk: int, manner: str) -> HttpResponse:
        """A conversation of a rehearsal, for htmx: they are written beside each other. Asks the
        model, so it is no link that somebody follows by chance."""
        campaign = self._to_change(request, pk)
        recipient = get_object_or_404(campaign.recipients, pk=recipient_pk)
        if manner not in PEOPLE:
            raise Http404
        talk = converse(campaign, recipient, manner)
        return TemplateResponse(request, "campaigns/talk.html", {"talk": talk})

    def results(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        return outputs.results_response(self._found(request, pk))

    def _found(self, request: HttpRequest, pk: int) -> Campaign:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(
            Campaign.objects.select_related("account", "agent", "number"), pk=pk
        )

    def _to_change(self, request: HttpRequest, pk: int) -> Campaign:
        if not self.has_change_permission(request) or request.method != "POST":
            raise PermissionDenied
        return self._found(request, pk)


_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@admin.register(Recipient)
class RecipientAdmin(ReadOnlyAdmin):
    list_display = (
        "phone",
        "name",
        "campaign",
        "status",
        "outcome",
        "attempts",
        "last_call",
        "due_at",
        "reason",
    )
    list_filter = ("status", "outcome")
    list_select_related = ("campaign",)
    list_per_page = 50
    search_fields = ("phone", "name", "campaign__campaign_id")
    ordering = ("campaign", "row_index")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Recipient]:
        rows: QuerySet[Recipient] = super().get_queryset(request)
        return rows.prefetch_related("calls__call")

    @admin.display(description="Last call")
    def last_call(self, recipient: Recipient) -> str:
        made = max(recipient.calls.all(), key=lambda one: one.attempt, default=None)
        if made is None or made.call is None:
            return "–"
        url = reverse("admin:calls_call_change", args=[made.call.pk])
        return format_html('<a class="underline" href="{}">{}</a>', url, made.call.call_id)


@admin.register(CampaignEvent)
class CampaignEventAdmin(ReadOnlyAdmin):
    list_display = ("campaign", "kind", "at", "data")
    list_select_related = ("campaign",)
    search_fields = ("campaign__campaign_id", "kind")
