"""Tools in mid-call: what the machine asks for, says meanwhile, and shows the model afterwards."""

from collections.abc import Mapping
from typing import Any

from agents.tools.base import Outcome, Tool, ToolCall, ToolResult
from calls.live import SpokenTurn
from media.events import (
    AskModel,
    CallerGone,
    CancelModel,
    Event,
    ModelDone,
    ModelText,
    ToolsDone,
    ToolsWanted,
    UseTools,
)
from media.history import History
from media.tests.driving import Play
from media.tool_rounds import FILLER_AFTER_MS, MOST_ROUNDS

CALL = ToolCall("toolu_1", "check_order", {"order": "17"})


async def never(arguments: Mapping[str, Any], said: str) -> Outcome:
    raise AssertionError("the machine itself uses no tool")


def tool(**fields: Any) -> Tool:
    return Tool("check_order", "Where an order is.", {}, never, **fields)


def asked_for_tools(**fields: Any) -> Play:
    """A call whose caller asked something for which the model wants a tool."""
    play = Play(inbound=True, tools=(tool(**fields),))
    play.open()
    play.send(1_000)
    play.at(2_600)
    play.caller_says("Where is order 17?")
    play.feed(ToolsWanted(play.t, generation(play), (CALL,)))
    return play


def generation(play: Play) -> int:
    return play.all(AskModel)[-1].generation


def answer(play: Play, content: str = "On its way.", failed: bool = False) -> Event:
    uses = play.all(UseTools)[-1]
    return ToolsDone(
        play.t,
        uses.generation,
        tuple(ToolResult(call, Outcome(content, failed)) for call in uses.calls),
    )


def test_what_tools_answer_is_shown_to_the_model_as_it_wants_it():
    play = asked_for_tools()
    [use] = play.all(UseTools)
    assert (use.calls, use.said) == ((CALL,), "Where is order 17?")

    play.feed(answer(play))

    asked = play.all(AskModel)[-1]
    assert asked.may_use_tools
    assert asked.messages[-3:] == (
        {"role": "user", "content": "Where is order 17?"},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "check_order",
                    "input": {"order": "17"},
                }
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "On its way."}
            ],
        },
    )


def test_what_is_said_for_the_wait_is_said_unless_the_model_said_something_itself():
    play = asked_for_tools(speak_during="One moment, please.")
    assert play.at(2_600 + FILLER_AFTER_MS - 1).spoken[1:] == []
    assert play.at(2_600 + FILLER_AFTER_MS).spoken[1:] == ["One moment, please."]

    talkative = Play(inbound=True, tools=(tool(speak_during="One moment, please."),))
    talkative.open()
    talkative.send(1_000)
    talkative.at(2_600)
    talkative.caller_says("Where is order 17?")
    talkative.feed(ModelText(talkative.t, generation(talkative), "Let me look."))
    talkative.feed(ToolsWanted(talkative.t, generation(talkative), (CALL,)))
    assert talkative.at(4_000).spoken[1:] == ["Let me look."]


def test_a_tool_that_answers_at_once_needs_no_words():
    play = asked_for_tools(speak_during="One moment, please.")
    play.at(2_900).feed(answer(play))
    play.model_says("It is on its way.")

    assert play.at(4_000).spoken[1:] == ["It is on its way."]


def test_the_model_sees_what_it_said_before_the_tool_and_the_turn_is_one():
    play = asked_for_tools(speak_during="One moment, please.")
    play.at(3_100).send(800)
    play.feed(answer(play))
    saying = play.all(AskModel)[-1].messages[-2]["content"][0]
    play.model_says("It is on its way.")
    play.send(900)
    play.at(6_500)
    play.caller_says("Thank you.")

    assert saying == {"type": "text", "text": "One moment, please."}
    assert play.turns[-2] == ("agent", "One moment, please. It is on its way.")
    assert [message["role"] for message in play.all(AskModel)[-1].messages[-5:]] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip


