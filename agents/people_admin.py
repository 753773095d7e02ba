"""What is known of people, in the dashboard: callers, notes, and the prompt they would lead to."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.admin_pages import FindsWhatIsNamed, page_of_admin
from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from accounts.phone_numbers import parse_e164
from agents.callers import checked_fields
from agents.history import LABELS, memory_of, tokens
from agents.models import Caller, CustomFunction, Note, PhoneNumber
from agents.prompt import CallFacts, speaks_of_transfers, voice_prompt


class CallerForm(forms.ModelForm):  # type: ignore[type-arg]
    private_fields = forms.MultipleChoiceField(
        choices=list(LABELS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Withheld until the caller has said who they are.",
    )

    class Meta:
        model = Caller
        fields = ()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        settable = {name: cleaned[name] for name in Caller.SETTABLE if name in cleaned}
        try:
            return {**cleaned, **checked_fields(settable)}
        except ApiError as error:
            raise forms.ValidationError({str(error.details["field"]): error.message}) from error


class PreviewForm(forms.Form):
    """Whose prompt to show."""

    number = ObviousChoiceField(
        PhoneNumber.objects.filter(agent__isnull=False).select_related("agent"),
        label="Our number",
        widget=UnfoldAdminSelectWidget,
    )
    person = forms.CharField(
        label="Their number",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+447386172392"}),
    )
    direction = forms.ChoiceField(
        choices=[("outbound", "We call them"), ("inbound", "They call us")],
        widget=UnfoldAdminSelectWidget,
    )
    purpose = forms.CharField(
        required=False,
        label="Purpose of the call",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )

    def clean_person(self) -> str:
        try:
            return parse_e164(self.cleaned_data["person"].strip(), "The number")
        except ApiError as error:
            raise forms.ValidationError(error.message) from error


@admin.register(Caller)
class CallerAdmin(FindsWhatIsNamed, ModelAdmin):
    form = CallerForm
    when_empty = "Whoever calls or is called is remembered here, for each of your numbers."
    list_display = ("caller_number", "number", "name", "location", "open_item", "updated_at")
    list_filter = ("number",)
    list_select_related = ("number",)
    search_fields = ("caller_number", "name", "email", "reference_id")
    readonly_fields = ("last_call", "open_item", "known_from", "created_at", "updated_at")
    autocomplete_fields = ("number",)
    actions_list = ("preview_prompt",)
    fieldsets = (
        (None, {"fields": ("number", "caller_number", *Caller.SETTABLE, "private_fields")}),
        ("Learned in calls", {"fields": ("last_call", "open_item")}),
        ("Where from", {"fields": ("known_from", "created_at", "updated_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = super().get_readonly_fields(request, obj)
        return own if obj is None else ("number", "caller_number", *own)

    def save_model(self, request: HttpRequest, obj: Caller, form: Any, change: bool) -> None:
        now = timezone.now().isoformat()
        for name in form.changed_data:
            if name in Caller.SETTABLE:
                obj.sources.pop(name, None)
                if getattr(obj, name):
                    obj.sources[name] = {"by": "dashboard", "at": now}
        super().save_model(request, obj, form, change)

    @admin.display(description="Known from")
    def known_from(self, caller: Caller) -> SafeString | str:
        lines = [
            (LABELS.get(name, "Last call"), _where(source))
            for name, source in caller.sources.items()
        ]
        return format_html_join("", "<div>{}: {}</div>", lines) if lines else "–"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [path("preview/", view, name="agents_caller_preview"), *super().get_urls()]

    @action(description="Preview a prompt", icon="preview")  # type: ignore[untyped-decorator]
    def preview_prompt(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:agents_caller_preview"))

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Show the whole prompt that an agent would get for a number, before any call."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        form = PreviewForm(request.GET or None, initial={"direction": "outbound"})
        prompt = _prompt_for(**form.cleaned_data) if form.is_valid() else {}
        return page_of_admin(
            self, request, "agents/preview.html", "Preview a prompt", form=form, **prompt
        )


_SAID_BY = {"api": "entered over the API", "dashboard": "entered here", "call": "said in a call"}


def _where(source: dict[str, Any]) -> SafeString:
    """Say who told it, when, and in which call."""
    at = parse_datetime(source.get("at", ""))
    said = [_SAID_BY.get(source.get("by", ""), source.get("by", ""))]
    if at:
        said.append(date_format(at, "j M Y, H:i e"))
    words = format_html("{}", ", ".join(said))
    if call_id := source.get("call_id"):
        url = f"{reverse('admin:index')}calls/call/?{urlencode({'q': call_id})}"
        words += format_html(' (<a class="underline" href="{}">the call</a>)', url)
    return words


def _prompt_for(
    *, number: PhoneNumber, person: str, direction: str, purpose: str
) -> dict[str, Any]:
    agent = number.agent
    assert agent is not None  # noqa: S101 (the form offers no others)
    now = timezone.now()
    memory = memory_of(agent, number, person, before=now)
    # As in a call: its own purpose takes the place of the number's profile.
    profile = None if direction == "outbound" and purpose else number
    business = (profile.custom_prompt if profile else None) or ""
    facts = CallFacts(
        call_id="(given when the call is placed)",
        direction=direction,
        our_number=number.phone_number,
        their_number=person,
        started_at=now,
        purpose=purpose if direction == "outbound" else "",
        memory=memory,
        may_transfer=speaks_of_transfers(agent, agent.system_prompt, business, purpose),
    )
    stable, of_call = voice_prompt(agent=agent, number=profile, call=facts)
    return {
        "agent": agent,
        "stable": stable,
        "of_call": of_call,
        "record": memory.record,
        "tokens": tokens(stable) + tokens(of_call),
        "private": memory.private,
    }


@admin.register(Note)
class NoteAdmin(FindsWhatIsNamed, ModelAdmin):
    """Notes of calls and texts can be hidden or deleted; new ones are the staff's own."""

    list_display = ("at", "person", "what", "words", "is_private", "source")
    list_filter = ("kind", "is_private", "account")
    list_display_links = ("at",)
    list_editable = ("is_private",)
    list_per_page = 50
    search_fields = ("person", "text", "source")
    autocomplete_fields = ("account",)
    show_full_result_count = False

    @admin.display(description="What", ordering="kind")
    def what(self, note: Note) -> str:
        if note.kind == Note.Kind.OPERATOR:
            return "Staff's note"
        whose = "from us" if note.is_outbound else "from them"
        return f"{note.get_kind_display()} {whose}"

    @admin.display(description="Text")
    def words(self, note: Note) -> SafeString:
        return format_html('<div style="min-width:16rem">{}</div>', note.text)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("account", "person", "text", "is_private")
        return ("account", "person", "kind", "at", "our_number", "source", "text", "is_private")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        own = ("account", "person", "kind", "at", "our_number", "source")
        return own if obj.kind == Note.Kind.OPERATOR else (*own, "text")

    def save_model(self, request: HttpRequest, obj: Note, form: Any, change: bool) -> None:
        if not change:
            obj.kind, obj.at = Note.Kind.OPERATOR, timezone.now()
        super().save_model(request, obj, form, change)


@admin.register(CustomFunction)
class CustomFunctionAdmin(ModelAdmin):
    """Functions are made over the API, which checks their schema; here they are seen."""

    when_empty = (
        "Functions are what agents may ask your server in mid-call. They are made over the API: "
        "POST /v1/integrations/custom-functions/number/{number}."
    )
    list_display = ("name", "number", "method", "url", "timeout_ms")
    list_filter = ("number",)
    list_select_related = ("number",)
    search_fields = ("name", "url", "description")
    exclude = ("headers_json",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
