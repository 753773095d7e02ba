"""``/v1/integrations/precall/…``: who is asked before a call that comes in is answered."""

from abc import ABC, abstractmethod
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.parsing import body
from accounts.phone_numbers import number_in_path
from agents.integrations_api import UrlInput
from agents.models import Agent, PhoneNumber
from agents.numbers import find_number
from agents.services import find_agent
from webhooks.inputs import required_url


class _GateView(APIView, ABC):
    """GET, PUT and DELETE of one gate."""

    @abstractmethod
    def owner(self, request: Request, name: str) -> tuple[Agent | PhoneNumber, dict[str, str]]:
        """Return whose gate it is, and the key by which answers name it."""

    def _get(self, request: Request, name: str) -> Response:
        owner, names = self.owner(request, name)
        return Response({**names, **_shown(owner)})

    def _put(self, request: Request, name: str) -> Response:
        owner, names = self.owner(request, name)
        given = body(request)
        owner.precall_webhook_url = required_url(given, "url", "precall_webhook_url", field="url")
        owner.save(update_fields=["precall_webhook_url"])
        return Response({"ok": True, **names, **_shown(owner)})

    def _delete(self, request: Request, name: str) -> Response:
        owner, names = self.owner(request, name)
        owner.precall_webhook_url = None
        owner.save(update_fields=["precall_webhook_url"])
        return Response({"ok": True, "deleted": True, **names})


def _shown(owner: Agent | PhoneNumber) -> dict[str, Any]:
    url = owner.precall_webhook_url
    return {"precall_webhook_url": url, "is_set": url is not None}


class NumberGateView(_GateView):
    def owner(self, request: Request, name: str) -> tuple[PhoneNumber, dict[str, str]]:
        number = find_number(account_of(request), number_in_path(name))
        return number, {"phone_number": number.phone_number}

    @extend_schema(
        operation_id="precall_number_get", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    def get(self, request: Request, number: str) -> Response:
        """Show the number's pre-call gate."""
        return self._get(request, number)

    @extend_schema(
        operation_id="precall_number_set",
        tags=["Integrations"],
        request=UrlInput,
        responses=OpenApiTypes.OBJECT,
    )
    def put(self, request: Request, number: str) -> Response:
        """Have this URL asked before calls to the number are answered (5 s, open if silent)."""
        return self._put(request, number)

    @extend_schema(
        operation_id="precall_number_delete", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    def delete(self, request: Request, number: str) -> Response:
        """Ask nobody, or the agent's gate where it has one."""
        return self._delete(request, number)


class AgentGateView(_GateView):
    def owner(self, request: Request, name: str) -> tuple[Agent, dict[str, str]]:
        agent = find_agent(account_of(request), name)
        return agent, {"agent_id": agent.agent_id}

    @extend_schema(
        operation_id="precall_agent_get", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    def get(self, request: Request, agent_id: str) -> Response:
        """Show the agent's pre-call gate."""
        return self._get(request, agent_id)

    @extend_schema(
        operation_id="precall_agent_set",
        tags=["Integrations"],
        request=UrlInput,
        responses=OpenApiTypes.OBJECT,
    )
    def put(self, request: Request, agent_id: str) -> Response:
        """Have this URL asked before calls to numbers without a gate of their own."""
        return self._put(request, agent_id)

    @extend_schema(
        operation_id="precall_agent_delete", tags=["Integrations"], responses=OpenApiTypes.OBJECT
    )
    def delete(self, request: Request, agent_id: str) -> Response:
        """Ask nobody for this agent."""
        return self._delete(request, agent_id)
