from django.urls import path

from calls import webhooks

urlpatterns = [
    path("voice/", webhooks.voice),
    path("status/", webhooks.status),
    path("amd/", webhooks.amd),
]
