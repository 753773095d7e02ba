"""What a form chooses by itself."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model, QuerySet

from accounts.models import Account


def the_only(rows: QuerySet[Any]) -> Callable[[], Model | None]:
    """Return the ``initial`` of a form's field: the row itself where there is exactly one."""

    def initial() -> Model | None:
        first = list(rows.all()[:2])
        return first[0] if len(first) == 1 else None

    return initial


class ChoosesTheOnlyAccount:
    """For the admin of something that belongs to an account: where there is but one, it is it."""

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "account":
            kwargs["initial"] = the_only(Account.objects.filter(is_active=True))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
