"""Booking in mid-call with tools as the product gives them, the writes held back for a yes."""

import json
from typing import Any

from sandbox.model.engine import reply_to

PROMPT = (
    "You are Mia, the assistant of Acme Dental.\n"
    "Today: Sunday, November 22, 2026 (2026-11-22)\n"
    "Direction: outbound (you called them)\n"
    "## PURPOSE OF THIS CALL\nBook the caller's next check-up."
)
HELD = (
    "Held, nothing was written: the caller is being asked to confirm exactly this. When they have "
    "said yes, call book_appointment again with the same arguments."
)
FREE = {"free": {"Wednesday 2026-11-25": ["15:00", "15:30"]}, "time_zone": "Europe/London"}
BOOKING = {"start": "2026-11-25T15:30:00", "name": "Sam Carter", "email": "sam.carter@example.com"}


def tool(name: str, description: str, /, **arguments: str) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in arguments.items()}
    schema = {"type": "object", "properties": properties, "required": [*arguments]}
    return {"name": name, "description": description, "input_schema": schema}


TOOLS = [
    tool(
        "check_availability",
        "See which times are free to book, from a day on.",
        date="First day of interest, as 2026-05-29.",
    ),
    tool(
        "book_appointment",
        "Book a free time. Only once the caller has confirmed the details in this call.",
        start="Date and time as 2026-05-29T10:00.",
        name="Their full name.",
        email="Their email address.",
    ),
]


class Conversation:
    """A call up to now, as a harness holds it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = [
            {"role": "user", "content": "[The call has just been answered. Speak first.]"}
        ]

    def ask(self) -> str | tuple[str, dict[str, Any]]:
        """The model's words, or the tool it wants with its arguments."""
        reply = reply_to(
            {"max_tokens": 400, "system": PROMPT, "messages": self.messages, "tools": TOOLS}
        )
        if not reply.tools:
            self.messages.append({"role": "assistant", "content": reply.text})
            return reply.text
        [use] = reply.tools
        block = {"type": "tool_use", "id": "t1", "name": use.name, "input": use.input}
        self.messages.append({"role": "assistant", "content": [block]})
        return use.name, use.input

    def says(self, text: str) -> str | tuple[str, dict[str, Any]]:
        self.messages.append({"role": "user", "content": text})
        return self.ask()

    def answers(self, content: Any) -> str | tuple[str, dict[str, Any]]:
        """What the tool said; a string is plain words."""
        self.tool_said(content)
        return self.ask()

    def tool_said(self, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        block = {"type": "tool_result", "tool_use_id": "t1", "content": text}
        self.messages.append({"role": "user", "content": [block]})

    def read_back(self, text: str) -> None:
        self.tool_said(HELD)
        self.messages.append({"role": "assistant", "content": text})


def up_to_the_read_back(name: str = "My name is Sam Carter.") -> Conversation:
    call = Conversation()
    assert call.ask() == (
        "Hello, this is Mia, the assistant of Acme Dental. I'm calling to book your next check-up. "
        "Which day would suit you?"
    )
    assert call.says("Wednesday at half-past three would be best for me,") == (
        "check_availability", {"date": "2026-11-25"}
    )  # fmt: skip
    assert call.answers(FREE) == (
        "Wednesday, 25 November at 3:30 pm is free. Could you tell me your name?"
    )
    assert call.says(name) == "Thank you, Sam. Could you tell me your email address?"
    wanted = call.says("It's Sam Dot Carter at example dot com.")
    assert wanted[0] == "book_appointment"
    call.read_back("Just to confirm: shall I book an appointment? Please say yes to confirm.")
    return call


def test_a_free_time_is_booked_once_the_caller_has_said_yes():
    call = up_to_the_read_back()

    assert call.says("Yes, please.") == ("book_appointment", BOOKING)
    assert call.answers({"done": "created", "start": "Wednesday 2026-11-25T15:30"}) == (
        "You're booked for Wednesday, 25 November at 3:30 pm. "
        "Is there anything else I can help you with?"
    )
    assert call.says("No, that's all, thank you.") == "Thank you for your time. Goodbye!"


def test_a_no_is_asked_about_and_another_name_is_proposed_anew():
    call = up_to_the_read_back(name="My name is Sam Barter.")

    assert call.says("No.") == "Sorry about that. What should I change?"
    assert call.says("My name is Sam Carter.") == ("book_appointment", BOOKING)


def test_a_time_that_is_not_free_is_answered_with_those_that_are():
    call = Conversation()
    call.ask()
    call.says("Wednesday at ten in the morning, please.")

    assert call.answers(FREE) == (
        "On Wednesday, 25 November I have 3 pm and 3:30 pm. Which one would suit you?"
    )
