"""News of calls for whoever stands above (campaigns, webhooks). News only: a sweep must find what
it missed."""

from django.dispatch import Signal

# Sent after the commit that ended a call, once, with ``call_pk`` (the sender is ``Call``).
call_ended = Signal()
