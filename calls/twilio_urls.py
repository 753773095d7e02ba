from django.urls import path

from calls import transfer_webhooks, webhooks

urlpatterns = [
    path("voice/", webhooks.voice),
    path("status/", webhooks.status),
    path("amd/", webhooks.amd),
    path("transfer/leg/", transfer_webhooks.leg),
    path("transfer/whisper/", transfer_webhooks.whisper),
    path("transfer/whisper.wav", transfer_webhooks.whisper_audio),
    path("transfer/joined/", transfer_webhooks.joined),
    path("transfer/after/", transfer_webhooks.after),
]
