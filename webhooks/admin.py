"""Webhooks in the dashboard: what happened, and every try to tell it."""

from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.read_only_admin import ReadOnlyAdmin
from webhooks import outbox
from webhooks.endpoint_admin import EndpointAdmin as EndpointAdmin  # registers it
from webhooks.models import Attempt, Delivery, Event

_COLOURS = {
    Delivery.Status.PENDING: "info",
    Delivery.Status.DELIVERED: "success",
    Delivery.Status.FAILED: "danger",
}


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "type", "subject", "created_at", "account")
    list_filter = ("type", ("created_at", RangeDateTimeFilter), "account")
    list_filter_submit = True
    list_select_related = ("account",)
    search_fields = ("event_id", "subject", "type")
    search_help_text = "Event id, type, or what it is about (a call's id)"
    actions = ("replay",)

    @admin.action(
        description="Send again to everybody it was for, under its id", permissions=["steer"]
    )
    def replay(self, request: HttpRequest, events: QuerySet[Event]) -> None:
        sent = sum(outbox.replay(event) for event in events)
        self.message_user(request, f"{sent} deliveries are made again.")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "event",
        "event_type",
        "endpoint",
        "shown_status",
        "tries",
        "error",
        "late_by",
        "due_at",
    )
    list_filter = (
        "status",
        "event__type",
        ("event__created_at", RangeDateTimeFilter),
        "endpoint__kind",
    )
    list_filter_submit = True
    list_select_related = ("event", "endpoint")
    search_fields = ("event__event_id", "event__subject", "endpoint__endpoint_id", "error")

    @admin.display(description="Type", ordering="event__type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @display(description="Status", ordering="status", label=_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, delivery: Delivery) -> tuple[str, str]:
        return delivery.status, delivery.get_status_display()

    @admin.display(description="Late by")
    def late_by(self, delivery: Delivery) -> str:
        if delivery.delivered_at is None:
            return "–"
        late = delivery.delivered_at - delivery.event.created_at
        return str(timedelta(seconds=round(late.total_seconds())))


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "number", "at", "status_code", "error", "duration_ms", "endpoint")
    list_filter = ("status_code", ("at", RangeDateTimeFilter), "delivery__endpoint__kind")
    list_filter_submit = True
    list_select_related = ("delivery__event", "delivery__endpoint")
    search_fields = (
        "delivery__event__event_id",
        "delivery__event__subject",
        "delivery__endpoint__endpoint_id",
        "error",
    )
    fields = (
        "delivery",
        "number",
        "at",
        "status_code",
        "error",
        "duration_ms",
        "headers",
        "body",
    )
    readonly_fields = ("body",)

    @admin.display(description="Event")
    def event_id(self, attempt: Attempt) -> str:
        return attempt.delivery.event.event_id

    @admin.display(description="Endpoint")
    def endpoint(self, attempt: Attempt) -> str:
        return attempt.delivery.endpoint.endpoint_id

    @admin.display(description="Body")
    def body(self, attempt: Attempt) -> str:
        return attempt.delivery.event.body or "erased"
