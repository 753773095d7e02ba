"""``/v1/phone-numbers/{number}/callers…``: what a number knows of a caller."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.idempotency import idempotent
from accounts.parsing import body
from accounts.phone_numbers import number_in_path, parse_e164
from agents import callers
from agents.models import Caller


class _Settable(serializers.Serializer[Any]):
    """Null removes, what is left out is kept, and an empty string erases nothing."""

    name = serializers.CharField(required=False, allow_null=True, max_length=120)
    email = serializers.CharField(required=False, allow_null=True, max_length=120)
    phone = serializers.CharField(required=False, allow_null=True, max_length=40)
    location = serializers.CharField(required=False, allow_null=True, max_length=120)
    reference_id = serializers.CharField(required=False, allow_null=True, max_length=64)
    preference = serializers.CharField(required=False, allow_null=True, max_length=200)


class _Row(_Settable):
    caller_number = serializers.CharField()


class _Rows(serializers.Serializer[Any]):
    callers = _Row(many=True, help_text="1 to 1,000; all are checked before any is written.")


class _Known(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    caller_number = serializers.CharField()
    context = serializers.DictField(  # type: ignore[assignment]
        help_text="Only fields with a value; also last_call and open_item, learned from calls."
    )


class _CallerEnvelope(serializers.Serializer[Any]):
    caller = _Known()


class _CallerDeleted(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    caller_number = serializers.CharField()
    deleted = serializers.BooleanField()


class _Imported(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    imported = serializers.IntegerField()


def _shown(caller: Caller) -> Response:
    context = {name: getattr(caller, name) for name in Caller.FIELDS if getattr(caller, name)}
    about = {
        "phone_number": caller.number.phone_number,
        "caller_number": caller.caller_number,
        "context": context,
    }
    return Response({"caller": about})


class CallerView(APIView):
    @extend_schema(operation_id="callers_get", tags=["Callers"], responses=_CallerEnvelope)
    def get(self, request: Request, number: str, caller: str) -> Response:
        """Return what a number knows of a caller."""
        own = callers.find_own_number(account_of(request), number_in_path(number))
        return _shown(callers.find_caller(own, number_in_path(caller)))

    @extend_schema(
        operation_id="callers_set",
        tags=["Callers"],
        request=_Settable,
        responses=_CallerEnvelope,
    )
    @idempotent
    def put(self, request: Request, number: str, caller: str) -> Response:
        """Set what the agent shall know of a caller, from the next call or text on."""
        own = callers.find_own_number(account_of(request), number_in_path(number))
        caller_number = parse_e164(number_in_path(caller), "caller_number")
        fields = callers.checked_fields(body(request))
        return _shown(callers.set_caller(own, caller_number, fields))

    @extend_schema(operation_id="callers_delete", tags=["Callers"], responses=_CallerDeleted)
    @idempotent
    def delete(self, request: Request, number: str, caller: str) -> Response:
        """Erase the whole record: what was set and what was learned."""
        own = callers.find_own_number(account_of(request), number_in_path(number))
        caller_number = number_in_path(caller)
        callers.delete_caller(own, caller_number)
        return Response(
            {"phone_number": own.phone_number, "caller_number": caller_number, "deleted": True}
        )


class CallersImportView(APIView):
    @extend_schema(
        operation_id="callers_import", tags=["Callers"], request=_Rows, responses=_Imported
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Set many callers at once, all or none; of several rows of one caller the last wins."""
        own = callers.find_own_number(account_of(request), number_in_path(number))
        imported = callers.import_callers(own, body(request).get("callers"))
        return Response({"phone_number": own.phone_number, "imported": imported})
