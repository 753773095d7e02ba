"""The API's description: open to all, and so made once."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from nixflex import openapi

URL = "/v1/openapi.json"


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    openapi.forget()
    yield
    openapi.forget()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each making of the description."""
    times: list[Any] = []
    get_schema = SchemaGenerator.get_schema

    def counted(self: SchemaGenerator, *args: Any, **kwargs: Any) -> Any:
        times.append(None)
        return get_schema(self, *args, **kwargs)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    return times


def test_the_description_is_made_once_for_all_who_ask(made: list[Any]):
    answers = [Client().get(f"{URL}{ask}") for ask in ("", "?version=2", "?lang=de", "?x=1")]

    assert len(made) == 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0]["Content-Type"] == "application/json"
    assert answers[0].json()["info"] == {"title": "Nixflex API", "version": "1"}
    assert answers[0].json() == SchemaGenerator().get_schema(request=None, public=True)


def test_who_has_the_description_is_not_sent_it_again():
    first = Client().get(URL)

    again = Client().get(URL, headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert Client().get(URL, headers={"If-None-Match": '"other"'}).content == first.content


def test_the_description_can_only_be_read():
    answer = Client().post(URL, {}, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
