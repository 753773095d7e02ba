"""What can be done with agents."""

from typing import Any

from django.db import transaction

from accounts.errors import ApiError, not_found_error
from accounts.models import Account, ApiKey
from agents.models import VOICEMAIL_NEEDS_WORDS, Agent, PhoneNumber


def create_agent(account: Account, *, api_key: ApiKey | None = None, **settings: Any) -> Agent:
    """Make an agent with these settings, the model's defaults for the others.

    Raises ApiError ``voicemail_message_required``.
    """
    agent = Agent(account=account, api_key=api_key, **settings)
    require_voicemail_words(agent)
    agent.save()
    return agent


def find_agent(account: Account, agent_id: str) -> Agent:
    """Return the account's agent; ApiError ``agent_not_found`` (404) for anybody else's too."""
    agent = Agent.objects.of(account).select_related("api_key").filter(agent_id=agent_id).first()
    if agent is None:
        raise _agent_not_found()
    return agent


@transaction.atomic
def update_agent(account: Account, agent_id: str, **settings: Any) -> Agent:
    """Change the given settings, all or none. Calls in progress keep what they started with.

    Raises ApiError ``agent_not_found``, ``voicemail_message_required``.
    """
    agent = _locked(account, agent_id)
    for name, value in settings.items():
        setattr(agent, name, value)
    require_voicemail_words(agent)
    if settings:
        agent.save(update_fields=[*settings, "updated_at"])
    return agent


@transaction.atomic
def delete_agent(account: Account, agent_id: str) -> None:
    """Delete an agent for good. Its numbers stay, without an agent; so do its past calls."""
    _locked(account, agent_id).delete()


def require_voicemail_words(owner: Agent | PhoneNumber) -> None:
    """Refuse to leave voicemails that say nothing."""
    if owner.voicemail_leave_enabled and not owner.voicemail_message:
        raise ApiError(
            "voicemail_message_required",
            f"{VOICEMAIL_NEEDS_WORDS} Send one, or set voicemail_leave_enabled to false.",
            details={"field": "voicemail_message"},
        )


def _locked(account: Account, agent_id: str) -> Agent:
    agent = (
        Agent.objects.of(account)
        .select_related("api_key")
        .select_for_update(of=("self",))
        .filter(agent_id=agent_id)
        .first()
    )
    if agent is None:
        raise _agent_not_found()
    return agent


def _agent_not_found() -> ApiError:
    return not_found_error("agent_not_found", "Agent not found")
