from django.urls import path

from webhooks import api

_ONE = "webhook-endpoints/<str:endpoint_id>"

urlpatterns = [
    path("webhook-endpoints", api.EndpointsView.as_view(), name="webhook-endpoints"),
    path(_ONE, api.EndpointView.as_view(), name="webhook-endpoint"),
    path(f"{_ONE}/rotate-secret", api.RotateView.as_view(), name="webhook-endpoint-rotate"),
    path(f"{_ONE}/test", api.TestView.as_view(), name="webhook-endpoint-test"),
    path(f"{_ONE}/replay", api.ReplayView.as_view(), name="webhook-endpoint-replay"),
    path("webhook-events", api.EventsView.as_view(), name="webhook-events"),
    path("webhook-events/<str:event_id>", api.EventView.as_view(), name="webhook-event"),
    path(
        "webhook-events/<str:event_id>/replay",
        api.EventReplayView.as_view(),
        name="webhook-event-replay",
    ),
]
