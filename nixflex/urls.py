from django.contrib import admin
from django.urls import include, path

from nixflex import health

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    path("v1/", include("agents.urls")),
    path("v1/", include("calls.urls")),
    path("twilio/", include("calls.twilio_urls")),
    path("recordings/", include("calls.recording_urls")),
]
handler404 = "accounts.errors.not_found"
handler500 = "accounts.errors.server_error"
