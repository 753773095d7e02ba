"""``/v1/integrations/…/number/{number}``: where a number's calls are told (spec 3.7)."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import invalid_field, missing_field
from accounts.fields import Text
from accounts.parsing import body
from accounts.phone_numbers import number_in_path
from agents.models import PhoneNumber
from agents.numbers import find_number
from webhooks import gohighlevel, outbox
from webhooks.inputs import Url, required_url
from webhooks.models import Endpoint

SLACK_HOST = "hooks.slack.com"


class UrlInput(serializers.Serializer[Any]):
    url = Url()


class MakeInput(serializers.Serializer[Any]):
    post_call_url = Url(required=False)
    in_call_url = Url(required=False)


class GoHighLevelInput(serializers.Serializer[Any]):
    pit = Text(max_length=200, help_text="A private integration token.")
    location_id = Text(max_length=64)
    tags = serializers.ListField(child=Text(max_length=64), required=False, max_length=20)


class _SlotView(APIView):
    """GET, PUT and DELETE of one slot. ``field`` is the documented name of its URL."""

    kind = Endpoint.Kind.WEBHOOK
    slot = 1
    field = "webhook_url"

    def get(self, request: Request, number: str) -> Response:
        phone_number = self._number(request, number)
        return Response(self._shown(phone_number, self._endpoint(request, phone_number)))

    def put(self, request: Request, number: str) -> Response:
        phone_number = self._number(request, number)
        url = required_url(body(request), "url", self.field, field=self.field)
        if self.kind == Endpoint.Kind.SLACK and urlsplit(url).hostname != SLACK_HOST:
            raise invalid_field(
                self.field, f"must be a Slack webhook: https://{SLACK_HOST}/…", "invalid_url"
            )
        had = self._endpoint(request, phone_number)
        endpoint = outbox.set_slot(
            account_of(request), phone_number, kind=self.kind, slot=self.slot, url=url
        )
        shown = {"ok": True, **self._shown(phone_number, endpoint)}
        if had is None and self.kind != Endpoint.Kind.SLACK:
            shown["signing_secret"] = endpoint.secret
        return Response(shown)

    def delete(self, request: Request, number: str) -> Response:
        phone_number = self._number(request, number)
        endpoint = self._endpoint(request, phone_number)
        if endpoint is not None:
            outbox.delete_endpoint(endpoint)
        return Response({"ok": True, "deleted": True, "phone_number": phone_number})

    def _number(self, request: Request, number: str) -> str:
        return find_number(account_of(request), number_in_path(number)).phone_number

    def _endpoint(self, request: Request, phone_number: str) -> Endpoint | None:
        return outbox.slot_of(account_of(request), phone_number, kind=self.kind, slot=self.slot)

    def _shown(self, phone_number: str, endpoint: Endpoint | None) -> dict[str, Any]:
        url = endpoint.url if endpoint else None
        return {
            "phone_number": phone_number,
            self.field: url,
            "url": url,
            "is_set": endpoint is not None,
            "endpoint_id": endpoint.endpoint_id if endpoint else None,
            "is_enabled": endpoint is not None and endpoint.disabled_at is None,
        }


def _documented(name: str, takes: type[serializers.Serializer[Any]] = UrlInput) -> Any:
    def documented(view: type[_SlotView]) -> type[_SlotView]:
        described = {
            method: extend_schema(
                operation_id=f"{name}_{method}",
                tags=["Integrations"],
                request=takes if method == "put" else None,
                responses={200: OpenApiTypes.OBJECT},
            )
            for method in ("get", "put", "delete")
        }
        shown: type[_SlotView] = extend_schema_view(**described)(view)
        return shown

    return documented


@_documented("integrations_webhook")
class WebhookView(_SlotView):
    """The first webhook of a number."""


@_documented("integrations_webhook2")
class SecondWebhookView(_SlotView):
    """The second webhook of a number, told the same as the first."""

    slot = 2
    field = "webhook_url_2"


@_documented("integrations_slack")
class SlackView(_SlotView):
    """A Slack channel that gets each call's summary and outcome."""

    kind = Endpoint.Kind.SLACK


@_documented("integrations_zapier")
class ZapierView(_SlotView):
    """A Zapier hook that gets each finished call."""

    kind = Endpoint.Kind.ZAPIER
    field = "post_call_url"


@_documented("integrations_make", MakeInput)
class MakeView(_SlotView):
    """Make: a hook that gets each finished call, and a scenario that the agent may ask in mid-call.

    Either is enough. A PUT without one of them leaves that one as it is.
    """

    kind = Endpoint.Kind.MAKE
    field = "post_call_url"

    def get(self, request: Request, number: str) -> Response:
        return Response(self._both(self._own(request, number)))

    def put(self, request: Request, number: str) -> Response:
        own = self._own(request, number)
        sent = body(request)
        url = None
        if sent.get("in_call_url"):
            url = required_url(sent, "in_call_url", field="in_call_url")
        with transaction.atomic():
            if url is not None:
                own.make_in_call_url = url
                own.save(update_fields=["make_in_call_url"])
            if url is None or sent.get("post_call_url") or sent.get("url"):
                super().put(request, number)
        return Response({"ok": True, **self._both(own)})

    def delete(self, request: Request, number: str) -> Response:
        own = self._own(request, number)
        own.make_in_call_url = ""
        own.save(update_fields=["make_in_call_url"])
        return super().delete(request, number)

    def _own(self, request: Request, number: str) -> PhoneNumber:
        return find_number(account_of(request), number_in_path(number))

    def _both(self, own: PhoneNumber) -> dict[str, Any]:
        endpoint = outbox.slot_of(own.account, own.phone_number, kind=self.kind, slot=self.slot)
        asked = own.make_in_call_url or None
        shown = self._shown(own.phone_number, endpoint)
        return shown | {"in_call_url": asked, "is_set": endpoint is not None or asked is not None}


@_documented("integrations_gohighlevel", GoHighLevelInput)
class GoHighLevelView(_SlotView):
    """GoHighLevel: each finished call becomes a note on the person's contact, found or made by the
    phone number, with your tags.
    """

    kind = Endpoint.Kind.GOHIGHLEVEL

    def put(self, request: Request, number: str) -> Response:
        phone_number = self._number(request, number)
        sent = body(request)
        for name in ("pit", "location_id"):
            if not sent.get(name):
                raise missing_field(name)
        given = GoHighLevelInput(data=sent)
        given.is_valid(raise_exception=True)
        crm = gohighlevel.Crm(
            given.validated_data["pit"],
            given.validated_data["location_id"],
            tuple(given.validated_data.get("tags", ())),
        )
        endpoint = outbox.set_slot(
            account_of(request),
            phone_number,
            kind=self.kind,
            url=settings.GOHIGHLEVEL_API_URL,
            credentials=crm.stored(),
        )
        return Response({"ok": True, **self._shown(phone_number, endpoint)})

    def _shown(self, phone_number: str, endpoint: Endpoint | None) -> dict[str, Any]:
        """Say what is set, never the token."""
        crm = gohighlevel.Crm.read(endpoint.credentials) if endpoint else None
        return {
            "phone_number": phone_number,
            "pit_set": crm is not None,
            "is_set": crm is not None,
            "location_id": crm.location_id if crm else None,
            "tags": [*crm.tags] if crm else [],
            "endpoint_id": endpoint.endpoint_id if endpoint else None,
            "is_enabled": endpoint is not None and endpoint.disabled_at is None,
        }
