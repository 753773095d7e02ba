import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client

from accounts.factories import api_client
from agents.factories import CustomFunctionFactory
from agents.models import CustomFunction, PhoneNumber
from agents.tests.customer_server import CustomerServer, running_customer_server
from agents.tools.base import LONGEST_ANSWER, Outcome, Tool, ToolCall
from agents.tools.functions import function_tools
from agents.tools.using import use

pytestmark = pytest.mark.django_db

ORDER = {
    "name": "check_order",
    "description": "Where an order is.",
    "url": "https://acme.example/orders",
    "method": "POST",
    "headers": {"Authorization": "Bearer s3cret"},
    "parameters": {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
    },
    "timeout_ms": 3_000,
    "speak_during": "One moment, I am looking.",
}


@pytest.fixture
def customer(settings: Any) -> Iterator[CustomerServer]:
    settings.OUTBOUND_ALLOW_PRIVATE = True
    with running_customer_server() as server:
        yield server


def url(number: PhoneNumber, function_id: str = "") -> str:
    tail = f"/{function_id}" if function_id else ""
    return f"/v1/integrations/custom-functions/number/{number.phone_number}{tail}"


def post(client: Client, number: PhoneNumber, **fields: Any) -> Any:
    return client.post(url(number), fields, content_type="application/json")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_function_is_made_listed_changed_and_deleted(number: PhoneNumber, client: Client):
    made = post(client, number, **ORDER)
    listed = client.get(url(number)).json()
    address = url(number, made.json()["id"])
    changed = client.patch(
        address, {"timeout_ms": 99_999, "speak_during": None}, content_type="application/json"
    )
    deleted = client.delete(address)

    assert made.status_code == 201
    assert {key: made.json()[key] for key in ORDER} == ORDER
    assert listed == {
        "phone_number": number.phone_number, "functions": [made.json()], "count": 1,
    }  # fmt: skip
    assert changed.json() == {**made.json(), "timeout_ms": 45_000, "speak_during": ""}
    assert deleted.json() == {"ok": True, "deleted": True, "id": made.json()["id"]}
    assert not CustomFunction.objects.exists()
    assert code(client.delete(address)) == (404, "function_not_found")


def test_what_is_asked_again_with_its_key_is_answered_as_the_first_time(
    number: PhoneNumber, client: Client
):
    def twice(how: str, address: str, fields: dict[str, Any]) -> list[Any]:
        asked: Any = {"content_type": "application/json", "headers": {"Idempotency-Key": how}}
        return [client.generic(how, address, json.dumps(fields), **asked) for _ in range(2)]

    made = twice("POST", url(number), ORDER)
    address = url(number, made[0].json()["id"])
    changed = twice("PATCH", address, {"timeout_ms": 2_000})
    deleted = twice("DELETE", address, {})

    for first, copy in (made, changed, deleted):
        assert (copy.status_code, copy.json()) == (first.status_code, first.json())
        assert copy["Idempotent-Replayed"] == "true"
    assert made[0].status_code == 201


