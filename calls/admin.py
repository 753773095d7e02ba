"""Calls in the dashboard: to place and to read, not to change; only the machine writes them."""

import secrets
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.cache import cache
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from accounts.read_only_admin import ReadOnlyAdmin
from agents.forms import DoingForm
from agents.models import Agent, PhoneNumber
from calls import services, talk_admin
from calls.aftercare import analyse_again
from calls.inputs import NewCall
from calls.models import Aftercare, Call, CallEvent, DialAttempt, MediaTicket, Transfer, Turn
from sms.models import Thread

_STATUS_COLOURS = {
    Call.Status.QUEUED: "info",
    Call.Status.INITIATED: "info",
    Call.Status.RINGING: "info",
    Call.Status.IN_PROGRESS: "primary",
    Call.Status.COMPLETED: "success",
    Call.Status.BUSY: "warning",
    Call.Status.NO_ANSWER: "warning",
    Call.Status.CANCELED: "warning",
    Call.Status.FAILED: "danger",
}
_ATTEMPT_COLOURS = {
    DialAttempt.Status.PENDING: "info",
    DialAttempt.Status.ACCEPTED: "success",
    DialAttempt.Status.REFUSED: "danger",
    DialAttempt.Status.UNKNOWN: "warning",
    DialAttempt.Status.LOST: "danger",
}


def _texts_url(call: Call) -> str:
    """Where the conversations by text with the call's person are; "" if there are none."""
    if not Thread.objects.filter(account=call.account, their_number=call.their_number).exists():
        return ""
    query = urlencode({"q": call.their_number})
    return f"{reverse('admin:sms_thread_changelist')}?{query}"


_TRANSFER_COLOURS = {
    Transfer.Status.ASKED: "info",
    Transfer.Status.RINGING: "info",
    Transfer.Status.WHISPERING: "primary",
    Transfer.Status.BRIDGED: "success",
    Transfer.Status.FAILED: "danger",
    Transfer.Status.CALLER_GONE: "warning",
}


def clock(ms: int) -> str:
    """Return ``m:ss`` of a time in a call."""
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes}:{seconds:02}"


