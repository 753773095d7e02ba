"""The first words of a call, and the lines that say who is speaking and why."""

import re

from sandbox.model.facts import overlap
from sandbox.model.grammar import Task, second_person
from sandbox.model.phrasing import Phrasing
from sandbox.model.prompt import Note, Prompt
from sandbox.model.values import spoken_date, today_in
from sandbox.model.words import capitalised, decapitalised, full_stop

_BOOKED = re.compile(
    r"\b(?:appointment|booking|booked|visit|reservation|meeting|delivery|"
    r"session|viewing|"
                     r"inspection|table|check-?up|cleaning|class|lesson|"
                     r"interview)\b", re.I)  # fmt: skip
_OFFERS = {
    "invite", "offer", "sell", "promote", "renew", "recommend", "suggest", "propose", "present",
}  # fmt: skip
_TELLS = {
    "tell", "inform", "let", "notify", "update", "warn", "alert", "thank", "follow", "discuss",
    "explain", "announce", "remind", "check", "report", "congratulate", "review", "welcome",
}  # fmt: skip


def opening(prompt: Prompt, say: Phrasing) -> list[str]:
    """Greeting and introduction, the reason of the call, a dated note if one fits, one question."""
    first_name = prompt.caller.split(" ")[0]
    hello = say("hello_name", name=first_name) if first_name else say("hello")
    parts = [f"{hello}, {decapitalised(_introduction(prompt, say))}."]
    if not prompt.tasks and not prompt.purpose:
        return [*parts, say("how_help")]
    parts.append(purpose_line(prompt, say))
    if note := fitting_note(prompt):
        parts.append(recall(note, prompt, say))
    return [*parts, first_question(prompt, say)]


def who_line(prompt: Prompt, say: Phrasing) -> str:
    """ "This is Ada, the assistant of …"."""
    return capitalised(f"{_introduction(prompt, say)}.")


def _introduction(prompt: Prompt, say: Phrasing) -> str:
    return say("this_is", who=prompt.who) if prompt.who else say("nobody")


def purpose_line(prompt: Prompt, say: Phrasing) -> str:
    """Why we call, in the second person."""
    told = [task for task in prompt.tasks if not is_plain_question(task)]
    if told:
        return f"{say('calling_to', what=' and '.join(t.statement for t in told[:3]))}.".replace(
            "..", "."
        )
    if prompt.tasks:
        several = sum(len(task.slots) for task in prompt.tasks) > 1
        return say("few_questions" if several else "quick_question")
    if prompt.purpose:
        what = second_person(prompt.purpose[0], prompt.caller.split(" ")[0] or None)
        return full_stop(say("calling_about", what=decapitalised(what)))
    return say("how_help")


def is_plain_question(task: Task) -> bool:
    """Whether a task is said best by asking it."""
    if task.verb == "qualify":
        return bool(task.slots)
    return task.verb in ("ask", "find", "learn", "see", "determine", "establish") and bool(
        task.slots
    )


def first_question(prompt: Prompt, say: Phrasing) -> str:
    """The one question an opening ends with."""
    verbs = [task.verb for task in prompt.tasks]
    slots = [
        slot
        for task in prompt.tasks
        if task.verb not in ("confirm", "verify")
        for slot in task.slots
    ]
    if slots:
        return slots[0].question
    if not prompt.tasks:
        return say("good_time")
    said = " ".join(task.statement for task in prompt.tasks)
    if verbs[0] in ("confirm", "verify"):
        return say("confirm_it")
    if verbs[0] == "remind" and _BOOKED.search(said):
        return say("suits")
    if _OFFERS & set(verbs):
        return say("come")
    if {"book", "schedule", "arrange", "reschedule"} & set(verbs):
        return say("which_day")
    return say("any_questions" if _TELLS & set(verbs) else "good_time")


def fitting_note(prompt: Prompt, question: str = "") -> Note | None:
    """The earlier note that a question, or else this call's purpose, is about; None without one.

    Of equal ones the first: notes come newest first.
    """
    aim = question or " ".join([*(task.statement for task in prompt.tasks), *prompt.purpose])
    booked = bool(_BOOKED.search(aim))
    scored = [
        (overlap(note.text, aim) + (booked and bool(_BOOKED.search(note.text))), -index)
        for index, note in enumerate(prompt.notes)
        if note.tells
    ]
    best = max(scored, default=(0, 0))
    return prompt.notes[-best[1]] if best[0] > 0 else None


def recall(note: Note, prompt: Prompt, say: Phrasing) -> str:
    """What an earlier conversation recorded and when; never as something done now."""
    said, quoted = note.text, ""
    name = prompt.caller.split(" ")[0] or None
    if found := re.match(r"(.{2,60}? said): (.+)", said):
        said, quoted = found[1], f": {found[2]}"
    if prompt.caller and " " in prompt.caller:
        said = said.replace(prompt.caller, name or "")
    said = re.sub(
        r"^(?:The )?(?:[Cc]aller|Customer|Client|Patient|Guest)\s+(?=[a-z])", "You ", said
    )
    said = decapitalised(second_person(re.sub(r"^You\b", "they", said), name)) + quoted
    if re.match(r"[a-z]+ed\b|wanted\b|said\b|made\b|chose\b", said):
        said = f"you {said}"
    today = today_in(prompt.text)
    if not said.startswith("you "):
        if note.date:
            return full_stop(say("my_note", date=spoken_date(note.date), what=note.text))
        return full_stop(say("my_note_undated", what=note.text))
    if today and note.date == today.isoformat():
        return full_stop(say("earlier_today", what=said))
    if note.date:
        return full_stop(say("earlier", date=f"on {spoken_date(note.date)}", what=said))
    return full_stop(say("earlier_undated", what=said))