def test_words_while_a_tool_acts_stop_nothing_and_are_answered_with_its_result():
    play = asked_for_tools(speak_during="One moment, please.")
    play.at(3_100).send(800)
    cancelled = len(play.all(CancelModel))

    play.caller_says("And the other order, number 18?")
    play.feed(answer(play))

    assert len(play.all(CancelModel)) == cancelled
    texts = [m["content"] for m in play.all(AskModel)[-1].messages if m["role"] == "user"]
    assert "And the other order, number 18?" in texts[-2]


def test_after_three_rounds_the_model_must_answer():
    play = asked_for_tools()
    for _ in range(MOST_ROUNDS - 1):
        play.feed(answer(play))
        assert play.all(AskModel)[-1].may_use_tools
        play.feed(ToolsWanted(play.t, generation(play), (CALL,)))
    play.feed(answer(play))

    assert not play.all(AskModel)[-1].may_use_tools
    assert len(play.all(UseTools)) == MOST_ROUNDS


def test_a_tool_that_never_comes_back_is_given_up_with_words():
    play = asked_for_tools(timeout_ms=5_000)

    play.at(9_500)
    assert len(play.spoken) == 1
    play.at(9_700)

    assert play.spoken[-1] == "I am sorry, could you say that again?"
    assert play.machine._agent.reply is not None
    play.feed(answer(play))  # too late to be spoken of now, but not forgotten
    play.send(1_000)
    play.at(12_500)
    play.caller_says("So where is it?")
    assert "On its way." in str(play.all(AskModel)[-1].messages)


def test_a_failed_tool_is_marked_as_failed():
    play = asked_for_tools()

    play.feed(answer(play, "The request failed.", failed=True))

    result = play.all(AskModel)[-1].messages[-1]["content"][0]
    assert (result["content"], result["is_error"]) == ("The request failed.", True)


def test_text_of_a_reply_from_before_the_tool_is_not_taken_for_the_new_one():
    play = asked_for_tools()
    before = generation(play)
    play.feed(answer(play))

    play.feed(ModelText(play.t, before, "Old words."))
    play.feed(ModelDone(play.t, before))

    assert "Old words." not in play.spoken


def test_a_caller_who_hangs_up_during_a_tool_ends_the_call():
    play = asked_for_tools()

    play.feed(CallerGone(play.t))
    asked = len(play.all(AskModel))
    play.feed(answer(play))

    assert play.machine.over
    assert len(play.all(AskModel)) == asked


def test_two_tools_at_once_are_one_message_each_way():
    history = History(Play(inbound=True).machine.call)
    history.add(SpokenTurn(1, "caller", "Both?", 0, 1))
    calls = [ToolCall(f"toolu_{n}", "check_order", {"order": str(n)}) for n in (1, 2)]
    history.add_tools([ToolResult(call, Outcome("Fine.")) for call in calls])

    messages = history.messages()

    assert [(m["role"], len(m["content"])) for m in messages[1:]] == [("assistant", 2), ("user", 2)]


def test_the_tag_of_older_prompts_sends_a_text_and_is_not_spoken():
    play = Play(inbound=True, tools=(tool(),))
    play.open()
    play.send(1_000)
    play.at(2_600)
    play.caller_says("Text me the address.")
    play.model_says("It is on its way. [SEND_SMS: 12 High Street, London] Anything else?")
    play.send(800, 800)
    [use] = play.all(UseTools)
    sent = Outcome("The text is on its way.")
    play.feed(ToolsDone(play.t, use.generation, (ToolResult(use.calls[0], sent),)))
    play.at(7_000)
    play.caller_says("No, thank you.")

    assert play.spoken[1:] == ["It is on its way.", "Anything else?"]
    assert (use.calls[0].name, use.calls[0].arguments) == (
        "send_sms",
        {"text": "12 High Street, London"},
    )
    assert len(play.all(AskModel)) == 2
    assert "The text is on its way." in str(play.all(AskModel)[-1].messages)