def test_what_is_left_out_has_the_documented_default(number: PhoneNumber, client: Client):
    made = post(client, number, name="f", description="d", url="https://acme.example/").json()

    assert (made["method"], made["headers"], made["parameters"]) == ("POST", {}, {})
    assert (made["timeout_ms"], made["speak_during"]) == (5_000, "")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": None}, "invalid_request"),
        ({"name": "CheckOrder"}, "invalid_request"),
        ({"name": "x" * 65}, "invalid_request"),
        ({"name": "opt_out"}, "invalid_request"),
        ({"url": "http://acme.example/"}, "invalid_url"),
        ({"url": "https://10.0.0.1/"}, "invalid_url"),
        ({"url": "https://169.254.169.254/"}, "invalid_url"),
        ({"method": "TRACE"}, "invalid_request"),
        ({"headers": {"Host": "other"}}, "invalid_request"),
        ({"headers": {"X-A": "line\nbreak"}}, "invalid_request"),
        ({"headers": {"X-A": 5}}, "invalid_request"),
        ({"parameters": {"type": "string"}}, "invalid_request"),
        ({"parameters": {"type": "object", "properties": {"a": {"type": "nonsense"}}}},
         "invalid_request"),
        ({"description": ""}, "invalid_request"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_function_is_refused(
    number: PhoneNumber, client: Client, fields: dict[str, Any], expected: str
):
    assert code(post(client, number, **{**ORDER, **fields})) == (400, expected)
    assert not CustomFunction.objects.exists()


def test_a_name_is_taken_once_a_number_and_fifteen_is_the_most(number: PhoneNumber, client: Client):
    for place in range(15):
        assert post(client, number, **{**ORDER, "name": f"f{place}"}).status_code == 201

    assert code(post(client, number, **{**ORDER, "name": "f15"})) == (400, "too_many_functions")
    first, second = CustomFunction.objects.all()[:2]
    taken = client.patch(
        url(number, second.function_id), {"name": first.name}, content_type="application/json"
    )
    assert code(taken) == (409, "function_exists")


def test_headers_are_encrypted_at_rest(number: PhoneNumber, client: Client):
    post(client, number, **ORDER)

    with connection.cursor() as cursor:
        cursor.execute("SELECT headers_json FROM agents_customfunction")
        [stored] = cursor.fetchone()
    assert "s3cret" not in stored


def test_another_accounts_number_has_no_functions_for_us(number: PhoneNumber):
    stranger = api_client()

    assert code(stranger.get(url(number))) == (404, "number_not_found")
    assert code(post(stranger, number, **ORDER)) == (404, "number_not_found")


# --- in mid-call ----------------------------------------------------------------------------------

VALUES: Mapping[str, Any] = {
    "caller_phone": "+447386172392", "business_phone": "+447446466847", "call_id": "call_1",
    "current_date": "Monday, May 25, 2026", "caller_history": "", "upcoming_days": "…",
    "plan": "gold & more",
}  # fmt: skip


def called(number: PhoneNumber, **arguments: Any) -> Outcome:
    [tool] = function_tools(number, VALUES)
    return asyncio.run(use([tool], ToolCall("toolu_1", tool.name, arguments), ""))


def test_a_function_gets_its_name_arguments_and_variables(
    number: PhoneNumber, customer: CustomerServer
):
    CustomFunctionFactory.create(
        number=number, url=f"{customer.url}?plan={{{{plan}}}}&x={{{{nobody}}}}",
        headers_json='{"X-Plan": "{{plan}}", "Authorization": "Bearer s3cret"}',
    )  # fmt: skip
    customer.answer = (200, {"result": {"status": "shipped"}, "internal": 7})

    outcome = called(number, order="A 17", count=2)

    [asked] = customer.got
    assert (asked.method, asked.path) == ("POST", "/hook?plan=gold%20%26%20more&x={{nobody}}")
    assert asked.headers["user-agent"] == "Nixflex-VoiceEngine/1.0"
    assert (asked.headers["x-plan"], asked.headers["authorization"]) == (
        "gold & more",
        "Bearer s3cret",
    )
    assert (asked.json["name"], asked.json["args"]) == (
        "check_order",
        {"order": "A 17", "count": 2},
    )
    assert len(asked.json["variables"]) == 14
    assert asked.json["variables"]["caller_phone"] == "+447386172392"
    assert "upcoming_days" not in asked.json["variables"]
    assert outcome == Outcome('{"status": "shipped"}')


def test_a_get_carries_its_arguments_in_the_query(number: PhoneNumber, customer: CustomerServer):
    CustomFunctionFactory.create(number=number, method="GET", url=f"{customer.url}?v=1")

    called(number, order="A 17", express=True)

    [asked] = customer.got
    query = parse_qs(urlsplit(asked.path).query)
    assert (asked.method, asked.body) == ("GET", b"")
    assert query == {"v": ["1"], "order": ["A 17"], "express": ["true"]}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"result": "It is on its way."}, "It is on its way."),
        ({"status": "shipped"}, '{"status": "shipped"}'),
        (b"plain words", "plain words"),
        (b"", "Done."),
        ([1, 2], "[1, 2]"),
    ],
)
def test_the_model_gets_the_result_or_the_whole_body(
    number: PhoneNumber, customer: CustomerServer, said: Any, told: str
):
    CustomFunctionFactory.create(number=number, url=customer.url)
    customer.answer = (200, said)

    assert called(number, order="1") == Outcome(told)


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (500, {"result": "all well"}, "status 500"),
        (404, {}, "status 404"),
        (302, {}, "status 302"),
        (200, b"x" * (100 * 1024 + 1), "answer too long"),
    ],
)
def test_a_function_that_fails_is_told_as_failed(
    number: PhoneNumber, customer: CustomerServer, status: int, said: Any, why: str
):
    CustomFunctionFactory.create(number=number, url=customer.url)
    customer.answer = (status, said)

    outcome = called(number, order="1")

    assert outcome.failed
    assert why in outcome.content
    assert "do not claim" in outcome.content
    assert len(customer.got) == 1  # neither repeated nor redirected


