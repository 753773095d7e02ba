"""Our numbers with their owners, kept by each process for as long as their rows are the same.

Loading a number, its account, agent, key and carrier anew takes longer than all else that is done
with a text that comes in; whether any of the five rows has changed is asked each time.
"""

from typing import Any

from django.db import connection

from agents.models import PhoneNumber

# The transaction that wrote a row, and its place: they differ after any change.
_VERSIONS = """
    SELECT number.id, number.xmin::text, number.ctid::text, account.xmin::text,
        account.ctid::text, carrier.xmin::text, carrier.ctid::text, agent.xmin::text,
        agent.ctid::text, key.xmin::text, key.ctid::text
    FROM agents_phonenumber AS number
    JOIN accounts_account AS account ON account.id = number.account_id
    JOIN accounts_carrieraccount AS carrier ON carrier.id = number.carrier_account_id
    LEFT JOIN agents_agent AS agent ON agent.id = number.agent_id
    LEFT JOIN accounts_apikey AS key ON key.id = agent.api_key_id
    WHERE number.phone_number = %s
"""
_AT_MOST = 1_000
_known: dict[str, tuple[Any, PhoneNumber]] = {}


def known_number(phone_number: str) -> PhoneNumber | None:
    """Return the imported number with its account, agent and carrier account; None if there is
    none. What is returned is shared: read it only."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [phone_number])
        version = cursor.fetchone()
    if version is None:
        _known.pop(phone_number, None)
        return None
    kept = _known.get(phone_number)
    if kept is not None and kept[0] == version:
        return kept[1]
    # Loaded after it was asked for: a change in between is found out the next time.
    number = (
        PhoneNumber.objects.select_related("account", "agent__api_key", "carrier_account")
        .filter(phone_number=phone_number)
        .first()
    )
    if number is not None:
        if len(_known) >= _AT_MOST:
            _known.clear()
        _known[phone_number] = (version, number)
    return number
