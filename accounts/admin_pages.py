"""Pages of the dashboard that are no list and no form of one row."""

from typing import Any

from django.http import HttpRequest
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
