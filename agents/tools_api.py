"""``/v1/integrations/custom-functions/…`` and ``calcom/…``: a number's tools (spec 3.7)."""

import json
import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import invalid_field, missing_field
from accounts.fields import Object, OneOf, Text
from accounts.idempotency import idempotent
from accounts.parsing import body
from accounts.phone_numbers import number_in_path
from agents.inputs import Timezone
from agents.models import Calendar, CustomFunction, PhoneNumber
from agents.numbers import find_number
from agents.tools import functions
from agents.tools.functions import LONGEST_TIMEOUT_MS
from webhooks.inputs import Url

# Names of the engine's own tools, which a function must not take.
RESERVED = frozenset(
    {
        "ask_business",
        "book_appointment",
        "cancel_booking",
        "check_availability",
        "confirm_identity",
        "find_booking",
        "opt_out",
        "reschedule_booking",
        "send_sms",
        "transfer_call",
    }
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class _Name(Text):
    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not _NAME.fullmatch(name):
            raise invalid_field("name", "must be snake_case, at most 64 characters: check_order.")
        if name in RESERVED:
            raise invalid_field("name", "is the name of a built-in tool; choose another.")
        return name


class _Timeout(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, (int, float)) or data != data // 1:
            raise invalid_field("timeout_ms", "must be a whole number.")
        return int(min(max(data, 1_000), LONGEST_TIMEOUT_MS))


class _Headers(Object):
    def to_internal_value(self, data: Any) -> dict[str, str]:
        headers = super().to_internal_value(data)
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _HOP:
                raise invalid_field("headers", f"cannot hold a header named {name!r}.")
            if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]{0,2000}", value):
                raise invalid_field("headers", f"{name} must be a string of printable ASCII.")
        return headers


class _Parameters(Object):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        parameters = super().to_internal_value(data)
        functions.check_parameters(parameters)
        return parameters


class FunctionInput(serializers.Serializer[Any]):
    """A custom function. ``headers`` and ``url`` may hold ``{{placeholders}}``."""

    name = _Name(max_length=64, allow_blank=False)
    description = Text(max_length=2_000, allow_blank=False)
    url = Url()
    method = OneOf(CustomFunction.Method.choices)
    headers = _Headers()
    parameters = _Parameters()
    timeout_ms = _Timeout(help_text="Brought into 1,000 to 45,000.")
    speak_during = Text(max_length=300, allow_null=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, partial=True, **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        given: dict[str, Any] = super().to_internal_value(data)
        if "headers" in given:
            given["headers_json"] = json.dumps(given.pop("headers"))
        if "speak_during" in given:
            given["speak_during"] = given["speak_during"] or ""
        return given


class FunctionOutput(serializers.ModelSerializer[CustomFunction]):
    id = serializers.CharField(source="function_id")
    headers = serializers.SerializerMethodField()

    class Meta:
        model = CustomFunction
        fields = (
            "id",
            "name",
            "description",
            "url",
            "method",
            "headers",
            "parameters",
            "timeout_ms",
            "speak_during",
            "created_at",
        )

    def get_headers(self, function: CustomFunction) -> dict[str, str]:
        headers: dict[str, str] = json.loads(function.headers_json or "{}")
        return headers


class _Functions(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    functions = FunctionOutput(many=True)
    count = serializers.IntegerField()


class FunctionsView(APIView):
    @extend_schema(operation_id="functions_list", tags=["Integrations"], responses=_Functions)
    def get(self, request: Request, number: str) -> Response:
        """List a number's functions, oldest first."""
        own = find_number(account_of(request), number_in_path(number))
        rows = FunctionOutput(own.custom_functions.all(), many=True).data
        return Response({"phone_number": own.phone_number, "functions": rows, "count": len(rows)})

    @extend_schema(
        operation_id="functions_create",
        tags=["Integrations"],
        request=FunctionInput,
        responses={201: FunctionOutput},
    )
    @idempotent
    def post(self, request: Request, number: str) -> Response:
        """Give the number's agent one more tool, from the next call on; 15 at most."""
        own = find_number(account_of(request), number_in_path(number))
        fields = _valid(request)
        for required in ("name", "description", "url"):
            if required not in fields:
                raise missing_field(required)
        return Response(FunctionOutput(functions.add_function(own, **fields)).data, status=201)


class FunctionView(APIView):
    @extend_schema(
        operation_id="functions_update",
        tags=["Integrations"],
        request=FunctionInput,
        responses=FunctionOutput,
    )
    @idempotent
    def patch(self, request: Request, number: str, function_id: str) -> Response:
        """Change the given fields, all or none."""
        found = self._find(request, number, function_id)
        return Response(FunctionOutput(functions.change_function(found, **_valid(request))).data)

    @extend_schema(
        operation_id="functions_delete", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    @idempotent
    def delete(self, request: Request, number: str, function_id: str) -> Response:
        """Take the tool away."""
        self._find(request, number, function_id).delete()
        return Response({"ok": True, "deleted": True, "id": function_id})

    def _find(self, request: Request, number: str, function_id: str) -> CustomFunction:
        own = find_number(account_of(request), number_in_path(number))
        return functions.find_function(own, function_id)


class CalendarInput(serializers.Serializer[Any]):
    api_key = Text(max_length=400, allow_blank=False)
    username = Text(max_length=120, allow_blank=False)
    event_slug = Text(max_length=120, allow_blank=False)
    default_timezone = Timezone(max_length=64, required=False)


class CalendarView(APIView):
    @extend_schema(operation_id="calcom_get", tags=["Integrations"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, number: str) -> Response:
        """Show the number's Cal.com calendar, never its key."""
        own = find_number(account_of(request), number_in_path(number))
        return Response(self._shown(own))

    @extend_schema(
        operation_id="calcom_set",
        tags=["Integrations"],
        request=CalendarInput,
        responses=OpenApiTypes.OBJECT,
    )
    def put(self, request: Request, number: str) -> Response:
        """Let the number's agent book in this Cal.com calendar, from the next call on."""
        own = find_number(account_of(request), number_in_path(number))
        sent = body(request)
        for name in ("api_key", "username", "event_slug"):
            if not sent.get(name):
                raise missing_field(name)
        given = CalendarInput(data=sent)
        given.is_valid(raise_exception=True)
        Calendar.objects.update_or_create(number=own, defaults=given.validated_data)
        return Response({"ok": True, **self._shown(own)})

    @extend_schema(
        operation_id="calcom_delete", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    def delete(self, request: Request, number: str) -> Response:
        """Take the calendar away, and its key with it."""
        own = find_number(account_of(request), number_in_path(number))
        Calendar.objects.filter(number=own).delete()
        return Response({"ok": True, "deleted": True, "phone_number": own.phone_number})

    def _shown(self, number: PhoneNumber) -> dict[str, Any]:
        calendar = Calendar.objects.filter(number=number).first()
        return {
            "phone_number": number.phone_number,
            "api_key_set": calendar is not None,
            "is_set": calendar is not None,
            "username": calendar.username if calendar else None,
            "event_slug": calendar.event_slug if calendar else None,
            "default_timezone": calendar.default_timezone if calendar else None,
        }


def _valid(request: Request) -> dict[str, Any]:
    given = FunctionInput(data=body(request))
    given.is_valid(raise_exception=True)
    valid: dict[str, Any] = given.validated_data
    return valid
