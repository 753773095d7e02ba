"""``/v1/calls…``."""

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import not_found_error
from accounts.idempotency import guarded
from accounts.paging import page_of
from accounts.parsing import body
from calls import aftercare, services
from calls.inputs import NewCall, filtered
from calls.models import Call
from calls.outputs import CallOutput, CallPlaced, placed

_FILTERS = [
    OpenApiParameter("limit", OpenApiTypes.INT, description="Default 50, at most 200."),
    OpenApiParameter("offset", OpenApiTypes.INT, description="Default 0."),
    OpenApiParameter("agent_id", OpenApiTypes.STR),
    OpenApiParameter("campaign_id", OpenApiTypes.STR),
    OpenApiParameter("direction", OpenApiTypes.STR, enum=Call.Direction.values),
    OpenApiParameter("status", OpenApiTypes.STR, enum=Call.Status.values),
    OpenApiParameter("ended_reason", OpenApiTypes.STR, enum=Call.EndedReason.values),
    OpenApiParameter("from_number", OpenApiTypes.STR),
    OpenApiParameter("to_number", OpenApiTypes.STR),
    OpenApiParameter("caller_sentiment", OpenApiTypes.STR),
    OpenApiParameter("call_successful", OpenApiTypes.BOOL),
    OpenApiParameter("voicemail_detected", OpenApiTypes.BOOL),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="Created at or after."),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Created before."),
]


def _place(request: Request) -> Response:
    given = NewCall(data=body(request))
    given.is_valid(raise_exception=True)
    call = services.request_call(account_of(request), **given.validated_data)
    return Response(placed(call), status=201)


class OutboundView(APIView):
    @extend_schema(
        operation_id="calls_create", tags=["Calls"], request=NewCall, responses={201: CallPlaced}
    )
    @guarded
    def post(self, request: Request) -> Response:
        """Have an agent call somebody: within seconds, or as soon as a line is free."""
        return _place(request)


class CallsView(APIView):
    @extend_schema(
        operation_id="calls_list",
        tags=["Calls"],
        parameters=_FILTERS,
        responses=CallOutput(many=True),
    )
    def get(self, request: Request) -> Response:
        """List calls, newest first: a bare array."""
        page = page_of(request.query_params, default=50, cap=200)
        calls = filtered(Call.objects.of(account_of(request)), request.query_params)
        rows = page.of(calls.prefetch_related("turns"))
        return Response(CallOutput(rows, many=True).data)

    @extend_schema(
        operation_id="calls_create_alias",
        tags=["Calls"],
        request=NewCall,
        responses={201: CallPlaced},
    )
    @guarded
    def post(self, request: Request) -> Response:
        """Same as POST /v1/calls/outbound."""
        return _place(request)


class CallView(APIView):
    @extend_schema(operation_id="calls_get", tags=["Calls"], responses=CallOutput)
    def get(self, request: Request, call_id: str) -> Response:
        """Return a call, by our id or the carrier's."""
        return Response(CallOutput(_call(request, call_id)).data)


class AnalyzeView(APIView):
    @extend_schema(operation_id="calls_analyze", tags=["Calls"], request=None, responses=CallOutput)
    def post(self, request: Request, call_id: str) -> Response:
        """Analyse a finished call again; ``call.analyzed`` tells of it when it is done."""
        call = _call(request, call_id)
        aftercare.analyse_again(call)
        return Response(CallOutput(call).data)


def _call(request: Request, call_id: str, code: str = "call_not_found") -> Call:
    either = Q(call_id=call_id) | Q(carrier_sid=call_id)
    calls = Call.objects.of(account_of(request)).prefetch_related("turns")
    call = None if "\0" in call_id else calls.filter(either).first()
    if call is None:
        raise not_found_error(code, "Call not found.")
    return call
