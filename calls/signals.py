"""News of calls for whoever stands above (campaigns, webhooks). News only: a sweep must find what
it missed."""

from django.dispatch import Signal

# Sent after the commit that ended a call, once, with ``call_pk`` (the sender is ``Call``).
call_ended = Signal()

# Sent in the transaction that puts a call back in its turn because the carrier has not got it, with
# ``call_pk`` (the sender is ``Call``): whoever stands above may ``withdraw`` it. What a receiver
# raises undoes that.
call_put_back = Signal()

# Sent while a person's data is erased, with ``account`` and ``phone_number``, and while an account
# is closed, with ``account``: whoever stands above erases what it has. What a receiver raises stops
# the erasure, which can be asked for again.
person_forgotten = Signal()
account_closed = Signal()

# Sent while everything about a person is collected, with ``account`` and ``phone_number``: whoever
# stands above returns a dict of what it has, JSON-ready, to be added.
person_exported = Signal()

# Sent by the daily purge with ``before``: whoever stands above erases what is older.
too_old = Signal()
