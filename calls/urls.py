from django.urls import path

from calls import api, usage_api

urlpatterns = [
    path("calls", api.CallsView.as_view(), name="calls"),
    path("calls/outbound", api.OutboundView.as_view(), name="calls-outbound"),
    path("calls/<str:call_id>", api.CallView.as_view(), name="call"),
    path("calls/<str:call_id>/analyze", api.AnalyzeView.as_view(), name="call-analyze"),
    path("people/<str:number>", api.PersonView.as_view(), name="person"),
    path("usage", usage_api.UsageView.as_view(), name="usage"),
    path("account/delete", api.AccountDeleteView.as_view(), name="account-delete"),
]
