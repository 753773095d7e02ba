"""``/v1/webhook-endpoints…`` and ``/v1/webhook-events…``: what the numbers' slots do not do."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import invalid_field, not_found_error
from accounts.fields import Flag, Whole
from accounts.idempotency import idempotent
from accounts.paging import page_of, page_parameters
from accounts.parsing import body
from webhooks import outbox
from webhooks.inputs import EndpointInput
from webhooks.models import Delivery, Endpoint, Event

_PAGING = page_parameters(default=50, cap=200)


class EndpointOutput(serializers.ModelSerializer[Endpoint]):
    is_enabled = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = (
            "endpoint_id",
            "owner",
            "kind",
            "phone_number",
            "slot",
            "agent_id",
            "url",
            "events",
            "is_enabled",
            "disabled_at",
            "disabled_why",
            "failing_since",
            "created_at",
        )

    def get_is_enabled(self, endpoint: Endpoint) -> bool:
        return endpoint.disabled_at is None


class SecretOutput(serializers.Serializer[Any]):
    endpoint_id = serializers.CharField()
    signing_secret = serializers.CharField(help_text="For the Standard Webhooks headers.")
    previous_secret_ends_at = serializers.DateTimeField(allow_null=True)


class EndpointMade(EndpointOutput):
    signing_secret = serializers.CharField(source="secret")

    class Meta:
        model = Endpoint
        fields = (*EndpointOutput.Meta.fields, "signing_secret")


class Rotation(serializers.Serializer[Any]):
    overlap_seconds = Whole(0, 7 * 24 * 3600, required=False)


class Replay(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    failed_only = Flag(required=False)


class Replayed(serializers.Serializer[Any]):
    events = serializers.IntegerField(help_text="How many are sent again, under their ids.")


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    endpoint_id = serializers.CharField(source="endpoint.endpoint_id")
    next_attempt_at = serializers.DateTimeField(source="due_at", allow_null=True)
    attempts = serializers.IntegerField(source="tries")

    class Meta:
        model = Delivery
        fields = (
            "endpoint_id",
            "status",
            "attempts",
            "next_attempt_at",
            "delivered_at",
            "error",
        )


class EventOutput(serializers.ModelSerializer[Event]):
    number = serializers.IntegerField(source="pk", help_text="Grows in the order of events.")
    deliveries = DeliveryOutput(many=True)

    class Meta:
        model = Event
        fields = ("event_id", "number", "type", "subject", "created_at", "erased_at", "deliveries")


class EndpointsView(APIView):
    @extend_schema(
        operation_id="webhook_endpoints_list",
        tags=["Webhooks"],
        parameters=_PAGING,
        responses=EndpointOutput(many=True),
    )
    def get(self, request: Request) -> Response:
        """List every endpoint, the numbers' slots and agents' URLs too, newest first."""
        page = page_of(request.query_params, default=50, cap=200)
        rows = page.of(Endpoint.objects.of(account_of(request)))
        return Response(EndpointOutput(rows, many=True).data)

    @extend_schema(
        operation_id="webhook_endpoints_create",
        tags=["Webhooks"],
        request=EndpointInput,
        responses={201: EndpointMade},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Have every event of the account sent to a URL. The answer shows its signing secret."""
        given = EndpointInput(data=body(request))
        given.is_valid(raise_exception=True)
        made = outbox.make_endpoint(account_of(request), **given.validated_data)
        return Response(EndpointMade(made).data, status=201)


