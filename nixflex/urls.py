from typing import Any

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from accounts.errors import no_such_endpoint
from nixflex import health
from nixflex.metrics import metrics
from nixflex.openapi import DescriptionView

# As the API's description.
OPEN: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics),
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("v1/openapi.json", DescriptionView.as_view(), name="openapi"),
    path("api/docs", RedirectView.as_view(pattern_name="api-docs")),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="openapi", **OPEN),
        name="api-docs",
    ),
    path("v1/", include("accounts.urls")),
    path("v1/", include("agents.urls")),
    path("v1/", include("webhooks.urls")),
    path("v1/", include("campaigns.urls")),  # before calls: calls/batch is no call's id
    path("v1/", include("calls.urls")),
    path("v1/", include("campaigns.texts.urls")),  # before sms: sms/campaigns is no text's id
    path("v1/", include("sms.urls")),
    re_path(r"^v1(?:/|$)", no_such_endpoint),
    path("twilio/", include("calls.twilio_urls")),
    path("recordings/", include("calls.recording_urls")),
]
handler400 = "accounts.errors.bad_request"
handler403 = "accounts.errors.permission_denied"
handler404 = "accounts.errors.not_found"
handler500 = "accounts.errors.server_error"
