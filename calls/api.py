"""``/v1/calls…``."""

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import not_found_error
from accounts.idempotency import guarded, idempotent
from accounts.paging import page_of, page_parameters
from accounts.parsing import body
from accounts.phone_numbers import number_in_path, parse_e164
from calls import aftercare, retention, services
from calls.inputs import NewCall, filtered
from calls.models import Call
from calls.outputs import (
    AccountDeleted,
    AllDeleted,
    CallDeleted,
    CallOutput,
    CallPlaced,
    PersonForgotten,
    placed,
)

_FILTERS = [
    *page_parameters(default=50, cap=200),
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
        rows = page.of(calls.prefetch_related("turns", "transfers"))
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

    @extend_schema(operation_id="calls_delete_all", tags=["Calls"], responses=AllDeleted)
    def delete(self, request: Request) -> Response:
        """Erase every finished call with its recording, and every text. Nothing brings them back;
        agents, numbers and keys stay.
        """
        erased = retention.delete_all(account_of(request))
        return Response(
            {
                "deleted": True,
                "calls_deleted": erased.calls,
                "recordings_deleted": erased.recordings,
                "sms_deleted": erased.texts,
            }
        )


class CallView(APIView):
    @extend_schema(operation_id="calls_get", tags=["Calls"], responses=CallOutput)
    def get(self, request: Request, call_id: str) -> Response:
        """Return a call, by our id or the carrier's."""
        return Response(CallOutput(_call(request, call_id)).data)

    @extend_schema(operation_id="calls_delete", tags=["Calls"], responses=CallDeleted)
    def delete(self, request: Request, call_id: str) -> Response:
        """Erase a finished call: record, transcript, analysis and recording, at once."""
        erased = retention.delete_call(account_of(request), call_id)
        return Response(
            {"call_id": call_id, "deleted": True, "recording_deleted": erased.recordings > 0}
        )


class AnalyzeView(APIView):
    @extend_schema(operation_id="calls_analyze", tags=["Calls"], request=None, responses=CallOutput)
    @idempotent
    def post(self, request: Request, call_id: str) -> Response:
        """Analyse a finished call again; ``call.analyzed`` tells of it when it is done."""
        call = _call(request, call_id)
        aftercare.analyse_again(call)
        return Response(CallOutput(call).data)


class PersonView(APIView):
    @extend_schema(
        operation_id="people_export", tags=["People"], responses={200: OpenApiTypes.OBJECT}
    )
    def get(self, request: Request, number: str) -> Response:
        """Return everything on record about a person: calls, texts, notes, caller context, and
        whether they asked not to be contacted.
        """
        person = parse_e164(number_in_path(number), "phone_number")
        return Response(retention.export_person(account_of(request), person))

    @extend_schema(operation_id="people_forget", tags=["People"], responses=PersonForgotten)
    def delete(self, request: Request, number: str) -> Response:
        """Forget a person: calls, recordings, texts, notes, caller context, at once. A wish not to
        be contacted is still honoured.
        """
        person = parse_e164(number_in_path(number), "phone_number")
        erased = retention.forget_person(account_of(request), person)
        return Response(
            {
                "phone_number": person,
                "forgotten": True,
                "calls_deleted": erased.calls,
                "recordings_deleted": erased.recordings,
                "sms_deleted": erased.texts,
            }
        )


class AccountDeleteView(APIView):
    @extend_schema(
        operation_id="account_delete", tags=["Account"], request=None, responses=AccountDeleted
    )
    def post(self, request: Request) -> Response:
        """Close the account: everything it has is erased, its numbers are let go, its keys end."""
        retention.close_account(account_of(request))
        return Response(
            {"ok": True, "message": "The account was closed and everything in it was erased."}
        )


def _call(request: Request, call_id: str) -> Call:
    either = Q(call_id=call_id) | Q(carrier_sid=call_id)
    calls = Call.objects.of(account_of(request)).prefetch_related("turns", "transfers")
    call = None if "\0" in call_id else calls.filter(either).first()
    if call is None:
        raise not_found_error("call_not_found", "Call not found.")
    return call
