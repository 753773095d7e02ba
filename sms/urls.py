from django.urls import path

from sms import api

urlpatterns = [
    path("sms", api.TextsView.as_view(), name="sms"),
    path("sms/<str:message_id>", api.TextView.as_view(), name="sms-message"),
]
