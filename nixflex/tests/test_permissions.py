"""Who works in the dashboard does there what their permissions say, and gets in by a password."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.factories import AccountFactory, ApiKeyFactory, UserFactory
from agents.factories import AgentFactory
from calls.factories import CallFactory
from calls.models import Aftercare
from webhooks.factories import DeliveryFactory

pytestmark = pytest.mark.django_db
OURS = {"accounts", "agents", "calls", "campaigns", "sms", "webhooks"}
PASSWORD = "correct horse"


def staff_with(*permissions: str) -> Client:
    user = UserFactory.create()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_every_action_of_the_dashboard_asks_for_a_permission():
    open_to_all = [
        (model._meta.label, name)
        for model, model_admin in admin.site._registry.items()
        if model._meta.app_label in OURS
        for name in model_admin.actions or ()
        if not getattr(getattr(model_admin, str(name)), "allowed_permissions", None)
    ]

    assert open_to_all == []


def act(client: Client, where: str, action: str, pk: int) -> None:
    client.post(f"/admin/{where}/", {"action": action, "_selected_action": [pk]})


@pytest.mark.parametrize(("may", "is_revoked"), [("view", False), ("change", True)])
def test_who_may_only_look_at_keys_revokes_none(may: str, is_revoked: bool):
    key = ApiKeyFactory.create()

    act(staff_with("view_apikey", f"{may}_apikey"), "accounts/apikey", "revoke", key.pk)

    key.refresh_from_db()
    assert (key.revoked_at is not None) == is_revoked


@pytest.mark.parametrize(("may", "status"), [("view", "delivered"), ("change", "pending")])
def test_who_may_only_look_at_events_sends_none_again(may: str, status: str):
    delivery = DeliveryFactory.create(status="delivered", due_at=None)

    act(staff_with("view_event", f"{may}_event"), "webhooks/event", "replay", delivery.event.pk)

    delivery.refresh_from_db()
    assert delivery.status == status


@pytest.mark.parametrize(("may", "analysis"), [("view", "done"), ("change", "pending")])
def test_who_may_only_look_at_after_care_asks_no_model(may: str, analysis: str):
    row = Aftercare.objects.create(
        call=CallFactory.create(over=True), analysis="done", due_at=None, told_at=timezone.now()
    )

    client = staff_with("view_aftercare", f"{may}_aftercare")
    act(client, "calls/aftercare", "analyse_again", row.pk)

    row.refresh_from_db()
    assert row.analysis == analysis


def test_an_agent_stays_with_its_account():
    agent, other = AgentFactory.create(), AccountFactory.create()
    client = Client()
    client.force_login(UserFactory.create(is_superuser=True))
    url = f"/admin/agents/agent/{agent.pk}/change/"
    form = client.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields if form[name].value() is not None}

    answer = client.post(url, {**values, "name": "Mia", "account": other.pk})

    agent.refresh_from_db()
    assert (answer.status_code, agent.name, agent.account == other) == (302, "Mia", False)


# --- the login ------------------------------------------------------------------------------------


def log_in(password: str, address: str = "192.0.2.1") -> int:
    client = Client(REMOTE_ADDR=address)
    return client.post(
        "/admin/login/", {"username": "olivia", "password": password, "next": "/admin/"}
    ).status_code


def test_after_repeated_failures_nobody_logs_in_from_there_for_a_while(time_machine):
    UserFactory.create(username="olivia")
    wrong = [log_in("wrong") for _ in range(settings.AXES_FAILURE_LIMIT)]

    assert wrong == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    assert log_in(PASSWORD) == 429
    assert log_in(PASSWORD, "192.0.2.2") == 302
    time_machine.move_to(timezone.now() + timedelta(minutes=16), tick=False)
    assert log_in(PASSWORD) == 302


def test_mistakes_of_weeks_do_not_add_up():
    UserFactory.create(username="olivia")

    for _ in range(3):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert log_in("wrong") == 200
        assert log_in(PASSWORD) == 302
