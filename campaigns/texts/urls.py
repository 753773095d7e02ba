from django.urls import path

from campaigns.texts import api

urlpatterns = [
    path("sms/campaigns", api.TextCampaignsView.as_view(), name="sms-campaigns"),
    path("sms/campaigns/<str:campaign_id>", api.TextCampaignView.as_view(), name="sms-campaign"),
    path(
        "sms/campaigns/<str:campaign_id>/launch",
        api.TextCampaignLaunchView.as_view(),
        name="sms-campaign-launch",
    ),
]
