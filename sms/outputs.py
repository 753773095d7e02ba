"""What the API shows of texts and threads, in the names of every generation of clients."""

from typing import Any

from rest_framework import serializers

from sms.models import Message, MessagePart, Thread
from sms.services import calls_with

# So many of a thread's newest texts are shown with it, and so many calls with the person.
THREAD_SHOWS = 50
CALLS_SHOWN = 20


class PartOutput(serializers.ModelSerializer[MessagePart]):
    carrier_sid = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField(
        help_text="queued, sent, delivered, undelivered or failed"
    )

    class Meta:
        model = MessagePart
        fields = (
            "number",
            "body",
            "segments",
            "status",
            "carrier_sid",
            "error_code",
            "error_message",
        )

    def get_carrier_sid(self, part: MessagePart) -> str | None:
        return part.carrier_sid or None

    def get_status(self, part: MessagePart) -> str:
        return "queued" if part.status in MessagePart.UNSENT else str(part.status)


class MessageOutput(serializers.ModelSerializer[Message]):
    agent_id = serializers.CharField(source="agent_public_id")
    to = serializers.CharField(source="to_number")
    message = serializers.CharField(source="body")
    thread_id = serializers.IntegerField()
    error_message = serializers.SerializerMethodField(help_text="the error code in words")
    reply = serializers.SerializerMethodField(help_text="inbound: what answer it got, or why none")
    campaign_id = serializers.SerializerMethodField()
    call_id = serializers.SerializerMethodField()
    bookings = serializers.SerializerMethodField(
        help_text="inbound: what the agent booked, moved or cancelled to answer it"
    )
    twilio_sid = serializers.SerializerMethodField(help_text="of the first part")
    parts = PartOutput(many=True)

    class Meta:
        model = Message
        fields = (
            "message_id",
            "thread_id",
            "direction",
            "origin",
            "agent_id",
            "from_number",
            "to_number",
            "to",
            "body",
            "message",
            "status",
            "error_code",
            "error_message",
            "encoding",
            "segments",
            "parts",
            "media",
            "context_prompt",
            "metadata",
            "campaign_id",
            "call_id",
            "reply",
            "bookings",
            "twilio_sid",
            "created_at",
            "sent_at",
            "delivered_at",
        )

    def to_representation(self, message: Message) -> dict[str, Any]:
        # "from" is no name a class body can hold.
        return {**super().to_representation(message), "from": message.from_number}

    def get_error_message(self, message: Message) -> str | None:
        return message.error_message or None

    def get_reply(self, message: Message) -> str | None:
        return message.reply or None

    def get_campaign_id(self, message: Message) -> str | None:
        return message.campaign_id or None

    def get_call_id(self, message: Message) -> str | None:
        return message.call_id or None

    def get_bookings(self, message: Message) -> list[dict[str, Any]]:
        return [booking for one in message.tool_rounds.all() for booking in one.bookings]

    def get_twilio_sid(self, message: Message) -> str | None:
        if message.direction == Message.Direction.INBOUND:
            return message.carrier_sid or None
        return next((part.carrier_sid for part in message.parts.all() if part.carrier_sid), None)


class ThreadOutput(serializers.ModelSerializer[Thread]):
    thread_id = serializers.IntegerField(source="pk")
    agent_id = serializers.SerializerMethodField()
    window_open = serializers.SerializerMethodField()
    taken_over = serializers.SerializerMethodField()
    needs_human = serializers.SerializerMethodField(help_text="why, or null")
    calls = serializers.SerializerMethodField(
        help_text="the newest calls with this person that left a summary"
    )
    messages = serializers.SerializerMethodField(help_text="the newest, oldest of them first")

    class Meta:
        model = Thread
        fields = (
            "thread_id",
            "our_number",
            "their_number",
            "agent_id",
            "context_prompt",
            "reply_until",
            "window_open",
            "taken_over",
            "needs_human",
            "unread",
            "last_message_at",
            "created_at",
            "calls",
            "messages",
        )

    def get_agent_id(self, thread: Thread) -> str | None:
        return thread.agent.agent_id if thread.agent else None

    def get_window_open(self, thread: Thread) -> bool:
        return thread.is_open(self.context["now"])

    def get_taken_over(self, thread: Thread) -> bool:
        return thread.taken_over_at is not None

    def get_needs_human(self, thread: Thread) -> str | None:
        return thread.needs_human or None

    def get_calls(self, thread: Thread) -> list[dict[str, Any]]:
        return [
            {
                "call_id": note.source,
                "direction": "outbound" if note.is_outbound else "inbound",
                "our_number": note.our_number,
                "at": note.at,
                "summary": note.text,
            }
            for note in calls_with(thread)[:CALLS_SHOWN]
        ]

    def get_messages(self, thread: Thread) -> list[dict[str, Any]]:
        newest = thread.messages.prefetch_related("parts", "tool_rounds").newest_first()[
            :THREAD_SHOWS
        ]
        return list(MessageOutput(list(reversed(newest)), many=True).data)


class ThreadList(serializers.Serializer[Any]):
    threads = ThreadOutput(many=True)
    count = serializers.IntegerField(help_text="all that the filters find")


class MessageWithThread(MessageOutput):
    """A text, and the conversation it belongs to."""

    thread = serializers.SerializerMethodField()

    class Meta(MessageOutput.Meta):
        fields = (*MessageOutput.Meta.fields, "thread")  # type: ignore[assignment]

    def get_thread(self, message: Message) -> dict[str, Any]:
        shown: dict[str, Any] = ThreadOutput(message.thread, context=self.context).data
        return shown
