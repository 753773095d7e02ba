"""Our numbers with their owners, kept by each process for as long as their rows are the same.

Loading a number, its account, agent, key and carrier anew takes longer than all else that is done
with a text that comes in; whether any of the five rows has changed is asked each time.
"""

from collections.abc import Iterable
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
    WHERE number.id = ANY(%s)
"""
_AT_MOST = 1_000
_known: dict[int, tuple[Any, PhoneNumber]] = {}


def known_numbers(pks: Iterable[int]) -> dict[int, PhoneNumber]:
    """Return numbers with their accounts, agents and carrier accounts, by primary key. What is
    returned is shared: read it only."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [list(pks)])
        versions = {row[0]: row for row in cursor.fetchall()}
    known = {pk: _known.get(pk, (None, None)) for pk in versions}
    found = {pk: one for pk, (version, one) in known.items() if one and version == versions[pk]}
    if changed := versions.keys() - found.keys():
        if len(_known) >= _AT_MOST:
            _known.clear()
        # Loaded after it was asked for: a change in between is found out the next time.
        numbers = PhoneNumber.objects.select_related(
            "account", "agent__api_key", "carrier_account"
        ).filter(pk__in=changed)
        for number in numbers:
            found[number.pk] = number
            _known[number.pk] = (versions[number.pk], number)
    return found
