from django.urls import path

from agents import api

urlpatterns = [
    path("agents", api.AgentsView.as_view(), name="agents"),
    path("agents/<str:agent_id>", api.AgentView.as_view(), name="agent"),
    path("phone-numbers", api.PhoneNumbersView.as_view(), name="phone-numbers"),
    path("phone-numbers/<str:number>", api.PhoneNumberView.as_view(), name="phone-number"),
]
