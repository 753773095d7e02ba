from django.urls import path

from agents import api, callers_api, integrations_api, precall_api, tools_api

urlpatterns = [
    path("agents", api.AgentsView.as_view(), name="agents"),
    path("agents/<str:agent_id>", api.AgentView.as_view(), name="agent"),
    path("phone-numbers", api.PhoneNumbersView.as_view(), name="phone-numbers"),
    path("phone-numbers/<str:number>", api.PhoneNumberView.as_view(), name="phone-number"),
    # Before the address of one caller, which would take "import" for a number.
    path(
        "phone-numbers/<str:number>/callers/import",
        callers_api.CallersImportView.as_view(),
        name="callers-import",
    ),
    path(
        "phone-numbers/<str:number>/callers/<str:caller>",
        callers_api.CallerView.as_view(),
        name="caller",
    ),
    path(
        "integrations/custom-functions/number/<str:number>",
        tools_api.FunctionsView.as_view(),
        name="custom-functions",
    ),
    path(
        "integrations/custom-functions/number/<str:number>/<str:function_id>",
        tools_api.FunctionView.as_view(),
        name="custom-function",
    ),
    path(
        "integrations/calcom/number/<str:number>",
        tools_api.CalendarView.as_view(),
        name="number-calcom",
    ),
    path(
        "integrations/precall/number/<str:number>",
        precall_api.NumberGateView.as_view(),
        name="number-precall",
    ),
    path(
        "integrations/precall/agent/<str:agent_id>",
        precall_api.AgentGateView.as_view(),
        name="agent-precall",
    ),
    *(
        path(f"integrations/{name}/number/<str:number>", view.as_view(), name=f"number-{name}")
        for name, view in (
            ("webhook", integrations_api.WebhookView),
            ("webhook2", integrations_api.SecondWebhookView),
            ("slack", integrations_api.SlackView),
            ("zapier", integrations_api.ZapierView),
            ("make", integrations_api.MakeView),
            ("gohighlevel", integrations_api.GoHighLevelView),
        )
    ),
]
