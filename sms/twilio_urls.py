from django.urls import path

from sms import webhooks

urlpatterns = [
    path("sms-status/", webhooks.status),
]
