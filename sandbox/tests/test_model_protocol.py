"""Anthropic's SDK, unmodified, against the simulator's wire protocol."""

import contextlib
import json

import anthropic
import httpx2
import pytest
from aiohttp import ClientSession, web
from pydantic import BaseModel

from sandbox import faults
from sandbox.model import messages
from sandbox.tests.model_server import model_server, sdk

HAIKU = "claude-haiku-5-5"
SYSTEM = "You are Ines, the assistant of Harbour Kayaks. We open at 8. [END_CALL] ends the call."
ASK = [{"role": "user", "content": "When do you open?"}]
QUIET = {"model": HAIKU, "max_tokens": 200, "thinking": {"type": "disabled"}, "system": SYSTEM}
WEATHER = {
    "name": "get_forecast",
    "description": "Look up the weather forecast for a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
HEADERS = {"x-api-key": "key", "anthropic-version": "2023-06-01"}


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setenv("SANDBOX_MODEL_TTFT_MS", "0")
    monkeypatch.setenv("SANDBOX_MODEL_TOKEN_MS", "0")
    yield
    faults.clear()


@pytest.fixture
async def url():
    async with model_server() as address:
        yield address


async def test_a_streamed_reply_arrives_as_text_and_ends_with_its_usage(url):
    async with sdk(url) as client, client.messages.stream(**QUIET, messages=ASK) as stream:
        text = "".join([event.text async for event in stream if event.type == "text"])
        message = await stream.get_final_message()

    assert text.startswith("We open at 8.")
    assert message.content[0].text == text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 3
    assert message.model == HAIKU


async def test_the_event_sequence_is_the_services_own(url):
    async with (
        ClientSession() as http,
        http.post(
            f"{url}/v1/messages", json={**QUIET, "messages": ASK, "stream": True}, headers=HEADERS
        ) as response,
    ):
        body = await response.text()

    events = [line[7:] for line in body.splitlines() if line.startswith("event: ")]
    data = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: ")]
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-sandbox-simulation"] == "1"
    assert response.headers["request-id"].startswith("req_")
    assert events[:3] == ["message_start", "content_block_start", "ping"]
    assert set(events[3:-3]) == {"content_block_delta"}
    assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert [one["type"] for one in data] == events
    assert data[0]["message"]["content"] == []
    assert data[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


async def test_the_same_request_is_answered_alike_streamed_or_not(url):
    async with sdk(url) as client:
        whole = await client.messages.create(**QUIET, messages=ASK)
        async with client.messages.stream(**QUIET, messages=ASK) as stream:
            streamed = await stream.get_final_message()

    assert [b.text for b in whole.content] == [b.text for b in streamed.content]
    assert whole.usage.output_tokens == streamed.usage.output_tokens


async def test_a_model_that_may_think_does_so_unless_told_otherwise(url):
    request = {key: value for key, value in QUIET.items() if key != "thinking"}
    async with sdk(url) as client:
        thoughtful = await client.messages.create(**request, messages=ASK)
        capped = await client.messages.create(**{**request, "max_tokens": 4}, messages=ASK)
        low = await client.messages.create(**request, messages=ASK, output_config={"effort": "low"})

    assert [block.type for block in thoughtful.content] == ["thinking", "text"]
    assert [block.type for block in capped.content] == ["thinking"]
    assert capped.stop_reason == "max_tokens"
    assert [block.type for block in low.content] == ["text"]


async def test_max_tokens_and_stop_sequences_cut_the_reply(url):
    async with sdk(url) as client:
        cut = await client.messages.create(**{**QUIET, "max_tokens": 2}, messages=ASK)
        stopped = await client.messages.create(**QUIET, messages=ASK, stop_sequences=["at 8"])
        warm = await client.messages.create(**{**QUIET, "max_tokens": 0}, messages=ASK)

    assert (cut.stop_reason, cut.usage.output_tokens, cut.content[0].text) == (
        "max_tokens", 2, "We open",
    )  # fmt: skip
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "at 8")
    assert stopped.content[0].text == "We open "
    assert warm.content == []


async def test_a_tool_is_called_with_what_the_caller_said_and_its_result_is_spoken(url):
    ask = [{"role": "user", "content": "What is the weather forecast for Bergen?"}]
    async with sdk(url) as client:
        async with client.messages.stream(**QUIET, messages=ask, tools=[WEATHER]) as stream:
            called = await stream.get_final_message()
        use = called.content[-1]
        keys = {"type", "id", "name", "input"}
        answered = await client.messages.create(
            **QUIET,
            tools=[WEATHER],
            messages=[
                *ask,
                {"role": "assistant", "content": [use.model_dump(include=keys)]},
                {"role": "user", "content": [{
                    "type": "tool_result", "tool_use_id": use.id, "content": "Rain until noon.",
                }]},
            ],
        )  # fmt: skip

    assert called.stop_reason == "tool_use"
    assert (use.type, use.name, use.input) == ("tool_use", "get_forecast", {"city": "Bergen"})
    assert answered.content[0].text == "Rain until noon."
    assert answered.stop_reason == "end_turn"


async def test_a_tool_that_lacks_an_argument_is_asked_for_first(url):
    ask = [{"role": "user", "content": "What will the weather forecast be?"}]
    async with sdk(url) as client:
        reply = await client.messages.create(**QUIET, messages=ask, tools=[WEATHER])

    assert reply.stop_reason == "end_turn"
    assert reply.content[0].text == "Could you tell me your city?"


async def test_tool_choice_forces_or_forbids_a_tool(url):
    async with sdk(url) as client:
        forced = await client.messages.create(
            **QUIET,
            messages=ASK,
            tools=[WEATHER],
            tool_choice={"type": "tool", "name": "get_forecast"},
        )
        without = await client.messages.create(
            **QUIET,
            messages=[{"role": "user", "content": "What is the weather forecast for Bergen?"}],
            tools=[WEATHER],
            tool_choice={"type": "none"},
        )

    assert forced.content[-1].type == "tool_use"
    assert "city" in forced.content[-1].input
    assert [block.type for block in without.content] == ["text"]


async def test_structured_output_parses_into_the_model_asked_for(url):
    class Outcome(BaseModel):
        call_summary: str
        caller_sentiment: str
        wants_call_back: bool
        email: str | None

    transcript = (
        "Agent: I'm calling to ask about your kayak course. Would you like a call back?\n"
        "Caller: Yes please, that would be great. Write to jo@example.org.\n"
    )
    async with sdk(url) as client:
        parsed = await client.messages.parse(
            model=HAIKU,
            max_tokens=500,
            messages=[{"role": "user", "content": transcript}],
            output_format=Outcome,
        )

    assert parsed.parsed_output is not None
    assert parsed.parsed_output.wants_call_back is True
    assert parsed.parsed_output.email == "jo@example.org"
    assert "kayak course" in parsed.parsed_output.call_summary


async def test_a_long_marked_prefix_is_written_once_and_read_afterwards(url):
    long = [
        {"type": "text", "text": "We rent kayaks. " * 300, "cache_control": {"type": "ephemeral"}}
    ]
    short = [{"type": "text", "text": "We rent.", "cache_control": {"type": "ephemeral"}}]
    async with sdk(url) as client:
        first = await client.messages.create(**{**QUIET, "system": long}, messages=ASK)
        again = await client.messages.create(**{**QUIET, "system": long}, messages=ASK)
        small = await client.messages.create(**{**QUIET, "system": short}, messages=ASK)

    assert first.usage.cache_creation_input_tokens > 512
    assert first.usage.cache_read_input_tokens == 0
    assert again.usage.cache_creation_input_tokens == 0
    assert again.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    assert (small.usage.cache_creation_input_tokens, small.usage.cache_read_input_tokens) == (0, 0)


async def test_counted_tokens_are_those_that_a_request_is_billed(url):
    async with sdk(url) as client:
        counted = await client.messages.count_tokens(model=HAIKU, system=SYSTEM, messages=ASK)
        reply = await client.messages.create(**QUIET, messages=ASK)

    assert counted.input_tokens == reply.usage.input_tokens > 10


async def test_models_are_listed_and_described(url):
    async with sdk(url) as client:
        listed = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("claude-sonnet-4-5")
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("claude-2")

    assert listed[0] == HAIKU
    assert (one.display_name, one.lifecycle) == ("Claude Sonnet 4.5", "deprecated")
    assert one.retires_at is not None


async def test_a_missing_or_invalid_key_is_refused(url):
    body = {**QUIET, "messages": ASK}
    async with ClientSession() as http:
        async with http.post(f"{url}/v1/messages", json=body) as response:
            missing = response.status, (await response.json())["error"]["type"]
        async with http.post(
            f"{url}/v1/messages", json=body, headers={"x-api-key": "key"}
        ) as response:
            unversioned = response.status, (await response.json())["error"]["message"]
    async with sdk(url, api_key="invalid") as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await client.messages.create(**body)

    assert missing == (401, "authentication_error")
    assert unversioned == (400, "anthropic-version: header is required")
    assert refused.value.type == "authentication_error"
    assert refused.value.request_id.startswith("req_")


USE = {"role": "assistant", "content": [
    {"type": "tool_use", "id": "toolu_1", "name": "get_forecast", "input": {"city": "Bergen"}},
]}  # fmt: skip
RESULT = {"role": "user", "content": [
    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain"},
]}  # fmt: skip
OBJECT = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"model": None}, 400, "model: Field required"),
        ({"max_tokens": None}, 400, "max_tokens: Field required"),
        ({"messages": None}, 400, "messages: Field required"),
        ({"messages": []}, 400, "at least one message"),
        ({"model": "claude-3-opus-latest"}, 404, "model: claude-3-opus-latest"),
        ({"temperature": 0.2}, 400, "temperature: non-default values"),
        ({"top_k": 5}, 400, "top_k"),
        ({"n": 2}, 400, "n: Extra inputs are not permitted"),
        ({"max_tokens": "many"}, 400, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 10**9}, 400, "maximum allowed number of output tokens"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "first message must use"),
        ({"messages": [*ASK, {"role": "assistant", "content": "We"}]}, 400, "prefill"),
        ({"messages": [{"role": "user", "content": ""}]}, 400, "non-empty"),
        ({"messages": [*ASK, USE, *ASK]}, 400, "without `tool_result` blocks"),
        ({"messages": [RESULT]}, 400, "unexpected `tool_use_id`"),
        ({"thinking": {"type": "disabled"}, "model": "claude-sonnet-5-5"}, 400, "not supported"),
        ({"tool_choice": {"type": "any"}}, 400, "while providing tools"),
        ({"tools": [{"name": "a b", "input_schema": OBJECT}]}, 400, "tools.0.name"),
        ({"tools": [{"name": "a"}]}, 400, "tools.0.input_schema"),
        ({"output_config": {"format": {"type": "json_schema", "schema": OBJECT}}}, 400,
         "additionalProperties"),
        ({"system": [{"type": "text", "text": f"{n}", "cache_control": {"type": "ephemeral"}}
                     for n in range(5)]}, 400, "A maximum of 4 blocks"),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_with_the_field_that_is_wrong(url, change, status, says):
    body = {**QUIET, "messages": ASK, **change}
    body = {key: value for key, value in body.items() if value is not None}

    async with (
        ClientSession() as http,
        http.post(f"{url}/v1/messages", json=body, headers=HEADERS) as response,
    ):
        answer = await response.json()

    assert response.status == status
    assert says in answer["error"]["message"]
    assert answer["type"] == "error"
    assert answer["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b'"text"'])
async def test_a_body_that_is_no_json_object_is_a_bad_request(url, raw):
    async with (
        ClientSession() as http,
        http.post(f"{url}/v1/messages", data=raw, headers=HEADERS) as response,
    ):
        answer = await response.json()

    assert (response.status, answer["error"]["type"]) == (400, "invalid_request_error")


async def test_faults_before_the_stream_are_the_sdks_named_errors(url):
    async with sdk(url) as client:
        faults.put({"model": {"kind": "overloaded"}})
        with pytest.raises(anthropic.OverloadedError) as overloaded:
            await client.messages.create(**QUIET, messages=ASK)
        faults.put({"model": {"kind": "rate_limited", "count": 1}})
        with pytest.raises(anthropic.RateLimitError) as limited:
            await client.messages.create(**QUIET, messages=ASK)
        after = await client.messages.create(**QUIET, messages=ASK)

    assert overloaded.value.status_code == 529
    assert limited.value.response.headers["retry-after"] == "1"
    assert after.stop_reason == "end_turn"


async def test_an_error_in_mid_stream_comes_after_the_first_words(url):
    faults.put({"model": {"kind": "error_mid_stream", "after_tokens": 2}})
    heard = []

    async with sdk(url) as client:
        with pytest.raises(anthropic.APIStatusError) as broken:
            async with client.messages.stream(**QUIET, messages=ASK) as stream:
                heard += [event.text async for event in stream if event.type == "text"]

    assert broken.value.status_code == 200
    assert broken.value.type == "overloaded_error"


async def test_a_reply_breaks_behind_the_text_asked_for_or_before_its_first_word(url):
    async def heard(**fault):
        faults.put({"model": {"kind": "error_mid_stream", **fault}})
        words = ""
        async with sdk(url) as client:
            with contextlib.suppress(anthropic.APIStatusError):
                async with client.messages.stream(**QUIET, messages=ASK) as stream:
                    async for event in stream:
                        words += event.text if event.type == "text" else ""
        return words

    whole = await heard(after_text="a text that never comes")
    assert whole.startswith("We open at 8.")
    assert await heard(after_tokens=0) == ""
    assert await heard(after_text="open") == "We open"
    assert whole.startswith(part := await heard(after_tokens=2))
    assert 0 < len(part) < len(whole)


async def test_a_refusal_is_a_whole_answer_without_a_word(url):
    faults.put({"model": {"kind": "refusal", "only": "HAIKU", "asked": "mars"}})
    about_mars = [{"role": "user", "content": "When do you open on Mars?"}]

    async with sdk(url) as client:
        refused = await client.messages.create(**QUIET, messages=about_mars)
        async with client.messages.stream(**QUIET, messages=about_mars) as stream:
            streamed = await stream.get_final_message()
        answered = await client.messages.create(**QUIET, messages=ASK)

    assert (refused.stop_reason, refused.content) == ("refusal", [])
    assert (streamed.stop_reason, streamed.content) == ("refusal", [])
    assert answered.stop_reason == "end_turn"


async def test_a_dropped_socket_and_a_stall_are_raw_transport_errors(url):
    async with sdk(url, timeout=anthropic.Timeout(5, read=0.3)) as client:
        faults.put({"model": {"kind": "drop"}})
        with pytest.raises(httpx2.HTTPError) as dropped:
            async with client.messages.stream(**QUIET, messages=ASK) as stream:
                await stream.get_final_message()
        faults.put({"model": {"kind": "stall", "seconds": 5}})
        with pytest.raises(httpx2.ReadTimeout):
            async with client.messages.stream(**QUIET, messages=ASK) as stream:
                await stream.get_final_message()

    assert not isinstance(dropped.value, anthropic.APIError)


async def test_who_hangs_up_in_the_middle_of_a_reply_leaves_no_traceback(monkeypatch, caplog):
    monkeypatch.setenv("SANDBOX_MODEL_TOKEN_MS", "5")
    app = web.Application()
    app.add_routes(messages.routes())
    runner = web.AppRunner(app)  # as the sandbox's process: handlers are not cancelled
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with sdk(f"http://{host}:{port}") as client:
        async with client.messages.stream(**QUIET, messages=ASK) as stream:
            async for event in stream:
                if event.type == "text":
                    break
        again = await client.messages.create(**QUIET, messages=ASK)
    await runner.cleanup()

    assert again.content[0].text.startswith("We open at 8.")
    assert [record.message for record in caplog.records if record.exc_info] == []
