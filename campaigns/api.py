"""``/v1/calls/batch…`` and ``/v1/campaigns…``."""

import tempfile
from typing import Any, BinaryIO, cast

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import ApiError, envelope, invalid_field, missing_field
from accounts.idempotency import guarded, idempotent
from accounts.paging import page_of, page_parameters
from accounts.parsing import JSONBodyParser, body
from campaigns import outputs, services
from campaigns.creation import create_batch
from campaigns.inputs import MOST_RECIPIENTS, NewCampaign
from campaigns.intake import Intake
from campaigns.models import Campaign, Recipient
from campaigns.preview import as_json, preview
from campaigns.progress import counts_of, progress_of
from campaigns.rows import CsvFile, rows_of_json

LARGEST_CSV = 256 * 1024 * 1024
_PAGING = page_parameters(default=50, cap=200)


def _find(request: Request, campaign_id: str) -> Campaign:
    return services.find_campaign(account_of(request), campaign_id)


def _moved(campaign: Campaign) -> Response:
    return Response(outputs.moved(campaign, counts_of([campaign])[campaign.pk]))


def _launched(campaign: Campaign) -> ApiError | None:
    """Launch; return what went wrong. The campaign stays, marked as failed: nothing is undone."""
    try:
        services.launch(campaign.pk)
    except ApiError as error:
        return error
    finally:
        campaign.refresh_from_db()
    return None


def _refusal(error: ApiError) -> Response:
    return Response(envelope(error), status=error.status)


class BatchView(APIView):
    @extend_schema(
        operation_id="campaigns_create",
        tags=["Campaigns"],
        request=NewCampaign,
        responses={201: outputs.CampaignCreated},
    )
    @guarded
    def post(self, request: Request) -> Response:
        """Call many people for one purpose: now, at a time, or when you launch the draft.

        now means now: without windows or follow_law people are called at any hour of their day, and
        warnings counts those for whom it is not the time.
        """
        new = NewCampaign(data=body(request))
        new.is_valid(raise_exception=True)
        campaign, intake, warnings = create_batch(account_of(request), new.validated_data)
        is_now = campaign.status == Campaign.Status.DRAFT and (
            new.validated_data.get("schedule_type") != "draft"
        )
        if is_now and (error := _launched(campaign)):
            return _refusal(error)
        return Response(outputs.created(campaign, intake, warnings), status=201)


