"""Endpoints in the dashboard: make one, see its secret once, test it, pause it, see what it got,
delete it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from accounts.admin_pages import page_of_secret
from accounts.choices import ChoosesTheOnlyAccount
from accounts.errors import ApiError
from webhooks import outbox
from webhooks.inputs import EVENT_TYPES, EndpointInput
from webhooks.models import Attempt, Delivery, Endpoint

_WEEK = timedelta(days=7)
_LATEST = 12
# What comes of a delivery that is due by then is soon seen: the page asks again.
_SOON = timedelta(seconds=30)
_STATES = {"enabled": "success", "failing": "warning", "disabled": "danger"}
PAUSED = "paused in the dashboard"


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    """What ``POST /v1/webhook-endpoints`` takes, under its rules."""

    url = forms.CharField(
        label="URL",
        max_length=2_000,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://example.com/nixflex"}),
        help_text="Of your server: https, and public. Events are POSTed to it.",
    )
    events = forms.MultipleChoiceField(
        label="Only these events",
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None chosen: every event, new types too.",
    )

    class Meta:
        model = Endpoint
        fields = ("account", "url", "events")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [*EVENT_TYPES, *(one for one in self.instance.events if one not in EVENT_TYPES)]
        if "events" in self.fields:  # who may only look has no fields
            self.fields["events"].choices = [(one, one) for one in known]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        given = EndpointInput(data={name: cleaned[name] for name in ("url", "events")})
        try:
            given.is_valid(raise_exception=True)
        except ApiError as error:
            raise forms.ValidationError(
                {str(error.details.get("field", "url")): error.message}
            ) from error
        return {**cleaned, **given.validated_data}


@admin.register(Endpoint)
class EndpointAdmin(ChoosesTheOnlyAccount, ModelAdmin):
    """The account's own are made and changed here; those of numbers and agents where these are."""

    form = EndpointForm
    when_empty = (
        "Your server is told of every event once it has an endpoint: add one here for the account, "
        "or over the API for a number, PUT /v1/integrations/webhook/number/{number}."
    )
    change_form_outer_before_template = "webhooks/endpoint.html"
    show_full_result_count = False
    list_display = ("endpoint_id", "state", "owner", "kind", "whose", "failing_since", "account")
    list_filter = (
        ("disabled_at", admin.EmptyFieldListFilter),
        ("failing_since", admin.EmptyFieldListFilter),
        "owner",
        "kind",
        "account",
    )
    list_select_related = ("account",)
    search_fields = ("endpoint_id", "phone_number", "agent_id")
    actions = ("enable", "test", "replay_failed")

    def get_fieldsets(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        if obj is None:
            return ((None, {"fields": ("account", "url", "events")}),)
        own = ("url", "events")
        about = ("account", "state", "whose", "disabled_why", "failing_since", "created_at")
        return ((None, {"fields": own}), ("About it", {"fields": about}))

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        about = ("state", "whose", "disabled_why", "failing_since", "created_at")
        return () if obj is None else ("account", *about)

    def has_change_permission(self, request: HttpRequest, obj: Endpoint | None = None) -> bool:
        is_own = obj is None or obj.owner == Endpoint.Owner.ACCOUNT
        return is_own and self.has_steer_permission(request)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Whether they may test, pause and replay, whoever the endpoint belongs to."""
        return bool(super().has_change_permission(request))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/do/<str:what>/", view(self.do), name="webhooks_endpoint_do"),
            path("<int:pk>/latest/", view(self.latest), name="webhooks_endpoint_latest"),
        ]
        return [*own, *super().get_urls()]

    # --- the list ---

    @display(description="State", label=_STATES)  # type: ignore[untyped-decorator]
    def state(self, endpoint: Endpoint) -> str:
        if endpoint.disabled_at:
            return "disabled"
        return "failing" if endpoint.failing_since else "enabled"

    @admin.display(description="Of")
    def whose(self, endpoint: Endpoint) -> str:
        slot = f" (slot {endpoint.slot})" if endpoint.slot > 1 else ""
        number = f"{endpoint.phone_number}{slot}" if endpoint.phone_number else ""
        return number or endpoint.agent_id or "the account"

    @admin.action(description="Enable: events are sent again from now on", permissions=["steer"])
    def enable(self, request: HttpRequest, endpoints: QuerySet[Endpoint]) -> None:
        for endpoint in endpoints:
            outbox.enable(endpoint)
        self.message_user(request, f"{len(endpoints)} enabled.")

    @admin.action(description="Send webhook.test", permissions=["steer"])
    def test(self, request: HttpRequest, endpoints: QuerySet[Endpoint]) -> None:
        for endpoint in endpoints.select_related("account"):
            outbox.send_test(endpoint)
        self.message_user(request, "Sent; the deliveries show what comes of it.")

    @admin.action(
        description="Send again what failed in the last 7 days, and enable", permissions=["steer"]
    )
    def replay_failed(self, request: HttpRequest, endpoints: QuerySet[Endpoint]) -> None:
        sent = sum(_replay_week(endpoint) for endpoint in endpoints)
        self.message_user(request, f"{sent} events are sent again.")

    # --- an end ---

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the confirmation shows: of the log, how long it is."""
        rows = list(objs)
        log = Delivery.objects.filter(endpoint__in=rows).count()
        return (
            [str(one) for one in rows],
            {"webhook endpoints": len(rows), "deliveries": log},
            (),
            (),
        )

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        outbox.delete_endpoint(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for endpoint in queryset:
            outbox.delete_endpoint(endpoint)

    # --- a new one ---

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("url", "events")}
        if change:
            outbox.change_endpoint(obj, **given)
        else:
            obj.__dict__.update(outbox.make_endpoint(obj.account, **given).__dict__)

    def response_add(
        self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._secret_page(request, obj, "was made")

    @sensitive_variables("secret")
    def _secret_page(self, request: HttpRequest, endpoint: Endpoint, what: str) -> HttpResponse:
        """Show the secret on the answer itself: it passes through no cookie, session or log."""
        return page_of_secret(
            self,
            request,
            "webhooks/secret.html",
            "Signing secret",
            endpoint=endpoint,
            what=what,
            secret=endpoint.secret,
        )

    # --- one endpoint ---

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        more = {
            "endpoint": found,
            "may_steer": self.has_steer_permission(request),
            "show_save_and_add_another": False,
        }
        if found is not None:
            more |= _latest(found)
        response: HttpResponse = super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **more}
        )
        return response

    def do(self, request: HttpRequest, pk: int, what: str) -> HttpResponseBase:
        """Test, pause, enable, replay, or give a new secret (a POST)."""
        if request.method != "POST" or not self.has_steer_permission(request):
            raise PermissionDenied
        endpoint = get_object_or_404(Endpoint.objects.select_related("account"), pk=pk)
        if what == "secret":
            outbox.rotate_secret(endpoint)
            return self._secret_page(request, endpoint, "has a new secret; the old one signs, too,")
        if what not in _DO:
            raise PermissionDenied
        _DO[what](endpoint)
        return redirect("admin:webhooks_endpoint_change", pk)

    def latest(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The latest deliveries, for htmx."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        endpoint = get_object_or_404(Endpoint, pk=pk)
        context = {"endpoint": endpoint, **_latest(endpoint)}
        return TemplateResponse(request, "webhooks/latest.html", context)


def _latest(endpoint: Endpoint) -> dict[str, Any]:
    deliveries = list(
        endpoint.deliveries.select_related("event")
        .prefetch_related(Prefetch("attempts", Attempt.objects.order_by("-number")))
        .order_by("-pk")[:_LATEST]
    )
    soon = timezone.now() + _SOON
    return {
        "deliveries": deliveries,
        "polls": any(
            one.status == Delivery.Status.PENDING and one.due_at and one.due_at < soon
            for one in deliveries
        ),
    }


def _replay_week(endpoint: Endpoint) -> int:
    outbox.enable(endpoint)
    return outbox.replay_since(endpoint, timezone.now() - _WEEK, failed_only=True)


_DO: dict[str, Callable[[Endpoint], object]] = {
    "test": outbox.send_test,
    "pause": lambda endpoint: outbox.disable(endpoint, PAUSED),
    "enable": outbox.enable,
    "replay": _replay_week,
}
