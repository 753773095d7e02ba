"""``/v1/suppressions…``: whom this account may not contact."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import suppression, suppression_csv
from accounts.authentication import account_of, key_of
from accounts.errors import not_found_error
from accounts.fields import E164, OneOf, Text
from accounts.idempotency import idempotent
from accounts.models import Suppression
from accounts.paging import page_of, page_parameters
from accounts.parsing import RawBodyParser, body
from accounts.phone_numbers import number_in_path

_TAG = ["Do not contact"]


class NewSuppression(serializers.Serializer[Any]):
    phone_number = E164()
    scope = OneOf(Suppression.Scope.choices, default=Suppression.Scope.ALL)
    reason = Text(max_length=2000, default="")


class SuppressionOutput(serializers.ModelSerializer[Suppression]):
    class Meta:
        model = Suppression
        fields = (
            "phone_number",
            "scope",
            "source",
            "reason",
            "evidence",
            "entered_by",
            "created_at",
            "lifted_at",
            "lifted_by",
        )


class SuppressionList(serializers.Serializer[Any]):
    suppressions = SuppressionOutput(many=True)
    count = serializers.IntegerField(help_text="of all pages")


class SuppressionLifted(serializers.Serializer[Any]):
    phone_number = serializers.CharField()
    lifted = serializers.IntegerField(help_text="how many entries")


class InvalidLine(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    reason = serializers.CharField()


class SuppressionsImported(serializers.Serializer[Any]):
    valid_count = serializers.IntegerField()
    new_count = serializers.IntegerField(help_text="the others were in the list already")
    invalid_count = serializers.IntegerField()
    invalid = InvalidLine(many=True, help_text="The first 10,000.")


class SuppressionsView(APIView):
    @extend_schema(
        operation_id="suppressions_list",
        tags=_TAG,
        parameters=[
            *page_parameters(default=100, cap=1000),
            OpenApiParameter("phone_number", OpenApiTypes.STR, description="One person's."),
            OpenApiParameter("lifted", OpenApiTypes.BOOL, description="true: history, too."),
        ],
        responses=SuppressionList,
    )
    def get(self, request: Request) -> Response:
        """List the entries that are in force, newest first."""
        page = page_of(request.query_params, default=100, cap=1000)
        account = account_of(request)
        entries = Suppression.objects.of(account)
        if request.query_params.get("lifted") != "true":
            entries = entries.active()
        if number := request.query_params.get("phone_number"):
            # Also finds the entry of a person whose number was erased.
            found = suppression.number_hashes(account, number_in_path(number))
            entries = entries.filter(number_hash__in=found)
        rows = SuppressionOutput(page.of(entries), many=True).data
        return Response({"suppressions": rows, "count": entries.count()})

    @extend_schema(
        operation_id="suppressions_create",
        tags=_TAG,
        request=NewSuppression,
        responses={200: SuppressionOutput, 201: SuppressionOutput},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Neither call nor text a number from now on. 200: it was entered already."""
        given = NewSuppression(data=body(request))
        given.is_valid(raise_exception=True)
        entry, is_new = suppression.suppress(
            account_of(request),
            given.validated_data["phone_number"],
            source=Suppression.Source.API,
            scope=given.validated_data["scope"],
            reason=given.validated_data["reason"],
            by=key_of(request).key_id,
        )
        return Response(SuppressionOutput(entry).data, status=201 if is_new else 200)


class SuppressionView(APIView):
    @extend_schema(operation_id="suppressions_lift", tags=_TAG, responses=SuppressionLifted)
    @idempotent
    def delete(self, request: Request, number: str) -> Response:
        """Allow contact again, whoever had entered the number. The history stays."""
        number = number_in_path(number)
        lifted = suppression.lift(account_of(request), number, by=key_of(request).key_id)
        if not lifted:
            raise not_found_error("suppression_not_found", "This number is not in the list.")
        return Response({"phone_number": number, "lifted": lifted})


class SuppressionsImportView(APIView):
    parser_classes = (RawBodyParser,)

    @extend_schema(
        operation_id="suppressions_import",
        tags=_TAG,
        request={"text/csv": OpenApiTypes.STR},
        responses=SuppressionsImported,
    )
    def post(self, request: Request) -> Response:
        """Enter the numbers of a CSV file (the request's body): a column ``phone_number``, and
        optionally ``scope`` and ``reason``. Lines that cannot be read are named, the others count.
        """
        raw: object = request.data  # of an empty body DRF makes a form
        rows = suppression_csv.read(raw if isinstance(raw, bytes) else b"")
        new = suppression.suppress_many(
            account_of(request),
            rows.valid,
            source=Suppression.Source.CSV,
            by=key_of(request).key_id,
        )
        return Response(
            {
                "valid_count": len(rows.valid),
                "new_count": new,
                "invalid_count": rows.invalid_count,
                "invalid": rows.invalid,
            }
        )


class SuppressionsExportView(APIView):
    @extend_schema(
        operation_id="suppressions_export",
        tags=_TAG,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return all entries in force as CSV."""
        entries = Suppression.objects.of(account_of(request)).active()
        return HttpResponse(
            suppression_csv.write(entries.iterator()),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="do-not-contact.csv"'},
        )
