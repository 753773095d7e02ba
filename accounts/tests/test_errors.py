import pytest
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import errors, fields
from accounts.factories import api_client
from accounts.parsing import DEEPEST, body

pytestmark = pytest.mark.django_db


class Inner(serializers.Serializer[object]):
    phone = fields.E164()


class Everything(serializers.Serializer[object]):
    name = fields.Text(max_length=5, too_long="name_too_long")
    size = fields.Whole(1, 10, required=False)
    rate = fields.Real(0.5, 1.5, clamp=True, required=False)
    share = fields.Real(0, 1, required=False)
    on = fields.Flag(required=False)
    kind = fields.OneOf(["a", "b"], code="invalid_kind", required=False)
    people = Inner(many=True, required=False)


@api_view(["POST"])
def echo(request: Request) -> Response:
    given = Everything(data=body(request))
    given.is_valid(raise_exception=True)
    return Response(given.validated_data)


@api_view(["GET"])
def broken(request: Request) -> Response:
    raise RuntimeError("boom")


@api_view(["GET"])
def database_gone(request: Request) -> Response:
    from django.db import OperationalError

    raise OperationalError("server closed the connection")


urlpatterns = [
    path("v1/echo", echo),
    path("v1/broken", broken),
    path("v1/database-gone", database_gone),
    path("v1/nowhere", errors.no_such_endpoint),
]
handler400 = "accounts.errors.bad_request"
handler404 = "accounts.errors.not_found"
handler500 = "accounts.errors.server_error"

here = override_settings(ROOT_URLCONF=__name__)


@pytest.fixture(autouse=True)
def routes():
    with here:
        yield


@pytest.fixture
def api() -> Client:
    client = api_client()
    client.raise_request_exception = False
    return client


def post(api: Client, raw: str | bytes, content_type: str = "application/json"):
    return api.post("/v1/echo", raw, content_type=content_type)


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        ("", "missing_field", "name"),
        ("   ", "missing_field", "name"),
        ("{", "invalid_json", None),
        ("{'name': 'x'}", "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"name": NaN}', "invalid_json", None),
        ("[]", "invalid_body", None),
        ('"text"', "invalid_body", None),
        ("null", "invalid_body", None),
        ('{"name": "a\\u0000b"}', "invalid_request", "name"),
        ('{"name": "\\ud800"}', "invalid_request", "name"),
        ('{"name": "x", "share": 1e999}', "invalid_request", "share"),
        (f'{{"name": "x", "share": 1{"0" * 400}}}', "invalid_request", "share"),
        (f'{{"name": "x", "more": {{"sum": -1{"0" * 400}}}}}', "invalid_request", "more.sum"),
        ('{"name": null}', "invalid_request", "name"),
        ('{"name": 7}', "invalid_request", "name"),
        ('{"name": "123456"}', "name_too_long", "name"),
        ('{"name": "x", "size": "3"}', "invalid_request", "size"),
        ('{"name": "x", "size": true}', "invalid_request", "size"),
        ('{"name": "x", "size": 2.5}', "invalid_request", "size"),
        ('{"name": "x", "size": 11}', "invalid_request", "size"),
        ('{"name": "x", "share": 1.01}', "invalid_request", "share"),
        ('{"name": "x", "on": "yes"}', "invalid_request", "on"),
        ('{"name": "x", "on": 1}', "invalid_request", "on"),
        ('{"name": "x", "kind": "c"}', "invalid_kind", "kind"),
        ('{"name": "x", "kind": ""}', "invalid_kind", "kind"),
        ('{"name": "x", "kind": []}', "invalid_kind", "kind"),
        ('{"name": "x", "people": [{}]}', "missing_field", "people.0.phone"),
    ],
)
def test_a_bad_body_is_one_clear_complaint(api: Client, raw: str, code: str, field: str | None):
    response = post(api, raw)

    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == code
    assert error["type"] == "invalid_request"
    assert error["doc_url"] == f"https://docs.nixflex.com/errors/{code}"
    assert error["details"].get("field") == field
    if field:
        assert error["message"].startswith(field)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "a/b"]
)
def test_any_content_type_is_read_as_json(api: Client, content_type: str):
    response = post(api, '{"name": "x", "rate": 9, "size": 3.0}', content_type)

    assert response.json() == {"name": "x", "rate": 1.5, "size": 3}


def test_an_empty_form_is_not_a_form(api: Client):
    response = post(api, "", "application/x-www-form-urlencoded")

    assert response.json()["error"]["code"] == "missing_field"


def test_a_body_over_the_limit_is_refused_in_json(api: Client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    response = post(api, '{"name": "%s"}' % ("x" * 100))

    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 3_000, 200_000])
@pytest.mark.parametrize("one", ['{"a":', "["])
def test_a_body_that_is_nested_without_end_is_refused(api: Client, depth: int, one: str):
    raw = '{"name": "x", "more": ' + one * depth + "1" + ("]" if one == "[" else "}") * depth + "}"

    response = post(api, raw)

    assert response.status_code == 400
    assert response.json()["error"]["code"] in {"invalid_request", "invalid_json"}


def test_what_nobody_foresaw_is_a_500_in_the_envelope(api: Client):
    response = api.get("/v1/broken")

    assert response.status_code == 500
    assert response.json()["error"]["code"] == "server_error"
    assert response.json()["error"]["type"] == "server_error"
    assert "boom" not in response.content.decode()


def test_a_database_outage_is_a_503(api: Client):
    response = api.get("/v1/database-gone")

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "service_unavailable"
    assert response["Retry-After"] == "5"


def test_a_wrong_method_names_the_right_ones(api: Client):
    response = api.get("/v1/echo")

    assert response.status_code == 405
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert "This address takes " in response.json()["error"]["message"]
    assert "POST" in response["Allow"]


def test_an_accept_header_never_makes_a_406(api: Client):
    response = api.get("/v1/broken?format=xml", headers={"accept": "text/html"})

    assert response.status_code == 500
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/agents/", "/v1"])
def test_a_404_under_v1_is_json(path: str):
    response = Client().get(path)

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert response.json()["error"]["type"] == "not_found"


def test_a_404_elsewhere_is_a_page():
    response = Client().get("/elsewhere")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_a_surprise_outside_the_views_is_json_under_v1_only():
    api, page = (RequestFactory().get(path) for path in ("/v1/x", "/admin/x"))

    assert errors.server_error(api)["Content-Type"] == "application/json"
    assert errors.server_error(page)["Content-Type"].startswith("text/html")


def test_a_forged_host_is_refused_in_json():
    response = Client(raise_request_exception=False).get(
        "/v1/nowhere", headers={"host": "evil.example"}
    )

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_request"


async def test_under_asgi_the_answers_are_the_same():
    response = await AsyncClient().get("/v1/nowhere")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert response["x-request-id"].startswith("req_")
    assert response["x-railway-request-id"] == response["x-request-id"]


def test_in_debug_mode_a_404_and_a_500_under_v1_are_json_too(api: Client, settings):
    settings.DEBUG = True

    missing, broken = Client().get("/v1/nowhere"), api.get("/v1/broken")

    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "server_error")