class LaunchView(APIView):
    @extend_schema(
        operation_id="campaigns_launch",
        tags=["Campaigns"],
        request=None,
        responses=outputs.CampaignMoved,
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """Start a campaign now, whatever it is scheduled for. One that runs goes on as it is."""
        campaign = _find(request, campaign_id)
        if error := _launched(campaign):
            return _refusal(error)
        return _moved(campaign)


@extend_schema_view(post=extend_schema(operation_id="calls_batch_launch"))
class BatchLaunchView(LaunchView):
    """The same, under the address that the SDKs know."""


class CampaignsView(APIView):
    @extend_schema(
        operation_id="campaigns_list",
        tags=["Campaigns"],
        parameters=[
            *_PAGING,
            OpenApiParameter("status", OpenApiTypes.STR, enum=Campaign.Status.values),
        ],
        responses=outputs.CampaignList,
    )
    def get(self, request: Request) -> Response:
        """List campaigns, newest first, each with its counts."""
        page = page_of(request.query_params, default=50, cap=200)
        found = Campaign.objects.of(account_of(request))
        if status := request.query_params.get("status", "").strip():
            if status not in Campaign.Status.values:
                known = ", ".join(Campaign.Status.values)
                raise invalid_field("status", f"must be one of: {known}.")
            found = found.filter(status=status)
        shown = list(page.of(found))
        counts = counts_of(shown)
        rows = [outputs.shown(campaign, counts[campaign.pk]) for campaign in shown]
        return Response({"campaigns": rows, "count": found.count()})

    @extend_schema(
        operation_id="campaigns_create_alias",
        tags=["Campaigns"],
        request=NewCampaign,
        responses={201: outputs.CampaignCreated},
    )
    def post(self, request: Request) -> Response:
        """Same as POST /v1/calls/batch."""
        return BatchView.post(cast(BatchView, self), request)


class CampaignView(APIView):
    @extend_schema(
        operation_id="campaigns_get", tags=["Campaigns"], responses=outputs.CampaignWithPace
    )
    def get(self, request: Request, campaign_id: str) -> Response:
        """Return a campaign and how far it is: counts, pace, estimated end, cost."""
        campaign = _find(request, campaign_id)
        return Response(outputs.shown_with_pace(campaign, progress_of(campaign)))


class PauseView(APIView):
    @extend_schema(
        operation_id="campaigns_pause",
        tags=["Campaigns"],
        request=None,
        responses=outputs.CampaignMoved,
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """Call nobody from now on; calls that ring or talk go on to their end."""
        return _moved(services.pause(_find(request, campaign_id).pk))


class ResumeView(APIView):
    @extend_schema(
        operation_id="campaigns_resume",
        tags=["Campaigns"],
        request=None,
        responses=outputs.CampaignMoved,
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """Go on with a paused campaign."""
        return _moved(services.resume(_find(request, campaign_id).pk))


class CancelView(APIView):
    @extend_schema(
        operation_id="campaigns_cancel",
        tags=["Campaigns"],
        request=None,
        responses=outputs.CampaignMoved,
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """End a campaign for good; calls that ring or talk go on to their end."""
        return _moved(services.cancel(_find(request, campaign_id).pk))


class RetryView(APIView):
    @extend_schema(
        operation_id="campaigns_retry",
        tags=["Campaigns"],
        request=None,
        responses=outputs.CampaignMoved,
    )
    @guarded
    def post(self, request: Request, campaign_id: str) -> Response:
        """Call again whoever was busy, did not answer, had voicemail, or could not be called."""
        campaign = _find(request, campaign_id)
        services.retry_unanswered(campaign.pk)
        campaign.refresh_from_db()
        return _moved(campaign)


class HoursView(APIView):
    @extend_schema(
        operation_id="campaigns_hours", tags=["Campaigns"], responses=OpenApiTypes.OBJECT
    )
    def get(self, request: Request, campaign_id: str) -> Response:
        """Preview: who can be called when, and when the campaign ends at this pace."""
        return Response(as_json(preview(_find(request, campaign_id))))


class ResultsView(APIView):
    @extend_schema(
        operation_id="campaigns_results",
        tags=["Campaigns"],
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, campaign_id: str) -> HttpResponseBase:
        """Download everybody in the campaign and what became of them, as CSV."""
        return outputs.results_response(_find(request, campaign_id))


class _CsvParser(MultiPartParser):
    """Leaves a CSV body where it is: the view reads it as a stream."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        kind = (media_type or "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return super().parse(stream, media_type, parser_context)
        if kind in {"text/csv", "application/csv", "application/vnd.ms-excel"}:
            return {"csv": _spooled(stream)}
        return JSONBodyParser().parse(stream, media_type, parser_context)


def _spooled(stream: Any) -> BinaryIO:
    # Closed, and so deleted, when the request is forgotten.
    file = tempfile.TemporaryFile()  # noqa: SIM115
    while chunk := stream.read(1 << 20):
        file.write(chunk)
        if file.tell() > LARGEST_CSV:
            raise ApiError("request_too_large", f"The CSV is larger than {LARGEST_CSV} bytes.", 413)
    return cast(BinaryIO, file)


class RecipientsView(APIView):
    parser_classes = [_CsvParser]

    @extend_schema(
        operation_id="campaigns_recipients",
        tags=["Campaigns"],
        parameters=[
            *_PAGING,
            OpenApiParameter("status", OpenApiTypes.STR, enum=Recipient.Status.values),
            OpenApiParameter("outcome", OpenApiTypes.STR, enum=Recipient.Outcome.values),
            OpenApiParameter("phone", OpenApiTypes.STR),
        ],
        responses=outputs.RecipientList,
    )
    def get(self, request: Request, campaign_id: str) -> Response:
        """List the people of a campaign in the order in which they came in."""
        page = page_of(request.query_params, default=50, cap=200)
        found = Recipient.objects.filter(campaign=_find(request, campaign_id))
        for name in ("status", "outcome", "phone"):
            if value := request.query_params.get(name, "").replace("\0", "").strip():
                found = found.filter(**{name: f"+{value}" if value.isdigit() else value})
        people = page.of(
            found.select_related("group")
            .prefetch_related("calls__call")
            .order_by("row_index", "pk")
        )
        return Response({"recipients": outputs.recipients_shown(people), "count": found.count()})

    @extend_schema(
        operation_id="campaigns_add_recipients",
        tags=["Campaigns"],
        parameters=[
            OpenApiParameter(
                "region",
                OpenApiTypes.STR,
                description="Country of numbers in national form in a CSV, as GB.",
            )
        ],
        request={"application/json": OpenApiTypes.OBJECT, "text/csv": OpenApiTypes.BINARY},
        responses={201: outputs.RecipientsAdded},
    )
    def post(self, request: Request, campaign_id: str) -> Response:
        """Add people to a campaign that is not over: JSON {"recipients": […]}, or a CSV with a
        column named phone, as the body or as a form's file. Bad rows are left out and reported.
        """
        campaign = _find(request, campaign_id)
        intake = self._take_in(campaign, request)
        return Response(outputs.added(campaign, intake), status=201)

    def _take_in(self, campaign: Campaign, request: Request) -> Intake:
        file = request.FILES.get("file") if request.FILES else None
        given = cast(dict[str, Any], request.data)
        region = request.query_params.get("region", "").strip().upper() or None
        if file is not None or ("csv" in given and not isinstance(given["csv"], str)):
            rows = CsvFile(cast(BinaryIO, file or given["csv"]), region)
            intake = services.add_people(campaign.pk, rows)
        else:
            items = given.get("recipients")
            if not items:
                raise missing_field("recipients")
            if not isinstance(items, list):
                raise invalid_field("recipients", "must be an array of objects.")
            if len(items) > MOST_RECIPIENTS:
                raise ApiError(
                    "too_many_recipients",
                    f"recipients has {len(items)} items; at most {MOST_RECIPIENTS} are allowed at "
                    "a time. Send more as CSV.",
                    details={"max": MOST_RECIPIENTS, "count": len(items)},
                )
            intake = services.add_people(campaign.pk, rows_of_json(items))
        return intake