def test_a_function_that_takes_too_long_is_given_up(number: PhoneNumber, customer: CustomerServer):
    CustomFunctionFactory.create(number=number, url=customer.url, timeout_ms=1_000)
    CustomFunction.objects.update(timeout_ms=50)
    customer.silent.clear()

    outcome = called(number, order="1")

    assert outcome.failed
    customer.silent.set()


def test_a_long_answer_is_cut_for_the_model(number: PhoneNumber, customer: CustomerServer):
    CustomFunctionFactory.create(number=number, url=customer.url)
    customer.answer = (200, b"x" * 50_000)

    content = called(number, order="1").content

    assert content == "x" * LONGEST_ANSWER + " … (the rest was cut off)"


def test_an_inner_address_is_not_asked(
    number: PhoneNumber, customer: CustomerServer, settings: Any
):
    settings.OUTBOUND_ALLOW_PRIVATE = False
    CustomFunctionFactory.create(number=number, url=customer.url.replace("http:", "https:"))

    outcome = called(number, order="1")

    assert (outcome.failed, "a private address" in outcome.content) == (True, True)
    assert customer.got == []


def test_a_call_without_a_required_argument_asks_nobody(
    number: PhoneNumber, customer: CustomerServer
):
    CustomFunctionFactory.create(number=number, url=customer.url)

    outcome = called(number)

    assert (outcome.failed, outcome.content) == (
        True,
        "Nothing was done: order missing. Ask for it.",
    )
    assert customer.got == []


def test_an_unknown_tool_and_a_broken_one_are_failures_not_errors():
    async def breaks(arguments: Mapping[str, Any], said: str) -> Outcome:
        raise RuntimeError

    broken = Tool("broken", "", {}, breaks)

    for name, words in (("nothing", "There is no tool nothing."), ("broken", "does not work")):
        outcome = asyncio.run(use([broken], ToolCall("t", name, {}), ""))
        assert outcome.failed
        assert words in outcome.content


def test_a_make_scenario_is_asked_in_mid_call_like_a_function(
    number: PhoneNumber, customer: CustomerServer
):
    number.make_in_call_url = customer.url
    customer.answer = (200, {"result": "Your order left today."})

    outcome = called(number, request="Where is order A 17?")

    [asked] = customer.got
    assert (asked.json["name"], asked.json["args"]) == (
        "ask_business",
        {"request": "Where is order A 17?"},
    )
    assert asked.json["variables"]["caller_phone"] == "+447386172392"
    assert (outcome.content, outcome.failed) == ("Your order left today.", False)


def test_a_number_without_a_scenario_has_no_such_tool(number: PhoneNumber):
    assert function_tools(number, VALUES) == ()
