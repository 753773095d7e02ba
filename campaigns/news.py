"""What a campaign's listeners are told, written into the outbox with the change itself."""

from campaigns.models import Campaign
from campaigns.progress import counts_of
from webhooks import outbox


def tell(campaign: Campaign) -> None:
    """Write ``campaign.<status>`` in the caller's transaction, as ``campaign.completed``."""
    agent = campaign.agent
    event = f"campaign.{campaign.status}"
    progress = counts_of([campaign])[campaign.pk]
    outbox.emit(
        campaign.account,
        event,
        {
            "event": event,
            "campaign_id": campaign.campaign_id,
            "name": campaign.name,
            "agent_id": campaign.agent_public_id,
            "from_number": campaign.from_number,
            "status": campaign.status,
            "reason": campaign.status_reason or None,
            "recipients": progress.counts,
            "outcomes": progress.outcomes,
            "metadata": campaign.metadata,
        },
        subject=campaign.campaign_id,
        phone_number=campaign.from_number,
        agent_id=campaign.agent_public_id,
        agent_url=agent.webhook_url if agent else None,
        api_key=agent.api_key if agent else None,
    )
