"""Accounts, keys and people in the dashboard. No secret is ever shown twice, no token once."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.admin_pages import page_of_secret
from accounts.choices import ChoosesTheOnlyAccount
from accounts.keys import create_key, revoke_key
from accounts.models import Account, ApiKey, CarrierAccount, User
from accounts.suppression_admin import SuppressionAdmin as SuppressionAdmin  # registers it

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(Account)
class AccountAdmin(ModelAdmin):
    list_display = ("name", "is_active", "max_concurrent_calls", "agents", "numbers", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name",)
    readonly_fields = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        rows: QuerySet[Account] = super().get_queryset(request)
        return rows.annotate(
            agent_count=Count("agents", distinct=True),
            number_count=Count("phone_numbers", distinct=True),
        )

    @admin.display(ordering="agent_count")
    def agents(self, account: Any) -> int:
        return int(account.agent_count)

    @admin.display(ordering="number_count")
    def numbers(self, account: Any) -> int:
        return int(account.number_count)


@admin.register(ApiKey)
class ApiKeyAdmin(ChoosesTheOnlyAccount, ModelAdmin):
    """Adding makes a pair and shows it once; then only its name can change, or it is revoked."""

    list_display = ("key_id", "name", "account", "is_live", "last_used_at", "created_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "account")
    search_fields = ("key_id", "name")
    list_select_related = ("account",)
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        made = ("key_id", "created_at", "last_used_at", "revoked_at") if obj else ()
        return ("account", "name", *made)

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[str, ...]:
        return ("account", "key_id", "created_at", "last_used_at", "revoked_at") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # revoke: what the key made still names it

    @admin.display(boolean=True, description="Live")
    def is_live(self, key: ApiKey) -> bool:
        return key.revoked_at is None

    @sensitive_variables("secret")
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        made, secret = create_key(obj.account, obj.name)
        obj.__dict__.update(made.__dict__)
        request.new_credentials = f"{made.key_id}:{secret}"  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the pair on the answer itself: it passes through no cookie, session or log."""
        credentials = request.new_credentials  # type: ignore[attr-defined]
        return page_of_secret(
            self,
            request,
            "accounts/key_created.html",
            "API key",
            key=obj,
            credentials=credentials,
        )

    @admin.action(
        description="Revoke: requests with these keys are refused at once", permissions=["change"]
    )
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        ended = sum(revoke_key(key) for key in keys)
        self.message_user(request, f"{ended} revoked.")


class CarrierAccountForm(forms.ModelForm):  # type: ignore[type-arg]
    new_auth_token = forms.CharField(
        required=False,
        max_length=128,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="Leave empty to keep the token that is stored.",
    )

    class Meta:
        model = CarrierAccount
        fields = ()


@admin.register(CarrierAccount)
class CarrierAccountAdmin(ModelAdmin):
    """Made by importing a number over the API; here its token can be replaced, never read."""

    form = CarrierAccountForm
    list_display = ("sid", "provider", "account", "numbers", "created_at")
    list_filter = ("provider", "account")
    search_fields = ("sid", "account__name")
    list_select_related = ("account",)
    fields = ("account", "provider", "sid", "created_at", "new_auth_token")
    readonly_fields = ("account", "provider", "sid", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CarrierAccount]:
        rows: QuerySet[CarrierAccount] = super().get_queryset(request)
        return rows.annotate(number_count=Count("phone_numbers"))

    @admin.display(ordering="number_count")
    def numbers(self, carrier: Any) -> int:
        return int(carrier.number_count)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: CarrierAccount, form: Any, change: bool
    ) -> None:
        if token := form.cleaned_data["new_auth_token"]:
            obj.auth_token = token
            obj.save(update_fields=["auth_token"])
