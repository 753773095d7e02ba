from django.urls import path

from campaigns import api

urlpatterns = [
    path("calls/batch", api.BatchView.as_view(), name="batch"),
    path(
        "calls/batch/<str:campaign_id>/launch", api.BatchLaunchView.as_view(), name="batch-launch"
    ),
    path("campaigns", api.CampaignsView.as_view(), name="campaigns"),
    path("campaigns/<str:campaign_id>", api.CampaignView.as_view(), name="campaign"),
    path("campaigns/<str:campaign_id>/launch", api.LaunchView.as_view(), name="campaign-launch"),
    path("campaigns/<str:campaign_id>/pause", api.PauseView.as_view(), name="campaign-pause"),
    path("campaigns/<str:campaign_id>/resume", api.ResumeView.as_view(), name="campaign-resume"),
    path("campaigns/<str:campaign_id>/cancel", api.CancelView.as_view(), name="campaign-cancel"),
    path("campaigns/<str:campaign_id>/retry", api.RetryView.as_view(), name="campaign-retry"),
    path("campaigns/<str:campaign_id>/hours", api.HoursView.as_view(), name="campaign-hours"),
    path(
        "campaigns/<str:campaign_id>/recipients",
        api.RecipientsView.as_view(),
        name="campaign-recipients",
    ),
    path(
        "campaigns/<str:campaign_id>/results.csv",
        api.ResultsView.as_view(),
        name="campaign-results",
    ),
]