class EndpointView(APIView):
    @extend_schema(
        operation_id="webhook_endpoints_get", tags=["Webhooks"], responses=EndpointOutput
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        """Return one endpoint."""
        return Response(EndpointOutput(outbox.find_endpoint(account_of(request), endpoint_id)).data)

    @extend_schema(
        operation_id="webhook_endpoints_update",
        tags=["Webhooks"],
        request=EndpointInput,
        responses=EndpointOutput,
    )
    @idempotent
    def patch(self, request: Request, endpoint_id: str) -> Response:
        """Change the URL or the events; the endpoint is enabled again."""
        endpoint = outbox.find_endpoint(account_of(request), endpoint_id)
        given = EndpointInput(data=body(request), partial=True)
        given.is_valid(raise_exception=True)
        outbox.change_endpoint(endpoint, **given.validated_data)
        return Response(EndpointOutput(endpoint).data)

    @extend_schema(
        operation_id="webhook_endpoints_delete",
        tags=["Webhooks"],
        responses={200: OpenApiTypes.OBJECT},
    )
    @idempotent
    def delete(self, request: Request, endpoint_id: str) -> Response:
        """Delete an endpoint, with its log and what was still to be sent."""
        outbox.delete_endpoint(outbox.find_endpoint(account_of(request), endpoint_id))
        return Response({"endpoint_id": endpoint_id, "deleted": True})


class RotateView(APIView):
    @extend_schema(
        operation_id="webhook_endpoints_rotate_secret",
        tags=["Webhooks"],
        request=Rotation,
        responses=SecretOutput,
    )
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Make a new signing secret. The old one signs as well for a day, or as long as asked."""
        endpoint = outbox.find_endpoint(account_of(request), endpoint_id)
        given = Rotation(data=body(request))
        given.is_valid(raise_exception=True)
        seconds = given.validated_data.get("overlap_seconds")
        overlap = outbox.OVERLAP if seconds is None else timedelta(seconds=seconds)
        secret = outbox.rotate_secret(endpoint, overlap)
        return Response(
            {
                "endpoint_id": endpoint_id,
                "signing_secret": secret,
                "previous_secret_ends_at": endpoint.previous_secret_ends_at,
            }
        )


class TestView(APIView):
    @extend_schema(
        operation_id="webhook_endpoints_test",
        tags=["Webhooks"],
        request=None,
        responses={200: EventOutput},
    )
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Send ``webhook.test``; ``GET /v1/webhook-events/{event_id}`` shows what came of it."""
        event = outbox.send_test(outbox.find_endpoint(account_of(request), endpoint_id))
        return Response(EventOutput(event).data)


class ReplayView(APIView):
    @extend_schema(
        operation_id="webhook_endpoints_replay",
        tags=["Webhooks"],
        request=Replay,
        responses=Replayed,
    )
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Send again everything that happened since a moment, or of it what failed, oldest first.

        Ids stay the same. A disabled endpoint is enabled by it.
        """
        endpoint = outbox.find_endpoint(account_of(request), endpoint_id)
        given = Replay(data=body(request))
        given.is_valid(raise_exception=True)
        if given.validated_data["since"] > timezone.now():
            raise invalid_field("since", "must not be in the future.")
        outbox.enable(endpoint)
        return Response({"events": outbox.replay_since(endpoint, **given.validated_data)})


class EventsView(APIView):
    @extend_schema(
        operation_id="webhook_events_list",
        tags=["Webhooks"],
        parameters=[
            *_PAGING,
            OpenApiParameter("type", OpenApiTypes.STR),
            OpenApiParameter("subject", OpenApiTypes.STR, description="As a call's id."),
        ],
        responses=EventOutput(many=True),
    )
    def get(self, request: Request) -> Response:
        """List events and where they stand, newest first."""
        page = page_of(request.query_params, default=50, cap=200)
        events = Event.objects.of(account_of(request))
        for field in ("type", "subject"):
            if value := request.query_params.get(field, "").replace("\0", ""):
                events = events.filter(**{field: value})
        rows = page.of(events.prefetch_related("deliveries__endpoint"))
        return Response(EventOutput(rows, many=True).data)


class EventView(APIView):
    @extend_schema(operation_id="webhook_events_get", tags=["Webhooks"], responses=EventOutput)
    def get(self, request: Request, event_id: str) -> Response:
        """Return one event and where it stands."""
        return Response(EventOutput(_event(request, event_id)).data)


class EventReplayView(APIView):
    @extend_schema(
        operation_id="webhook_events_replay", tags=["Webhooks"], request=None, responses=Replayed
    )
    @idempotent
    def post(self, request: Request, event_id: str) -> Response:
        """Send one event again to everybody it was for, under its id."""
        sent = outbox.replay(_event(request, event_id))
        return Response({"events": min(sent, 1)})


def _event(request: Request, event_id: str) -> Event:
    event = Event.objects.of(account_of(request)).filter(event_id=event_id).first()
    if event is None:
        raise not_found_error("event_not_found", "There is no such event in this account.")
    return event
