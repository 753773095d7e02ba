"""Choices that are made already where there is only one thing to choose."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import Model, QuerySet

from accounts.models import Account


class ObviousChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Begins with the only row there is; with several, nothing is chosen until somebody does."""

    def __init__(self, queryset: Any, **kwargs: Any) -> None:
        super().__init__(queryset, **kwargs)
        # Not as an argument: with an initial value Django leaves out the empty choice, and a
        # browser then shows the first of many as chosen.
        self.initial = _the_only(queryset)


class ChoosesTheOnlyAccount:
    """For the admin of something that belongs to an account: where there is but one, it is it."""

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.name == "account" and field is not None:
            field.initial = _the_only(Account.objects.filter(is_active=True))
        return field


def _the_only(rows: QuerySet[Any]) -> Callable[[], Model | None]:
    def initial() -> Model | None:
        first = list(rows.all()[:2])
        return first[0] if len(first) == 1 else None

    return initial
