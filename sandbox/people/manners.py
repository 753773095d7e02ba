"""The ways people behave on the telephone. Each takes the person and their phone.

Returning means hanging up; ``CallOver`` from the phone ends any of them.
"""

from .person import Person
from .phone import PATIENCE_S, Phone
from .script import Reply, Script

_LINGER_S = 4.0
BREAKS_IN_AFTER_S = 2.5


async def friendly(person: Person, phone: Phone) -> None:
    """Answers with hello, then replies to what is said until somebody says goodbye."""
    if not person.say and not person.called:
        await phone.pause(0.3)
        await phone.say("Hello?")
    await _converse(person, phone, Script(person.life, [*person.say, *person.opening]))


async def _converse(person: Person, phone: Phone, script: Script) -> None:
    unanswered = 0
    breaks_in = bool(person.interrupts)
    while True:
        if breaks_in and not script.opening:
            breaks_in = False
            await _break_in(phone, person.interrupts)
        heard = await phone.turn(person.patience_s)
        if not heard:
            unanswered += 1
            if unanswered > 2:
                await phone.say("I can't hear anybody. Goodbye.")
                return
            await phone.say("Hello? Is anybody there?" if unanswered == 1 else "Hello?")
            continue
        unanswered = 0
        reply = script.reply(heard)
        await _speak(person, phone, reply)
        if reply.ends:
            await phone.until(lambda: phone.down, _LINGER_S)
            return


async def _speak(person: Person, phone: Phone, reply: Reply) -> None:
    """Say it in one go, or with a slow person's pauses in the middle of the sentence."""
    if not person.hesitates:
        await phone.say(reply.text)
        return
    words = reply.text.split()
    pieces = [" ".join(words[i : i + 3]) for i in range(0, len(words), 3)]
    for n, piece in enumerate(["Well,", *pieces] if len(pieces) > 1 else pieces):
        if n:
            await phone.pause(1.0)
        await phone.say(piece, speed=0.8)


async def _break_in(phone: Phone, sentence: str) -> None:
    """Speak into the next thing that is heard, and answer only what comes after that."""
    began = phone.other_spoke_s
    await phone.until(lambda: phone.other_spoke_s - began >= BREAKS_IN_AFTER_S)
    await phone.say(sentence)
    await phone.until(lambda: not (phone.other_speaking or phone.hearing_pending), 1.0)
    phone.heard_since()


async def talks_over(person: Person, phone: Phone) -> None:
    """Breaks in one second into the first thing the other side says."""
    await phone.pause(0.3)
    await phone.say("Hello?")
    phone.heard_since()
    began = phone.other_spoke_s
    await phone.until(lambda: phone.other_spoke_s - began >= 1.0)
    await phone.say("Sorry, can I stop you there? I only have a minute.")
    await _converse(person, phone, Script(person.life, [*person.say, *person.opening]))


async def backchannels(person: Person, phone: Phone) -> None:
    """Says mm-hmm every few seconds while the other side talks, then replies like anybody."""
    await phone.pause(0.3)
    await phone.say("Hello?")
    script = Script(person.life, [*person.say, *person.opening])
    sounds = ["Mm-hmm.", "Right.", "Uh-huh."]
    next_at = phone.other_spoke_s + 1.5
    while True:
        turn_over = await phone.until(lambda: phone.turn_over, 0.1)
        if not turn_over:
            if phone.other_speaking and phone.other_spoke_s >= next_at:
                next_at = phone.other_spoke_s + 2.5
                sounds.append(sounds.pop(0))
                await phone.say(sounds[-1], wait=False)
            elif phone.quiet_s > 15:
                return
            continue
        reply = script.reply(phone.heard_since())
        await phone.say(reply.text)
        if reply.ends:
            await phone.until(lambda: phone.down, _LINGER_S)
            return


async def hangs_up_at_once(person: Person, phone: Phone) -> None:
    """Picks up and puts down."""
    await phone.pause(0.4)


async def says_nothing(person: Person, phone: Phone) -> None:
    """Stays on the line without a word."""
    await phone.until(lambda: phone.down)


async def wants_a_human(person: Person, phone: Phone) -> None:
    """Asks for a real person, once more when they are fobbed off, then waits to be put through."""
    await phone.pause(0.3)
    await phone.say("Hello?")
    again = "I'd rather talk to a human, please."
    opening = [*person.say, "Can I speak to a real person, please?", again]
    await _converse(person, phone, Script(person.life, opening))


async def takes_transfers(person: Person, phone: Phone) -> None:
    """A colleague: hears out a whisper, where there is one, and then has time for the caller."""
    if await phone.until(lambda: phone.other_speaking, 2.0):
        await phone.turn(PATIENCE_S)
    await phone.say(f"This is {person.life.first}. Go ahead.")
    await _converse(person, phone, Script(person.life, [*person.say, *person.opening]))


async def refuses_further_calls(person: Person, phone: Phone) -> None:
    """Wants to be left alone, says so, and hangs up after the answer."""
    await phone.pause(0.3)
    await phone.say("Hello?")
    await phone.turn(PATIENCE_S)
    for line in person.say or ("Please don't call me again.",):
        await phone.say(line)
        await phone.turn(PATIENCE_S)
    await phone.say("Goodbye.")
    await phone.until(lambda: phone.down, _LINGER_S)
