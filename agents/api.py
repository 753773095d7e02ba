"""``/v1/agents…`` and ``/v1/phone-numbers…``."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of, key_of
from accounts.idempotency import idempotent
from accounts.paging import page_of, page_parameters
from accounts.parsing import body
from accounts.phone_numbers import number_in_path
from agents import numbers, services
from agents.inputs import AgentInput, NumberImport, NumberUpdate
from agents.models import Agent, PhoneNumber
from agents.outputs import (
    AgentDeleted,
    AgentOutput,
    NumberDeleted,
    NumberEnvelope,
    NumberList,
    PhoneNumberOutput,
)

_PAGING = page_parameters(default=100, cap=200)
# A list of numbers has no pages, but an end.
MOST_NUMBERS = 1_000


class AgentsView(APIView):
    @extend_schema(
        operation_id="agents_list",
        tags=["Agents"],
        parameters=_PAGING,
        responses=AgentOutput(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the active agents, newest first: a bare array."""
        page = page_of(request.query_params, default=100, cap=200)
        agents = page.of(Agent.objects.of(account_of(request)).active().newest_first())
        return Response(AgentOutput(agents, many=True).data)

    @extend_schema(
        operation_id="agents_create",
        tags=["Agents"],
        request=AgentInput,
        responses={201: AgentOutput},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make an agent. Every field has a default; unknown ones are ignored."""
        agent = services.create_agent(
            account_of(request), api_key=key_of(request), **_valid(AgentInput, request)
        )
        return Response(AgentOutput(agent).data, status=201)


class AgentView(APIView):
    @extend_schema(operation_id="agents_get", tags=["Agents"], responses=AgentOutput)
    def get(self, request: Request, agent_id: str) -> Response:
        """Return an agent, active or not."""
        return Response(AgentOutput(services.find_agent(account_of(request), agent_id)).data)

    @extend_schema(
        operation_id="agents_update", tags=["Agents"], request=AgentInput, responses=AgentOutput
    )
    @idempotent
    def put(self, request: Request, agent_id: str) -> Response:
        """Change the given fields, all or none; the others keep their values."""
        account = account_of(request)
        services.find_agent(account, agent_id)  # a 404 before any complaint about the body
        agent = services.update_agent(account, agent_id, **_valid(AgentInput, request))
        return Response(AgentOutput(agent).data)

    @extend_schema(operation_id="agents_delete", tags=["Agents"], responses=AgentDeleted)
    @idempotent
    def delete(self, request: Request, agent_id: str) -> Response:
        """Delete an agent for good. Its numbers stop routing until they have another."""
        services.delete_agent(account_of(request), agent_id)
        return Response({"agent_id": agent_id, "deleted": True})


class PhoneNumbersView(APIView):
    @extend_schema(
        operation_id="phone_numbers_list",
        tags=["Phone numbers"],
        parameters=[OpenApiParameter("agent_id", OpenApiTypes.STR)],
        responses=NumberList,
    )
    def get(self, request: Request) -> Response:
        """List the numbers, newest first, all of them or one agent's."""
        found = PhoneNumber.objects.of(account_of(request)).with_owners().newest_first()
        if agent_id := request.query_params.get("agent_id"):
            found = found.filter(agent__agent_id=agent_id)
        rows = PhoneNumberOutput(found[:MOST_NUMBERS], many=True).data
        return Response({"phone_numbers": rows, "count": len(rows)})

    @extend_schema(
        operation_id="phone_numbers_import",
        tags=["Phone numbers"],
        request=NumberImport,
        responses={201: NumberEnvelope},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Import a number of a Twilio account; its webhooks are overwritten with ours."""
        own = _valid(NumberImport, request)
        number = numbers.import_number(
            account_of(request), sid=own.pop("twilio_sid"), token=own.pop("twilio_token"), **own
        )
        return Response({"phone_number": PhoneNumberOutput(number).data}, status=201)


class PhoneNumberView(APIView):
    @extend_schema(
        operation_id="phone_numbers_update",
        tags=["Phone numbers"],
        request=NumberUpdate,
        responses=NumberEnvelope,
    )
    @idempotent
    def patch(self, request: Request, number: str) -> Response:
        """Change a number's own settings, all or none; null means as the agent has it."""
        account, phone_number = account_of(request), number_in_path(number)
        numbers.find_number(account, phone_number)  # a 404 before any complaint about the body
        changed = numbers.update_number(account, phone_number, **_valid(NumberUpdate, request))
        return Response({"phone_number": PhoneNumberOutput(changed).data})

    @extend_schema(
        operation_id="phone_numbers_delete", tags=["Phone numbers"], responses=NumberDeleted
    )
    @idempotent
    def delete(self, request: Request, number: str) -> Response:
        """Remove a number from here; it stays in the Twilio account, pointed at nobody."""
        released = numbers.release_number(account_of(request), number_in_path(number))
        answer: dict[str, Any] = {
            "phone_number": {"phone_number": released.phone_number, "deleted": True}
        }
        if not released.carrier_cleared:
            answer["message"] = (
                "The number was removed here, but Twilio could not be told. Clear its voice, "
                "messaging and status webhooks in the Twilio console."
            )
        return Response(answer)


def _valid(
    kind: type[AgentInput | NumberImport | NumberUpdate], request: Request
) -> dict[str, Any]:
    given = kind(data=body(request))
    given.is_valid(raise_exception=True)
    valid: dict[str, Any] = given.validated_data
    return valid
