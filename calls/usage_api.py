"""``GET /v1/usage`` (spec 4.9)."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from calls import usage


class UsageOutput(serializers.Serializer[Any]):
    plan = serializers.CharField()
    total_calls = serializers.IntegerField(help_text="All that left or came in, ever.")
    total_minutes = serializers.FloatField(help_text="Charged minutes, ever.")
    total_cost = serializers.FloatField(help_text="Dollars, at CALL_PRICE_MICROS_PER_MINUTE.")
    rate_limit_per_minute = serializers.IntegerField(help_text="API requests of one key.")
    max_concurrent = serializers.IntegerField()
    peak_concurrent_this_month = serializers.IntegerField(help_text="Connected at one moment.")
    rejected_at_cap_this_month = serializers.IntegerField(help_text="Inbound, no line free.")


class UsageView(APIView):
    @extend_schema(operation_id="usage_get", tags=["Account"], responses=UsageOutput)
    def get(self, request: Request) -> Response:
        """Return what the account has used; erasing calls takes nothing from the totals."""
        account = account_of(request)
        used = usage.of(account)
        return Response(
            {
                "plan": "self_hosted",
                "total_calls": used.calls,
                "total_minutes": float(used.minutes),
                "total_cost": used.cost_micros / 1_000_000,
                "rate_limit_per_minute": settings.API_RATE_LIMIT_PER_MINUTE,
                "max_concurrent": account.max_concurrent_calls,
                "peak_concurrent_this_month": used.peak_concurrent,
                "rejected_at_cap_this_month": used.rejected_at_cap,
            }
        )
