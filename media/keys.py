"""Do the speech service and the model take our keys? One cheap request to each, nothing said.

For whoever sets an installation up (``nixflex.doctor``); live calls learn it for themselves.
"""

from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

import anthropic
import httpx
import httpx2
from anthropic import Anthropic
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from django.conf import settings

from media.providers import speech_environment

TIMEOUT_S = 8.0
_WRONG_KEY = 401
_NOT_ALLOWED = 403  # a key that may speak and listen need not see the project


class KeyProblem(Exception):
    """The service cannot be used. ``str`` says why, ``remedy`` what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def speech_clock() -> datetime | None:
    """Have the speech service check our key; return what time it is there, if it says.

    Raises ``KeyProblem``.
    """
    client = DeepgramClient(
        api_key=settings.DEEPGRAM_API_KEY, environment=speech_environment(), timeout=TIMEOUT_S
    )
    where = settings.DEEPGRAM_API_URL
    try:
        answer = client.manage.v1.projects.with_raw_response.list(
            request_options={"max_retries": 0, "timeout_in_seconds": int(TIMEOUT_S)}
        )
        headers = answer.headers
    except ApiError as error:
        if error.status_code == _WRONG_KEY:
            raise KeyProblem(
                "the key is not accepted (401)",
                "Make a key at console.deepgram.com and write it to DEEPGRAM_API_KEY.",
            ) from error
        if error.status_code != _NOT_ALLOWED:
            raise KeyProblem(
                f"{where} answers {error.status_code}", "Look at status.deepgram.com; try again."
            ) from error
        headers = error.headers or {}
    except httpx.HTTPError as error:
        raise _unreachable(where, "DEEPGRAM_API_URL", error) from error
    return _date(headers.get("date"))


def models_clock(models: Iterable[str]) -> datetime | None:
    """Have the model's service check our key and that it knows ``models``; return what time it is
    there, if it says.

    Raises ``KeyProblem``.
    """
    client = Anthropic(
        api_key=settings.ANTHROPIC_API_KEY,
        base_url=settings.ANTHROPIC_API_URL,
        timeout=TIMEOUT_S,
        max_retries=0,
    )
    where = settings.ANTHROPIC_API_URL
    at = None
    for model in models:
        try:
            answer = client.models.with_raw_response.retrieve(model)
        except anthropic.NotFoundError as error:
            raise KeyProblem(
                f"there is no model {model!r}",
                "Write one that your key may use to LLM_MODEL, LLM_FALLBACK_MODEL or the agent.",
            ) from error
        except anthropic.APIStatusError as error:
            if error.status_code in {_WRONG_KEY, _NOT_ALLOWED}:
                raise KeyProblem(
                    f"the key is not accepted ({error.status_code})",
                    "Make a key at console.anthropic.com and write it to ANTHROPIC_API_KEY.",
                ) from error
            raise KeyProblem(
                f"{where} answers {error.status_code}", "Look at status.anthropic.com; try again."
            ) from error
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise _unreachable(where, "ANTHROPIC_API_URL", error) from error
        at = _date(answer.headers.get("date"))
    return at


def _unreachable(where: str, setting: str, error: Exception) -> KeyProblem:
    return KeyProblem(
        f"{where} cannot be reached ({type(error).__name__})",
        f"Let this machine connect to it (firewall, name service), or look at {setting}.",
    )


def _date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
