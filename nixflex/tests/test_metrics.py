import pytest
from django.test import Client

from calls import presence
from media import metrics as media_metrics


def scrape(token: str | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    answer = Client().get("/metrics", headers=headers)
    return answer.status_code, answer.content.decode()


def test_without_a_token_of_its_own_there_is_no_such_page():
    assert scrape("") == (404, "")


@pytest.mark.parametrize("token", [None, "", "wrong", "sécret"])
def test_whoever_does_not_know_the_token_learns_nothing(settings, token):
    settings.METRICS_TOKEN = "right"

    assert scrape(token) == (401, "")


def test_a_scrape_tells_of_provider_failures_and_of_every_living_media_process(settings):
    settings.METRICS_TOKEN = "right"
    presence.announce("host:7", live=3, has_room=True, draining=True)
    media_metrics.PROVIDER_ERRORS.labels("voice", "TestedError").inc()

    status, text = scrape("right")

    assert status == 200
    assert 'nixflex_process_live_calls{process="host:7"} 3.0' in text
    assert 'nixflex_process_has_room{process="host:7"} 0.0' in text
    assert 'nixflex_media_provider_errors_total{error="TestedError",part="voice"} 1.0' in text
