"""``POST /v1/keys/rotate`` (spec 3.6). Keys are made and ended in the dashboard."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import key_of
from accounts.keys import rotate_key


class KeyRotated(serializers.Serializer[Any]):
    message = serializers.CharField()
    key_id = serializers.CharField()
    key_secret = serializers.CharField(help_text="Shown only this once.")


class RotateView(APIView):
    @extend_schema(operation_id="keys_rotate", tags=["Account"], request=None, responses=KeyRotated)
    def post(self, request: Request) -> Response:
        """Give the key that asks a new secret. The old one is refused from now on, and webhooks
        are signed with the new one.
        """
        key = key_of(request)
        secret = rotate_key(key)
        return Response(
            {
                "message": "API key secret rotated. Save your new key_secret - it will not be "
                "shown again. Update your applications immediately.",
                "key_id": key.key_id,
                "key_secret": secret,
            },
            headers={"Cache-Control": "no-store"},
        )
