"""The inbox: conversations by text, live, with a person's own replies; and every text on record."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.errors import ApiError
from accounts.read_only_admin import ReadOnlyAdmin
from accounts.suppression import TEXT, is_suppressed
from agents.models import Note
from sms import segments, services
from sms.models import Message, MessagePart, Thread
from sms.written_once import write_once

# So many of a thread's newest texts are on the page.
SHOWN = 200
_TICKS = {
    Message.Status.QUEUED: "◷",
    Message.Status.SENT: "✓",
    Message.Status.DELIVERED: "✓✓",
    Message.Status.UNDELIVERED: "✗",
    Message.Status.FAILED: "✗",
}
_COLOURS = {
    Message.Status.QUEUED: "info",
    Message.Status.SENT: "primary",
    Message.Status.DELIVERED: "success",
    Message.Status.UNDELIVERED: "danger",
    Message.Status.FAILED: "danger",
    Message.Status.RECEIVED: "info",
}
_ANSWERED = {Message.Reply.ANSWERED, Message.Reply.PENDING}


class _YesNo(admin.SimpleListFilter):
    """Rows with something in a field, or without."""

    empty: Any = ""
    field = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.exclude(**{self.field: self.empty})
            case "no":
                return queryset.filter(**{self.field: self.empty})
        return queryset


class NeedsHuman(_YesNo):
    title, parameter_name, field = "needs a person", "needs", "needs_human"


class Unread(_YesNo):
    title, parameter_name, field, empty = "unread", "unread", "unread", 0


class TakenOver(_YesNo):
    title, parameter_name, field, empty = "taken over", "taken", "taken_over_at", None


def remaining(thread: Thread, now: datetime) -> str:
    """Say in words how long automatic answers go on."""
    if thread.reply_until is None:
        return "No reply window: we have not texted first"
    if not thread.is_open(now):
        return f"Reply window closed on {thread.reply_until:%-d %b at %H:%M} UTC"
    left = thread.reply_until - now
    hours, minutes = divmod(int(left / timedelta(minutes=1)), 60)
    return f"Reply window open for {hours} h {minutes} min more"


@admin.register(Thread)
class ThreadAdmin(ReadOnlyAdmin):
    when_empty = "A conversation begins with the first text to or from a person."
    list_display = (
        "their_number",
        "our_number",
        "newest_text",
        "shown_unread",
        "flag",
        "window",
        "agent",
        "last_message_at",
    )
    list_filter = (NeedsHuman, Unread, TakenOver, "window_open", "account", "agent")
    list_select_related = ("agent",)
    search_fields = ("their_number", "our_number", "messages__body")
    readonly_fields = ("conversation",)
    fieldsets = (
        (None, {"fields": ("conversation",)}),
        (
            "What the agent was told",
            {"classes": ("tab",), "fields": ("agent", "context_prompt", "reply_until")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Thread]:
        rows: QuerySet[Thread] = super().get_queryset(request)
        newest = Message.objects.filter(thread=OuterRef("pk")).newest_first()
        return rows.annotate(newest_body=Subquery(newest.values("body")[:1]))

    @admin.display(description="Newest text")
    def newest_text(self, thread: Any) -> str:
        if thread.newest_body == "":
            return "📎 a picture or file"
        return _start_of(thread.newest_body or "")

    @display(description="Unread", ordering="unread", label=True)  # type: ignore[untyped-decorator]
    def shown_unread(self, thread: Thread) -> str:
        return str(thread.unread) if thread.unread else ""

    @display(description="Needs a person", label="warning")  # type: ignore[untyped-decorator]
    def flag(self, thread: Thread) -> str:
        if thread.taken_over_at is not None:
            return f"taken over by {thread.taken_over_by}"
        return "yes" if thread.needs_human else ""

    @admin.display(description="Reply window", ordering="reply_until")
    def window(self, thread: Thread) -> str:
        return "open" if thread.is_open(timezone.now()) else "–"

    # --- one conversation ------------------------------------------------------------------------

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Thread | None:
        thread: Any = super().get_object(request, object_id, from_field)
        if thread is not None:
            thread.shown_to = request  # the field below is asked with nothing but the row
        return thread  # type: ignore[no-any-return]

    @admin.display(description="")
    def conversation(self, thread: Any) -> SafeString:
        return render_to_string(
            "sms/thread.html", self._context(thread.shown_to, thread), thread.shown_to
        )

    def _context(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        query = urlencode({"q": thread.their_number})
        may_write = request.user.has_perm("sms.change_thread")
        if may_write:  # what somebody saw who cannot answer is still unread
            services.mark_read(thread.pk)
        return {
            "thread": thread,
            "texts": _timeline(thread),
            "window": remaining(thread, timezone.now()),
            "calls_url": f"{reverse('admin:calls_call_changelist')}?{query}",
            "may_write": may_write,
            "said_no": is_suppressed(thread.account, thread.their_number, TEXT),
            "form_id": secrets.token_hex(),
            "alphabet": {"single": segments.GSM7, "pairs": segments.GSM7_PAIRS},
        }

    def get_urls(self) -> list[URLPattern]:
        def url(what: str, view: Any) -> URLPattern:
            name = f"sms_thread_{what}"
            route = f"<int:pk>/{what.replace('_', '-')}/"
            return path(route, self.admin_site.admin_view(view), name=name)  # type: ignore[no-any-return]

        own = [
            url("texts", require_safe(self.texts)),
            url("write", require_POST(self.write)),
            url("take_over", require_POST(self.take_over)),
            url("hand_back", require_POST(self.hand_back)),
        ]
        return [*own, *super().get_urls()]

    def _texts(self, request: HttpRequest, pk: int, next_form: str = "") -> HttpResponse:
        thread = get_object_or_404(Thread.objects.select_related("agent"), pk=pk)
        context = {**self._context(request, thread), "next_form": next_form}
        return HttpResponse(render_to_string("sms/texts.html", context, request))

    def texts(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The conversation as it is now; the page asks every two seconds."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._texts(request, pk)

    def write(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send what the operator wrote."""
        thread = self._thread_to_change(request, pk)
        try:
            write_once(
                thread,
                request.POST.get("body", ""),
                by=request.user.get_username(),
                form_id=request.POST.get("form_id", ""),
            )
        except ApiError as error:
            # Beside the words, which stay: the conversation is replaced every two seconds.
            why = format_html('<p class="nf-flag">{}</p>', error.message)
            return HttpResponse(why, headers={"HX-Retarget": "#nf-refused"})
        return self._texts(request, pk, next_form=secrets.token_hex())

    def take_over(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._thread_to_change(request, pk)
        services.take_over(pk, by=request.user.get_username())
        return self._texts(request, pk)

    def hand_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._thread_to_change(request, pk)
        services.hand_back(pk)
        return self._texts(request, pk)

    def _thread_to_change(self, request: HttpRequest, pk: int) -> Thread:
        if not request.user.has_perm("sms.change_thread"):
            raise PermissionDenied
        return get_object_or_404(
            Thread.objects.select_related("account", "agent", "number__agent"), pk=pk
        )


def _start_of(body: str) -> str:
    words = " ".join(body.split())
    return words if len(words) <= 60 else f"{words[:59]}…"


def _timeline(thread: Thread) -> list[dict[str, Any]]:
    """Texts and, between them, the calls with the same person; oldest first."""
    newest = list(thread.messages.prefetch_related("tool_rounds").newest_first()[:SHOWN])
    calls = services.calls_with(thread)
    if len(newest) == SHOWN:
        calls = calls.filter(at__gte=newest[-1].created_at)
    rows = [_row(text) for text in newest] + [_call_row(note) for note in calls[:SHOWN]]
    return sorted(rows, key=lambda row: row["at"])


def _call_row(note: Note) -> dict[str, Any]:
    return {
        "at": note.at,
        "call": "We called them" if note.is_outbound else "They called us",
        "summary": note.text,
        "url": _call_url(note.source),
    }


def _call_url(call_id: str) -> str:
    return f"{reverse('admin:calls_call_changelist')}?{urlencode({'q': call_id})}"


def _row(text: Message) -> dict[str, Any]:
    failed = text.status in {Message.Status.FAILED, Message.Status.UNDELIVERED}
    why = text.error_message if failed else ""
    if text.reply and text.reply not in _ANSWERED:
        why = f"not answered: {text.get_reply_display()}"
    return {
        "at": text.created_at,
        "text": text,
        "url": _call_url(text.call_id) if text.call_id else "",
        "author": _author(text),
        "tick": _TICKS.get(Message.Status(text.status), ""),
        "failed": failed,
        "why": why,
        "tools": _tools(text),
    }


def _tools(text: Message) -> str:
    """Say what the agent did to answer a text."""
    did = []
    for one in text.tool_rounds.all():
        for block in one.asked:
            if block["type"] == "tool_use":
                result = one.results.get(block["id"], {"failed": True})
                held = " (waits for a yes)" if one.proposal and not one.confirmed_at else ""
                did.append(block["name"] + (" (failed)" if result["failed"] else held))
    return ", ".join(did)


def _author(text: Message) -> str:
    match text.origin:
        case Message.Origin.PERSON:
            return "Person"
        case Message.Origin.OPERATOR:
            return text.written_by or "Operator"
        case Message.Origin.AUTO_REPLY:
            return "Agent"
    return f"Agent, {text.get_origin_display()}"


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    when_empty = "What agents and people write appears here, newest first."
    list_display = (
        "created_at",
        "shown_status",
        "shown_direction",
        "other_side",
        "words",
        "shown_origin",
        "segments",
        "error_code",
        "message_id",
    )
    list_display_links = ("created_at", "message_id")
    ordering = ("-created_at", "-pk")
    list_filter = (
        "status",
        "direction",
        "origin",
        "reply",
        ("created_at", RangeDateTimeFilter),
        "account",
    )
    list_filter_submit = True
    search_fields = ("message_id", "to_number", "from_number", "body", "campaign_id", "call_id")

    @admin.display(description="Direction", ordering="direction")
    def shown_direction(self, message: Message) -> str:
        outbound = message.direction == Message.Direction.OUTBOUND
        return "↗\N{NO-BREAK SPACE}outbound" if outbound else "↙\N{NO-BREAK SPACE}inbound"

    @admin.display(description="Other side")
    def other_side(self, message: Message) -> str:
        outbound = message.direction == Message.Direction.OUTBOUND
        return message.to_number if outbound else message.from_number

    @admin.display(description="Text")
    def words(self, message: Message) -> SafeString:
        return format_html('<div style="min-width:14rem">{}</div>', _start_of(message.body))

    @admin.display(description="By", ordering="origin")
    def shown_origin(self, message: Message) -> str:
        return _author(message)

    @display(description="Status", ordering="status", label=_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, message: Message) -> tuple[str, str]:
        return message.status, message.get_status_display()


@admin.register(MessagePart)
class MessagePartAdmin(ReadOnlyAdmin):
    list_display = ("message", "number", "status", "attempts", "carrier_sid", "error_code")
    list_filter = ("status",)
    list_select_related = ("message",)
    search_fields = ("message__message_id", "carrier_sid")
    exclude = ("token",)
