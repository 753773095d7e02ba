from unittest import mock

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from nixflex import health, tasks

pytestmark = pytest.mark.django_db


def get(path):
    return RequestFactory().get(path)


def test_healthz_answers_without_touching_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        response = health.healthz(get("/healthz"))

    assert response.status_code == 200


def test_readyz_is_green_once_a_worker_ran_the_heartbeat():
    tasks.heartbeat()

    response = health.readyz(get("/readyz"))

    assert response.status_code == 200
    assert response.content == (b'{"status": "ok", "database": "ok", "broker": "ok", "beat": "ok"}')


def test_readyz_names_the_part_that_is_missing():
    response = health.readyz(get("/readyz"))

    assert response.status_code == 503
    assert b'"database": "ok", "broker": "ok", "beat": "no heartbeat' in response.content


def test_readyz_names_a_failed_database_without_repeating_its_message():
    tasks.heartbeat()

    with mock.patch.object(
        health.connection, "cursor", side_effect=OperationalError("password=hunter2")
    ):
        response = health.readyz(get("/readyz"))

    assert response.status_code == 503
    assert b'"database": "failed: OperationalError"' in response.content
    assert b"hunter2" not in response.content


def test_readyz_names_a_broker_that_is_down(settings):
    tasks.heartbeat()

    with mock.patch("nixflex.celery.app.connection_for_write", side_effect=ConnectionError):
        response = health.readyz(get("/readyz"))

    assert response.status_code == 503
    assert b'"broker": "failed: ConnectionError"' in response.content
