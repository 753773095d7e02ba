"""The do-not-contact list in the dashboard: entered, imported, downloaded, lifted; not deleted."""

from itertools import chain
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import suppression_csv
from accounts.admin_pages import page_of_admin
from accounts.choices import ChoosesTheOnlyAccount, ObviousChoiceField
from accounts.errors import ApiError
from accounts.models import Account, Suppression
from accounts.phone_numbers import is_e164, parse_e164
from accounts.suppression import lift_entries, number_hashes, suppress, suppress_many

# What a list of some hundred thousand numbers takes.
LARGEST_CSV = 32 * 1024 * 1024
_BAD_LINES = 100


class ImportForm(forms.Form):
    """A CSV of people who must not be contacted, and by whom."""

    account = ObviousChoiceField(
        Account.objects.filter(is_active=True),
        widget=UnfoldAdminSelectWidget,
    )
    file = forms.FileField(label="Numbers (CSV)")

    def clean_file(self) -> suppression_csv.Rows:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_CSV:
            raise forms.ValidationError("This file is larger than 32 MB. Send it in parts.")
        try:
            return suppression_csv.read(file.read())
        except ApiError as error:
            raise forms.ValidationError(error.message) from error


class SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Suppression
        fields = ("account", "phone_number", "scope", "reason")
        help_texts = {
            "phone_number": "In E.164: a plus, the country code, the number.",
            "scope": "Calls, texts, or both.",
        }

    def clean_phone_number(self) -> str:
        try:
            return parse_e164(self.cleaned_data["phone_number"])
        except ApiError as error:
            raise forms.ValidationError(error.message) from error


@admin.register(Suppression)
class SuppressionAdmin(ChoosesTheOnlyAccount, ModelAdmin):
    """Entries are made and lifted, never changed or deleted."""

    form = SuppressionForm
    list_display = ("person", "scope", "source", "in_force", "created_at", "entered_by", "account")
    list_filter = (("lifted_at", admin.EmptyFieldListFilter), "scope", "source", "account")
    search_fields = ("phone_number",)
    search_help_text = "A number in E.164 also finds the entry of a person who was erased."
    list_select_related = ("account",)
    actions = ("lift", "export")
    actions_list = ("import_csv", "export_csv")

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> tuple[str, ...]:
        asked = ("account", "phone_number", "scope", "reason")
        kept = ("source", "evidence", "entered_by", "created_at", "lifted_at", "lifted_by")
        return (*asked, *kept) if obj else asked

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_suppression")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        rows, repeats = super().get_search_results(request, queryset, search_term)
        if is_e164(number := search_term.strip()):
            hashes = [number_hashes(account, number) for account in Account.objects.all()]
            rows |= queryset.filter(number_hash__in=[*chain.from_iterable(hashes)])
        return rows, repeats

    @admin.display(ordering="phone_number")
    def person(self, entry: Suppression) -> str:
        return entry.phone_number or "erased"

    @admin.display(boolean=True, description="In force")
    def in_force(self, entry: Suppression) -> bool:
        return entry.lifted_at is None

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        entry, _ = suppress(
            obj.account,
            obj.phone_number,
            source=Suppression.Source.OPERATOR,
            scope=obj.scope,
            reason=obj.reason,
            by=request.user.get_username(),
        )
        obj.__dict__.update(entry.__dict__)

    @admin.action(
        permissions=["lift"], description="Lift: these people agreed to hear from us again"
    )
    def lift(self, request: HttpRequest, entries: QuerySet[Suppression]) -> None:
        lifted = lift_entries(entries, by=request.user.get_username())
        self.message_user(request, f"{lifted} lifted.")

    @admin.action(permissions=["view"], description="Download as CSV")
    def export(self, request: HttpRequest, entries: QuerySet[Suppression]) -> HttpResponse:
        return _download(entries)

    # --- as CSV ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("import/", view(self.import_page), name="accounts_suppression_import"),
            path("export.csv", view(self.export_page), name="accounts_suppression_export"),
        ]
        return [*own, *super().get_urls()]

    @action(description="Import a CSV", icon="upload", permissions=["add"])  # type: ignore[untyped-decorator]
    def import_csv(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:accounts_suppression_import"))

    @action(description="Download all", icon="download", permissions=["view"])  # type: ignore[untyped-decorator]
    def export_csv(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:accounts_suppression_export"))

    def import_page(self, request: HttpRequest) -> HttpResponse:
        """Enter the numbers of a CSV; lines that cannot be read are named, the others count."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        done: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            rows: suppression_csv.Rows = form.cleaned_data["file"]
            new = suppress_many(
                form.cleaned_data["account"],
                rows.valid,
                source=Suppression.Source.CSV,
                by=request.user.get_username(),
            )
            done = {
                "new": new,
                "read": len(rows.valid),
                "bad_count": rows.invalid_count,
                "bad": rows.invalid[:_BAD_LINES],
            }
        title = "Import a do-not-contact list"
        template = "accounts/suppression_import.html"
        return page_of_admin(self, request, template, title, form=form, **done)

    def export_page(self, request: HttpRequest) -> HttpResponse:
        """Download every entry in force."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return _download(Suppression.objects.active())


def _download(entries: QuerySet[Suppression]) -> HttpResponse:
    return HttpResponse(
        suppression_csv.write(entries.iterator()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="do-not-contact.csv"'},
    )