class CallForm(DoingForm):
    """What ``POST /v1/calls/outbound`` takes, for people. Sent twice, it calls once."""

    SENT_S = 24 * 3600

    agent = ObviousChoiceField(
        Agent.objects.active(),
        widget=UnfoldAdminSelectWidget,
    )
    to_number = forms.CharField(
        label="Number to call",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+12025550110"}),
        help_text="In E.164: a plus, the country code, the number.",
    )
    from_number = forms.ModelChoiceField(
        PhoneNumber.objects.filter(outbound_enabled=True),
        required=False,
        label="Call from",
        empty_label="the agent's own number",
        widget=UnfoldAdminSelectWidget,
    )
    prompt = forms.CharField(
        required=False,
        label="Purpose of this call",
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 4, "placeholder": "Remind the caller about their appointment tomorrow."}
        ),
        help_text="Added to what the agent knows. Empty: the agent's own instructions alone.",
    )
    form_id = forms.CharField(widget=forms.HiddenInput, initial=secrets.token_hex)

    class Meta:
        model = Call
        fields = ()

    def do(self, cleaned: dict[str, Any]) -> Model:
        agent: Agent = cleaned["agent"]
        number: PhoneNumber | None = cleaned["from_number"]
        checked = NewCall(
            data={
                "agent_id": agent.agent_id,
                "to_number": cleaned["to_number"],
                "from_number": number.phone_number if number else None,
                "prompt": cleaned["prompt"],
            }
        )
        checked.is_valid(raise_exception=True)
        sent = f"call-form:{cleaned['form_id']}"
        if not cache.add(sent, 1, self.SENT_S):
            raise ApiError(
                "duplicate",
                "This form was sent already and its call is in the list of calls. Open a new form "
                "to call again.",
            )
        try:
            return services.request_call(agent.account, **checked.validated_data)
        except ApiError:
            cache.delete(sent)
            raise


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    when_empty = "Calls in and out appear here, live ones too."
    list_display = (
        "call_id",
        "shown_status",
        "shown_direction",
        "their_side",
        "agent",
        "length",
        "ended_reason",
        "latency",
        "created_at",
    )
    list_filter = (
        "status",
        "direction",
        "ended_reason",
        "voicemail_detected",
        ("created_at", RangeDateTimeFilter),
        "agent",
    )
    list_filter_submit = True
    list_select_related = ("agent",)
    list_per_page = 50
    search_fields = ("call_id", "carrier_sid", "from_number", "to_number", "campaign_id")
    search_help_text = "Call id, carrier's id, number or campaign"
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("overview",)}),
        ("Conversation", {"classes": ("tab",), "fields": ("conversation",)}),
        ("Events", {"classes": ("tab",), "fields": ("timeline",)}),
        (
            "What was asked for",
            {
                "classes": ("tab",),
                "fields": (
                    "prompt",
                    "variables",
                    "metadata",
                    "voicemail_action",
                    "voicemail_message",
                    "whole_prompt",
                ),
            },
        ),
        (
            "What it left",
            {
                "classes": ("tab",),
                "fields": (
                    "call_summary",
                    "caller_sentiment",
                    "call_successful",
                    "caller_name",
                    "call_reason",
                    "extracted_data",
                    "bookings",
                    "amd_result",
                    "voicemail_detected",
                    "voicemail_detection_method",
                    "charged_minutes",
                ),
            },
        ),
    )
    readonly_fields = ("overview", "conversation", "timeline", "whole_prompt")
    actions_list = ("talk",)

    def get_urls(self) -> list[URLPattern]:
        said = self.admin_site.admin_view(self.said)
        return [
            *talk_admin.urls(self.admin_site, self.opts),
            path("<int:pk>/said/", said, name="calls_call_said"),
            *super().get_urls(),
        ]

    @action(description="Talk to an agent", icon="mic")  # type: ignore[untyped-decorator]
    def talk(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:calls_call_talk"))

    def said(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return what was said in a call so far."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        return HttpResponse(self.conversation(get_object_or_404(Call, pk=pk)))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(ModelAdmin.has_add_permission(self, request))

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        kwargs["extra_context"] = {"title": "Call somebody"}
        page: HttpResponse = super().add_view(request, *args, **kwargs)
        return page

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = CallForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ((None, {"fields": tuple(CallForm.base_fields)}),)
        return super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else super().get_readonly_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Nothing to do: the form's service placed the call."""

    def response_add(
        self, request: HttpRequest, obj: Call, post_url_continue: str | None = None
    ) -> HttpResponse:
        self.message_user(request, f"{obj.call_id} is being placed. Reload to follow it.")
        return HttpResponseRedirect(reverse("admin:calls_call_change", args=[obj.pk]))

    @display(description="Status", ordering="status", label=_STATUS_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, call: Call) -> tuple[str, str]:
        return call.status, call.get_status_display()

    @admin.display(description="Direction", ordering="direction")
    def shown_direction(self, call: Call) -> str:
        outbound = call.direction == Call.Direction.OUTBOUND
        return "↗\N{NO-BREAK SPACE}outbound" if outbound else "↙\N{NO-BREAK SPACE}inbound"

    @admin.display(description="Other side")
    def their_side(self, call: Call) -> str:
        return call.their_number or "unknown"

    @admin.display(description="Duration", ordering="duration_ms")
    def length(self, call: Call) -> str:
        return clock(call.duration_ms) if call.duration_ms else "–"

    @admin.display(description="Latency", ordering="avg_latency_ms")
    def latency(self, call: Call) -> str:
        return "–" if call.avg_latency_ms is None else f"{call.avg_latency_ms} ms"

    @admin.display(description="")
    def overview(self, call: Call) -> SafeString:
        attempts = call.attempts.order_by("number")
        colour = _STATUS_COLOURS[Call.Status(call.status)]
        return render_to_string(
            "calls/overview.html",
            {
                "call": call,
                "attempts": attempts,
                "transfers": call.transfers.all(),
                "length": self.length(call),
                "colour": colour,
                "texts_url": _texts_url(call),
            },
        )

    @admin.display(description="Whole prompt")
    def whole_prompt(self, call: Call) -> SafeString | str:
        if not call.system_prompt_used:
            return "–"
        return format_html('<div style="white-space:pre-wrap">{}</div>', call.system_prompt_used)

    @admin.display(description="")
    def conversation(self, call: Call) -> SafeString:
        turns = [
            {
                "turn": turn,
                "at": clock(turn.started_ms),
                "timings": _waterfall(turn),
                "unheard": turn.full_text.removeprefix(turn.text) if turn.interrupted else "",
            }
            for turn in call.turns.all()
        ]
        return render_to_string("calls/conversation.html", {"turns": turns, "call": call})

    @admin.display(description="")
    def timeline(self, call: Call) -> SafeString:
        events = [
            {
                "event": event,
                "after": _after(event.at - call.created_at),
                "kind": _KINDS.get(event.kind, event.kind.replace("_", " ")),
                # When it was on the call's own clock is what the first column says.
                "data": [(name, value) for name, value in event.data.items() if name != "t"],
            }
            for event in call.events.all()
        ]
        return render_to_string("calls/timeline.html", {"events": events})


def _waterfall(turn: Turn) -> list[tuple[str, int]]:
    """Return the steps of an answer in the order in which they happened, as words and ms."""
    steps = sorted(turn.timings.items(), key=lambda step: step[1])
    return [(name.removesuffix("_ms").replace("_", " "), ms) for name, ms in steps]


_KINDS = {
    "amd": "who answered",
    "speculation": "answer begun early",
    "held": "waits for a yes",
    "opening_ready": "opening prepared",
    "tool": "tool used",
}


def _after(passed: timedelta) -> str:
    return f"+{passed.total_seconds():.1f} s"


@admin.register(DialAttempt)
class DialAttemptAdmin(ReadOnlyAdmin):
    list_display = ("call", "number", "shown_status", "carrier_sid", "error_code", "created_at")
    list_filter = ("status",)
    list_select_related = ("call",)
    search_fields = ("call__call_id", "carrier_sid")
    exclude = ("token",)

    @display(description="Status", ordering="status", label=_ATTEMPT_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, attempt: DialAttempt) -> tuple[str, str]:
        return attempt.status, attempt.get_status_display()


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    when_empty = "An agent with a number to transfer to puts people through; each try is here."
    list_display = ("call", "to_number", "kind", "shown_status", "failure", "asked_at")
    list_filter = ("status", "kind", ("asked_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("call",)
    search_fields = ("call__call_id", "to_number", "carrier_sid")
    exclude = ("token",)

    @display(description="Status", ordering="status", label=_TRANSFER_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, transfer: Transfer) -> tuple[str, str]:
        return transfer.status, transfer.get_status_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.order_by("-asked_at", "-pk")


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    list_display = ("call", "sequence", "role", "text", "interrupted", "latency_ms")
    list_filter = ("role", "interrupted")
    list_select_related = ("call",)
    search_fields = ("call__call_id", "text")


@admin.register(Aftercare)
class AftercareAdmin(ReadOnlyAdmin):
    list_display = ("call", "analysis", "tries", "error", "due_at", "told_at")
    list_filter = ("analysis", ("due_at", admin.EmptyFieldListFilter))
    list_select_related = ("call",)
    search_fields = ("call__call_id", "error")
    actions = ("analyse_again",)

    @admin.action(description="Analyse again", permissions=["steer"])
    def analyse_again(self, request: HttpRequest, rows: QuerySet[Aftercare]) -> None:
        for row in rows.select_related("call"):
            analyse_again(row.call)
        self.message_user(request, f"{len(rows)} calls are analysed again.")


@admin.register(CallEvent)
class CallEventAdmin(ReadOnlyAdmin):
    list_display = ("call", "kind", "at", "data")
    list_filter = (("at", RangeDateTimeFilter),)
    list_filter_submit = True
    list_select_related = ("call",)
    search_fields = ("call__call_id", "kind")


@admin.register(MediaTicket)
class MediaTicketAdmin(ReadOnlyAdmin):
    list_display = ("call", "expires_at", "used_at")
    list_select_related = ("call",)
    search_fields = ("call__call_id",)
    exclude = ("token_sha256",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.order_by("-pk")
