"""Machines that answer the telephone: voicemail, a menu, a call-screening assistant."""

from sandbox import journal

from .manners import friendly
from .person import Person
from .phone import Phone
from .tones import beep

_MESSAGE_END_S, _NO_MESSAGE_S, _LONGEST_MESSAGE_S = 4.0, 10.0, 60.0


async def voicemail(person: Person, phone: Phone) -> None:
    """Greets, beeps and records: hangs up 4 s after the message ends, or 10 s without one.

    The message goes to the journal as ``voicemail_left`` with its text and its length in seconds.
    """
    await phone.pause(0.5)
    await phone.say(
        f"Hi, you've reached {person.life.name}. I can't take your call right now. "
        "Please leave a message after the tone."
    )
    await phone.pause(0.4)
    phone.line.say(beep())
    await phone.line.said()
    phone.heard_since()
    began, spoken = phone.now, phone.other_spoke_s
    try:
        while phone.now - began < _LONGEST_MESSAGE_S:
            limit = _MESSAGE_END_S if phone.other_spoke_s > spoken else _NO_MESSAGE_S
            if not phone.other_speaking and min(phone.quiet_s, phone.now - began) > limit:
                break
            await phone.pause(0.2)
    finally:
        await phone.understand_rest()
        journal.note(
            "voicemail_left",
            call_sid=getattr(phone.line, "call_sid", None),
            number=phone.line.number,
            text=phone.heard_since(),
            seconds=round(phone.other_spoke_s - spoken, 1),
        )


_MENU = (
    "Thank you for calling Northgate Clinic. For appointments, press 1. "
    "For opening hours, press 2. To speak to the front desk, press 0."
)


async def menu(person: Person, phone: Phone) -> None:
    """A menu obeyed with touch-tones: 1 and 0 reach a human, 2 tells the hours, 9 repeats."""
    await phone.pause(0.5)
    for _ in range(3):
        seen = len(phone.keys)
        await phone.say(_MENU, wait=False)
        # A key stops the announcement, as everywhere.
        if not await phone.until(lambda seen=seen: len(phone.keys) > seen, 16.0):  # type: ignore[misc]
            continue
        phone.line.stop_saying()
        key = phone.keys[seen]
        journal.note(
            "menu_key",
            call_sid=getattr(phone.line, "call_sid", None),
            number=phone.line.number,
            key=key,
        )
        match key:
            case "1" | "0":
                desk = "the appointments team" if key == "1" else "the front desk"
                await phone.say(f"Please hold while I connect you to {desk}.")
                await phone.pause(2.0)
                phone.heard_since()
                phone.voice = person.second_voice
                await friendly(person, phone)
                return
            case "2":
                await phone.say("We are open from eight to six, Monday to Friday.")
            case "9":
                pass
            case _:
                await phone.say("Sorry, that is not a valid option.")
    await phone.say("Goodbye.")


async def screening(person: Person, phone: Phone) -> None:
    """Asks who is calling and why; puts the person on when an answer came."""
    await phone.pause(0.4)
    await phone.say(
        "Hi, the person you are calling is using a call assistant. "
        "Please state your name and why you're calling."
    )
    phone.heard_since()
    if not await phone.turn(8.0):
        await phone.say("Nobody spoke. Goodbye.")
        return
    await phone.say("Thank you. Please stay on the line.")
    await phone.pause(2.0)
    phone.heard_since()
    phone.voice = person.second_voice
    await friendly(person, phone)
