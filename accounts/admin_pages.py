"""Pages of the dashboard that are no list and no form of one row."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin


def page_of_admin(
    admin: ModelAdmin, request: HttpRequest, template: str, title: str, **context: Any
) -> TemplateResponse:
    """Return ``template`` in the dashboard's frame, as a page of what ``admin`` is about."""
    shared = admin.admin_site.each_context(request)
    return TemplateResponse(
        request, template, {**shared, "title": title, "opts": admin.opts, **context}
    )


def page_of_secret(
    admin: ModelAdmin, request: HttpRequest, template: str, title: str, **context: Any
) -> TemplateResponse:
    """As ``page_of_admin``, for what is shown once: nothing on the way keeps the page."""
    page = page_of_admin(admin, request, template, title, **context)
    page.headers["Cache-Control"] = "no-store"
    return page


class FindsWhatIsNamed:
    """For an admin whose page for a new row may be asked for with another row named in the address
    (``?account=3``): what cannot be a key is not found."""

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        initial = super().get_changeform_initial_data(request)  # type: ignore[misc]
        try:
            for field in self.opts.fields:  # type: ignore[attr-defined]
                if field.is_relation and field.name in initial:
                    field.target_field.to_python(initial[field.name])
        except ValidationError as error:
            raise Http404 from error
        return initial


def key_in(address: str) -> int:
    """Return the key of a row that an address names; 0, which no row has, for anything else."""
    return int(address) if address.isdecimal() and len(address) < 20 else 0
