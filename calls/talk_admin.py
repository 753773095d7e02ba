"""The dashboard's page on which an operator talks to an agent, with a microphone instead of a
telephone.
"""

from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.choices import ObviousChoiceField
from accounts.errors import ApiError
from agents.models import Agent
from calls import browser_calls


class TalkForm(forms.Form):
    agent = ObviousChoiceField(
        Agent.objects.active(),
        widget=UnfoldAdminSelectWidget,
    )


def urls(site: AdminSite, opts: Any) -> list[URLPattern]:
    """Return the page and where it begins a call, for operators who may place calls."""

    def talk(request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("calls.add_call"):
            return HttpResponse(status=403)
        if request.method == "POST":
            return _begin(request)
        context = {
            **site.each_context(request),
            "title": "Talk to an agent",
            "form": TalkForm(
                initial={"agent": asked} if (asked := request.GET.get("agent")) else None
            ),
            "opts": opts,
        }
        return TemplateResponse(request, "calls/talk.html", context)

    return [path("talk/", site.admin_view(talk), name="calls_call_talk")]


def _begin(request: HttpRequest) -> JsonResponse:
    form = TalkForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"problem": "Choose an agent that is active."}, status=400)
    try:
        begun = browser_calls.begin(form.cleaned_data["agent"])
    except ApiError as refusal:
        return JsonResponse({"problem": refusal.message}, status=refusal.status)
    return JsonResponse(
        {
            "url": begun.url,
            "call": begun.call.carrier_sid,
            "token": begun.token,
            "said": reverse("admin:calls_call_said", args=[begun.call.pk]),
            "page": reverse("admin:calls_call_change", args=[begun.call.pk]),
        }
    )
