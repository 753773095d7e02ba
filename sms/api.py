"""``/v1/sms``: send a text, see what became of it, read conversations."""

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import account_of
from accounts.errors import not_found_error
from accounts.idempotency import guarded
from accounts.paging import page_of, page_parameters
from accounts.parsing import body
from sms import services
from sms.inputs import NewText, filtered_messages, filtered_threads
from sms.models import Message, MessagePart, Thread
from sms.outputs import MessageOutput, MessageWithThread, ThreadList, ThreadOutput

_FILTERS = [
    OpenApiParameter(
        "view",
        OpenApiTypes.STR,
        enum=["threads", "messages"],
        description="Conversations (default), or single texts under the key messages.",
    ),
    *page_parameters(default=50, cap=200),
    OpenApiParameter("agent_id", OpenApiTypes.STR),
    OpenApiParameter("to_number", OpenApiTypes.STR, description="The person, of threads."),
    OpenApiParameter("from_number", OpenApiTypes.STR, description="Our number, of threads."),
    OpenApiParameter("window_open", OpenApiTypes.BOOL, description="Of threads."),
    OpenApiParameter("needs_human", OpenApiTypes.BOOL, description="Of threads."),
    OpenApiParameter("unread", OpenApiTypes.BOOL, description="Of threads."),
    OpenApiParameter("status", OpenApiTypes.STR, enum=Message.Status.values),
    OpenApiParameter("direction", OpenApiTypes.STR, enum=Message.Direction.values),
    OpenApiParameter("origin", OpenApiTypes.STR, enum=Message.Origin.values),
    OpenApiParameter("reply", OpenApiTypes.STR, enum=Message.Reply.values),
    OpenApiParameter("campaign_id", OpenApiTypes.STR),
    OpenApiParameter("call_id", OpenApiTypes.STR),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="At or after."),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Before."),
]
_OF_MESSAGES = frozenset({"status", "direction", "origin", "reply", "campaign_id", "call_id"})


class TextsView(APIView):
    @extend_schema(operation_id="sms_list", tags=["SMS"], parameters=_FILTERS, responses=ThreadList)
    def get(self, request: Request) -> Response:
        """List conversations, the one with the newest text first, each with its newest texts; or,
        with view=messages or a filter of single texts, those."""
        query, account = request.query_params, account_of(request)
        page = page_of(query, default=50, cap=200)
        if query.get("view") == "messages" or _OF_MESSAGES & query.keys():
            messages = filtered_messages(Message.objects.of(account), query)
            shown = page.of(messages.newest_first().prefetch_related("parts", "tool_rounds"))
            return Response(
                {"messages": MessageOutput(shown, many=True).data, "count": messages.count()}
            )
        threads = filtered_threads(Thread.objects.of(account), query)
        rows = page.of(threads.newest_first().select_related("agent", "account"))
        context = {"now": timezone.now()}
        return Response(
            {
                "threads": ThreadOutput(rows, many=True, context=context).data,
                "count": threads.count(),
            }
        )

    @extend_schema(
        operation_id="sms_send", tags=["SMS"], request=NewText, responses={201: MessageOutput}
    )
    @guarded
    def post(self, request: Request) -> Response:
        """Send a text: within a second, or as the number's and account's pace allow."""
        given = NewText(data=body(request))
        given.is_valid(raise_exception=True)
        message = services.request_text(account_of(request), **given.validated_data)
        return Response(MessageOutput(message).data, status=201)


class TextView(APIView):
    @extend_schema(operation_id="sms_get", tags=["SMS"], responses=MessageWithThread)
    def get(self, request: Request, message_id: str) -> Response:
        """Return a text with its status, error and thread, by our id or the carrier's."""
        either = (
            Q(message_id=message_id) | Q(carrier_sid=message_id) | Q(pk__in=_of_part(message_id))
        )
        messages = Message.objects.of(account_of(request)).select_related(
            "thread__agent", "thread__account"
        )
        message = None if "\0" in message_id else messages.filter(either).first()
        if message is None:
            raise not_found_error("message_not_found", "Message not found.")
        return Response(MessageWithThread(message, context={"now": timezone.now()}).data)


def _of_part(sid: str) -> QuerySet[MessagePart, int]:
    return MessagePart.objects.filter(carrier_sid=sid).values_list("message_id", flat=True)
