"""``/v1/sms/campaigns…``."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import invalid_field
from accounts.idempotency import guarded, idempotent
from accounts.paging import page_of
from accounts.parsing import body
from campaigns.rows import rows_of_json
from campaigns.texts import services
from campaigns.texts.inputs import NewTextCampaign, TextCampaignChange, changes_of, start_kind
from campaigns.texts.outputs import (
    TextCampaignDeleted,
    TextCampaignList,
    TextCampaignOutput,
    shown,
    whole,
)
from sms.models import TextCampaign
from sms.services import find_active_agent, find_outbound_number

# A list has no default limit (spec 3.3), but an end.
MOST = 10_000
_ALIASES = {"completed": TextCampaign.Status.DONE}


def _whole(campaign: TextCampaign, query: Any = None) -> dict[str, Any]:
    people = campaign.recipients.select_related("message").prefetch_related("message__parts")
    if query is not None and ("recipients_limit" in query or "recipients_offset" in query):
        names = {
            "limit": query.get("recipients_limit", ""),
            "offset": query.get("recipients_offset", ""),
        }
        people = page_of(names, default=100, cap=MOST).of(people)
    return whole(campaign, people)


class TextCampaignsView(APIView):
    @extend_schema(
        operation_id="sms_campaigns_list",
        tags=["SMS campaigns"],
        parameters=[
            OpenApiParameter("status", OpenApiTypes.STR, enum=TextCampaign.Status.values),
            OpenApiParameter("agent_id", OpenApiTypes.STR),
            OpenApiParameter("limit", OpenApiTypes.INT),
            OpenApiParameter("offset", OpenApiTypes.INT),
        ],
        responses=TextCampaignList,
    )
    def get(self, request: Request) -> Response:
        """List SMS campaigns, newest first, their counts as they are now."""
        query = request.query_params
        campaigns = TextCampaign.objects.filter(account=account_of(request))
        if status := query.get("status"):
            status = _ALIASES.get(status, status)
            if status not in TextCampaign.Status.values:
                known = ", ".join(TextCampaign.Status.values)
                raise invalid_field("status", f"must be one of: {known}.")
            campaigns = campaigns.filter(status=status)
        if agent_id := query.get("agent_id", "").replace("\0", ""):
            campaigns = campaigns.filter(agent_public_id=agent_id)
        page = page_of(query, default=MOST, cap=MOST)
        return Response({"campaigns": shown(page.of(campaigns)), "count": campaigns.count()})

    @extend_schema(
        operation_id="sms_campaigns_create",
        tags=["SMS campaigns"],
        request=NewTextCampaign,
        responses={201: TextCampaignOutput},
    )
    @guarded
    def post(self, request: Request) -> Response:
        """Text many people: now, at a time, or as a draft to launch later."""
        account, now = account_of(request), timezone.now()
        checked = NewTextCampaign(data=body(request))
        checked.is_valid(raise_exception=True)
        given = checked.validated_data
        agent = find_active_agent(account, given["agent_id"])
        number = find_outbound_number(account, given["from_number"])
        fields = changes_of(given, agent.timezone, now)
        campaign = services.create(
            account,
            agent=agent,
            number=number,
            rows=rows_of_json(given["recipients"]),
            start=start_kind(given, agent, now),
            **{"timezone": agent.timezone, **fields},
        )
        return Response(shown([campaign])[0], status=201)


class TextCampaignView(APIView):
    @extend_schema(
        operation_id="sms_campaigns_get", tags=["SMS campaigns"], responses=TextCampaignOutput
    )
    def get(self, request: Request, campaign_id: str) -> Response:
        """Return an SMS campaign with its text and people."""
        campaign = services.find(account_of(request), campaign_id)
        return Response(_whole(campaign, request.query_params))

    @extend_schema(
        operation_id="sms_campaigns_update",
        tags=["SMS campaigns"],
        request=TextCampaignChange,
        responses=TextCampaignOutput,
    )
    @idempotent
    def patch(self, request: Request, campaign_id: str) -> Response:
        """Change a campaign that has not begun; afterwards only its context_prompt."""
        campaign = services.find(account_of(request), campaign_id)
        checked = TextCampaignChange(data=body(request))
        checked.is_valid(raise_exception=True)
        given = checked.validated_data
        rows = rows_of_json(given["recipients"]) if "recipients" in given else None
        fields = changes_of(given, campaign.timezone, timezone.now())
        return Response(_whole(services.edit(campaign.pk, rows=rows, **fields)))

    @extend_schema(
        operation_id="sms_campaigns_delete", tags=["SMS campaigns"], responses=TextCampaignDeleted
    )
    @idempotent
    def delete(self, request: Request, campaign_id: str) -> Response:
        """Call a campaign off. What was sent cannot be recalled and stays in its threads."""
        campaign = services.find(account_of(request), campaign_id)
        canceled = services.delete(campaign.pk)
        return Response({"campaign_id": campaign_id, "deleted": True, "cancelled_count": canceled})


class TextCampaignLaunchView(APIView):
    @extend_schema(
        operation_id="sms_campaigns_launch",
        tags=["SMS campaigns"],
        request=None,
        responses=TextCampaignOutput,
    )
    @guarded
    def post(self, request: Request, campaign_id: str) -> Response:
        """Start a draft or scheduled campaign now."""
        campaign = services.find(account_of(request), campaign_id)
        return Response(shown([services.launch(campaign.pk)])[0])
