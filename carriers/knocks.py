"""What a carrier's request to us says, whether it signed it, and what it gets back."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from carriers import twilio

logger = logging.getLogger(__name__)

type Form = dict[str, str]
type View = Callable[[HttpRequest], HttpResponse]
_MOST_DIGITS = 9  # fits the database's integers


def view[Knock](
    verify: Callable[[HttpRequest, Form], Knock | None],
) -> Callable[[Callable[[HttpRequest, Knock], HttpResponse]], View]:
    """Make a view of a function that answers a verified request of the carrier (POST only).

    ``verify`` returns what a request and its form are about, and None for one that the carrier did
    not sign: that is answered 403 and reaches nothing. So is a form that no database can hold.
    """

    def decorate(work: Callable[[HttpRequest, Knock], HttpResponse]) -> View:
        @csrf_exempt
        @require_POST
        @wraps(work)
        def knocked(request: HttpRequest) -> HttpResponse:
            form = form_of(request)
            knock = None if form is None else verify(request, form)
            if knock is None:
                logger.warning("a webhook without a valid signature was refused")
                return forbidden()
            return work(request, knock)

        return knocked

    return decorate


def form_of(request: HttpRequest) -> Form | None:
    """Return the fields of a POST, the last value of each; None if one of them, or of the query's,
    holds a NUL, which no carrier sends.
    """
    form = {name: str(request.POST.get(name, "")) for name in request.POST}
    asked = (text for texts in request.GET.lists() for text in texts[1])
    return None if any("\0" in text for text in (*form.values(), *asked)) else form


def is_signed(request: HttpRequest, tokens: Iterable[str]) -> bool:
    """Say whether the carrier signed the request with one of these auth tokens."""
    # What was signed is the address as the carrier knows it, query and unknown fields included.
    query = request.META.get("QUERY_STRING", "")
    url = f"{settings.PUBLIC_URL}{request.path}" + (f"?{query}" if query else "")
    signature = request.headers.get("X-Twilio-Signature", "")
    return any(twilio.verify_signature(token, url, request.POST, signature) for token in tokens)


def whole_number(text: str) -> int | None:
    """Read a form's field. None if it is missing, no whole number, or of more than nine digits."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        return None  # int() alone would take " 5 ", "1_0" and other scripts' digits
    return int(text)


def moment(stamp: str) -> datetime | None:
    """Read the carrier's time of an event (RFC 2822). None if it is missing, senseless or in the
    future.
    """
    try:
        when = parsedate_to_datetime(stamp)
    except ValueError:
        return None
    if when.tzinfo is None or when > timezone.now():
        return None
    return when


def forbidden() -> HttpResponse:
    """Answer a request that the carrier did not sign."""
    return HttpResponse("The signature is not valid.", status=403, content_type="text/plain")


def answer(document: str) -> HttpResponse:
    """Answer with TwiML."""
    return HttpResponse(document, content_type="text/xml")
