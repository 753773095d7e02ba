"""Text campaigns in the dashboard: upload people, see what they will read, launch, call off."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin
from unfold.decorators import display

from accounts.admin_pages import key_in, page_of_admin
from accounts.errors import ApiError
from campaigns.forms import NewTextCampaignForm
from campaigns.intake import check
from campaigns.rows import Row
from campaigns.texts import services
from campaigns.texts.dispatch import rendered
from sms import segments
from sms.models import TextCampaign

Status = TextCampaign.Status
_COLOURS = {
    Status.DRAFT: "info",
    Status.SCHEDULED: "info",
    Status.RUNNING: "primary",
    Status.DONE: "success",
    Status.FAILED: "danger",
}
_PEOPLE = 50
_BAD_ROWS = 20


@admin.register(TextCampaign)
class TextCampaignAdmin(ModelAdmin):
    """A text campaign is made of a file, then launched or called off; its fields are not edited."""

    when_empty = "A text campaign texts everybody in a CSV. Nothing goes out on upload."
    list_display = (
        "name",
        "shown_status",
        "people",
        "delivered",
        "failed",
        "replied",
        "created_at",
    )
    list_filter = ("status", "source", "account")
    search_fields = ("name", "campaign_id")
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # called off by its own button

    def get_queryset(self, request: HttpRequest) -> QuerySet[TextCampaign]:
        rows: QuerySet[TextCampaign] = super().get_queryset(request)
        return rows.order_by("-created_at", "-pk")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/do/<str:what>/", view(self.do), name="sms_textcampaign_do"),
            *super().get_urls(),
        ]

    def _count(self, campaign: Any, name: str) -> int:
        if not hasattr(campaign, "_counts"):
            campaign._counts = services.counts([campaign]).get(campaign.pk, {})
        return int(campaign._counts.get(f"{name}_count", 0))

    @display(description="Status", ordering="status", label=_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, campaign: TextCampaign) -> tuple[str, str]:
        return campaign.status, campaign.get_status_display()

    @admin.display(description="People")
    def people(self, campaign: TextCampaign) -> int:
        return self._count(campaign, "total")

    @admin.display(description="Delivered")
    def delivered(self, campaign: TextCampaign) -> int:
        return self._count(campaign, "delivered")

    @admin.display(description="Failed")
    def failed(self, campaign: TextCampaign) -> int:
        return self._count(campaign, "failed")

    @admin.display(description="Replied")
    def replied(self, campaign: TextCampaign) -> int:
        return self._count(campaign, "replied")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewTextCampaignForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            bad: list[str] = []
            try:
                campaign = self._create(form, bad)
            except ApiError as error:
                form.add_error("file", error.message)
            else:
                for line in bad[:_BAD_ROWS]:
                    messages.warning(request, line)
                if len(bad) > _BAD_ROWS:
                    messages.warning(request, f"{len(bad)} rows in all cannot be used.")
                return redirect("admin:sms_textcampaign_change", campaign.pk)
        return page_of_admin(self, request, "campaigns/add.html", "New text campaign", form=form)

    def _create(self, form: NewTextCampaignForm, bad: list[str]) -> TextCampaign:
        """Make a draft of the good rows; what is wrong with the others goes into ``bad``."""
        given = form.cleaned_data

        def good() -> Iterator[Row]:
            for row in given["rows"]:
                if problem := check(row):
                    bad.append(f"Line {row.line}: {problem}")
                else:
                    yield row

        agent = given["agent"]
        return services.create(
            agent.account,
            agent=agent,
            number=given["number"],
            rows=good(),
            start="draft",
            source=TextCampaign.Source.DASHBOARD,
            **{"timezone": agent.timezone, **given["fields"]},
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        campaign = self._found(request, key_in(object_id))
        people = list(campaign.recipients.select_related("message__thread")[:_PEOPLE])
        first = rendered(campaign, people[0]) if people else campaign.message_template
        waits = campaign.status in {Status.DRAFT, Status.SCHEDULED}
        may_change = self.has_change_permission(request)
        return page_of_admin(
            self,
            request,
            "campaigns/texts.html",
            campaign.name,
            campaign=campaign,
            colour=_COLOURS[Status(campaign.status)],
            counts=services.counts([campaign]).get(campaign.pk, {}),
            people=people,
            first=first,
            size=segments.size_of(first),
            may_launch=may_change and waits,
            may_call_off=may_change and campaign.status not in TextCampaign.ENDED,
        )

    def do(self, request: HttpRequest, pk: int, what: str) -> HttpResponse:
        """Launch, or call off."""
        if not self.has_change_permission(request) or request.method != "POST":
            raise PermissionDenied
        campaign = self._found(request, pk)
        try:
            if what == "launch":
                services.launch(campaign.pk)
            elif what == "delete":
                canceled = services.delete(campaign.pk)
                messages.success(request, f"Called off. {canceled} people are not texted.")
                return redirect("admin:sms_textcampaign_changelist")
            else:
                raise PermissionDenied
        except ApiError as error:
            messages.error(request, error.message)
        return redirect("admin:sms_textcampaign_change", pk)

    def _found(self, request: HttpRequest, pk: int) -> TextCampaign:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(TextCampaign.objects.select_related("account", "agent"), pk=pk)
