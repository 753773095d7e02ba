"""When to use a tool, with which arguments, and how to speak of what it answered."""

import json
import re
from typing import Any

from sandbox.model import moves, values
from sandbox.model.conversation import same_call
from sandbox.model.dialogue import Dialogue
from sandbox.model.extraction import fill
from sandbox.model.phrasing import norm
from sandbox.model.reply import Reply, ToolUse
from sandbox.model.results import free_days, speak, spoken_moment
from sandbox.model.transcript import Line, Transcript
from sandbox.model.words import content_stems, sentences, topic_stems

_NOT_A_WISH = (moves.OPT_OUT, moves.HUMAN, moves.ROBOT, moves.REPEAT, moves.WRONG_NUMBER)
_WHOLE_SENTENCE = re.compile(
    r"\b(?:query|question|reason|message|notes?|summary|request|description|details|topic|"
    r"subject|issue)\b"
)
_CODE = re.compile(r"\b(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b")
_DOING = {"book", "schedule", "reschedule", "cancel", "order"}
_NAME_NOISE = content_stems(
    "a tool function use when caller customer wants asks get given returns return the list "
    "api call name "
    "phone number id date time string only before after new existing system info information"
)


def use(tools: list[dict[str, Any]], choice: dict[str, Any], dialogue: Dialogue) -> Reply | None:
    """A reply that calls a tool, asks for what a tool needs, or speaks its result; else None."""
    last = dialogue.last
    if last.results:
        if reply := _when_free(tools, dialogue):
            return reply
        said = " ".join(speak(result, dialogue) for result in last.results)
        return Reply(dialogue.say.fresh(said))
    if choice["type"] in ("any", "tool"):
        named = [tool for tool in tools if tool["name"] == choice.get("name")]
        tool = (named or [_best(tools, dialogue) or tools[0]])[0]
        schema = tool["input_schema"]
        return Reply("", [ToolUse(tool["name"], _Arguments(tool, dialogue).forced(schema))])
    heard = last.text
    if putting_through := _transfer(tools, dialogue, heard):
        return putting_through
    if not heard or any(move.search(heard) for move in _NOT_A_WISH) or dialogue.known(heard):
        return None
    if held := _held(dialogue):
        if moves.YES.match(heard):
            return Reply("", [held])
        if changed := _changed(held, tools, dialogue):
            return Reply("", [changed])
        if moves.NO.match(heard) and len(heard.split()) <= 4:
            return Reply(dialogue.say("correct_what"))
    wanted = _best(tools, dialogue) or _due(tools, dialogue)
    if wanted is None:
        return None
    arguments = _Arguments(wanted, dialogue)
    if missing := arguments.missing():
        question = arguments.question(missing[0])
        asked = sum(norm(question) in norm(said) for said in dialogue.agent_said)
        return Reply(f"{_thanks(arguments, dialogue)} {question}".strip()) if asked < 2 else None
    call = ToolUse(wanted["name"], arguments.given)
    done = [old for turn in dialogue.turns for old in turn.calls]
    return None if any(same_call(call, old) for old in done) else Reply("", [call])


def _transfer(tools: list[dict[str, Any]], dialogue: Dialogue, heard: str) -> Reply | None:
    """Put a caller through who asks for a person, where there is a tool for it and no tag."""
    offered = any(tool["name"] == "transfer_call" for tool in tools)
    if not offered or dialogue.prompt.teaches("TRANSFER") or not moves.HUMAN.search(heard):
        return None
    target = dialogue.prompt.transfer_target(heard) or "default"
    return Reply(dialogue.say("transfer"), [ToolUse("transfer_call", {"number": target})])


def _held(dialogue: Dialogue) -> ToolUse | None:
    """The call that was held back until the caller confirms it, and is not settled yet."""
    results = [result for turn in dialogue.turns for result in turn.results]
    if not results:
        return None
    held = re.search(r"\b(?:confirm|needs? a yes|read.?back|pending)", results[-1].text, re.I)
    done = re.search(r"\b(?:confirmed|booked|created|cancelled|success)", results[-1].text, re.I)
    return results[-1].call if held and not done else None


def _changed(held: ToolUse, tools: list[dict[str, Any]], dialogue: Dialogue) -> ToolUse | None:
    """The held call with what the caller says instead of yes; None where nothing is new."""
    tool = next((one for one in tools if one["name"] == held.name), None)
    given = _Arguments(tool, dialogue).given if tool else {}
    new = ToolUse(held.name, {**held.input, **given})
    return None if same_call(new, held) else new


def _best(tools: list[dict[str, Any]], dialogue: Dialogue) -> dict[str, Any] | None:
    """The tool that is wished for now, or whose arguments are being asked."""
    pending = dialogue.agent_said[-1:] or [""]
    for tool in tools:
        arguments = _Arguments(tool, dialogue)
        if any(arguments.was_asked(name, pending[0]) for name in arguments.required):
            return tool
    wish = dialogue.last.text
    if dialogue.say.was_just_said("which_one"):
        wish = f"book an appointment {wish}"
    elif dialogue.say.was_just_said("anything_else") and moves.NO.match(wish):
        return None
    stems = content_stems(wish)
    related = topic_stems(wish)
    best: tuple[float, int] = (0.0, 0)
    for index, tool in enumerate(tools):
        name = content_stems(tool["name"].replace("_", " ").replace("-", " "))
        described = content_stems(tool.get("description", "")) - _NAME_NOISE
        own = 2 * len(name & stems - _NAME_NOISE) + len(described & stems)
        score = own + 0.7 * len(name & related) + 0.3 * len(described & related)
        for values_of in tool["input_schema"].get("properties", {}).values():
            score += 0.5 * bool(_spoken_choice(values_of.get("enum", []), wish))
        best = max(best, (score, -index))
    return tools[-best[1]] if best[0] >= 1.5 else None


def _when_free(tools: list[dict[str, Any]], dialogue: Dialogue) -> Reply | None:
    """After a look at the free times: go on with the booking if the caller's own time is free."""
    try:
        days = free_days(json.loads(dialogue.last.results[-1].text))
    except ValueError:
        return None
    today = values.today_in(dialogue.prompt.text)
    said = " ".join(dialogue.caller_said)
    date = values.iso_day(values.day(said) or "", today)
    time = values.iso_time(values.clock(said) or "")
    booking = next((tool for tool in tools if tool["name"].split("_")[0] in _DOING), None)
    if booking is None or date is None or time not in days.get(date, []):
        return None
    arguments = _Arguments(booking, dialogue)
    if missing := arguments.missing():
        free = dialogue.say("slot_free", when=spoken_moment(date, time))
        return Reply(f"{free} {arguments.question(missing[0])}")
    return Reply("", [ToolUse(booking["name"], arguments.given)])


def _thanks(arguments: "_Arguments", dialogue: Dialogue) -> str:
    """A word for the answer to one of the tool's questions; none for the wish that began it."""
    before = " ".join(dialogue.agent_said[-1:])
    if not any(arguments.was_asked(name, before) for name in arguments.required):
        return ""
    name = values.name(dialogue.last.text)
    say = dialogue.say
    return say("thanks_name", name=name.split(" ")[0]) if name else say("thanks")


def _due(tools: list[dict[str, Any]], dialogue: Dialogue) -> dict[str, Any] | None:
    """The tool that does what the call is for, once the prompt's own questions are answered."""
    if dialogue.agenda.open() or not dialogue.agenda.filled:
        return None
    verbs = {task.verb for task in dialogue.prompt.tasks} & _DOING
    return next((tool for tool in tools if tool["name"].split("_")[0] in verbs), None)


class _Arguments:
    """One tool's arguments as far as the conversation gives them."""

    def __init__(self, tool: dict[str, Any], dialogue: Dialogue) -> None:
        schema = tool["input_schema"]
        self._dialogue = dialogue
        self._properties: dict[str, Any] = schema.get("properties", {})
        self.required: list[str] = [n for n in schema.get("required", []) if n in self._properties]
        self.given: dict[str, Any] = {}
        for name, inner in self._properties.items():
            value = self._read(name, inner)
            if value is not None:
                self.given[name] = value

    def missing(self) -> list[str]:
        """Required arguments that nobody has said yet."""
        return [name for name in self.required if name not in self.given]

    def forced(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Valid arguments at any price: for a call that the request demands."""
        lines = [Line(turn.speaker, turn.text) for turn in self._dialogue.turns if turn.text]
        made = fill(schema, Transcript(lines), self._dialogue.prompt.text)
        return {**(made if isinstance(made, dict) else {}), **self.given}

    def question(self, name: str) -> str:
        """How to ask for an argument."""
        return self._questions(name)[0]

    def was_asked(self, name: str, text: str) -> bool:
        """Whether a text asks for an argument, however much of it was known then."""
        return any(norm(question) in norm(text) for question in self._questions(name))

    def _questions(self, name: str) -> list[str]:
        """The ways to ask for an argument, first the one that fits what is known by now."""
        say = self._dialogue.say
        key = _about(name, self._properties[name])
        if _is_moment(name, self._properties[name]):
            said = " ".join(self._dialogue.caller_said)
            ways = ["which_slot", "which_day", "which_time"]
            known = "which_time" if values.day(said) else "which_day" if values.clock(said) else ""
            return [say.plain(way) for way in sorted(ways, key=lambda way: way != known)]
        if re.search(r"\bday|\bdate\b", key) and "birth" not in key:
            return [say.plain("which_day")]
        if re.search(r"\btime\b|\bstart\b|\bslot\b", key):
            return [say.plain("which_time")]
        own = name.replace("_", " ")
        return [say.plain("tell_me", what=f"your {'email address' if own == 'email' else own}")]

    def _read(self, name: str, schema: dict[str, Any]) -> Any:
        said = self._dialogue.caller_said
        answer = self._answer_to(name)
        # Who says another name later has changed it; of wishes in words the answer counts.
        exact = re.search(r"(?:^|_)(?:name|email|phone)$", name)
        for text in said[::-1] if exact else ([answer] if answer else []) + said[::-1]:
            value = self._from(name, schema, text, text is answer)
            if value is not None:
                return value
        key = _about(name, schema)
        prompt = self._dialogue.prompt
        if (
            re.search(r"\bname\b", key)
            and prompt.caller
            and not re.search(r"business|service", key)
        ):
            return prompt.caller
        if re.search(r"\bphone\b|\bmobile\b", key):
            found = re.search(
                r"(?:caller|customer|their)[^\n]{0,20}(?:number|phone)\D{0,5}(\+\d{7,15})",
                prompt.text,
                re.I,
            )
            return found[1] if found else None
        return None

    def _answer_to(self, name: str) -> str | None:
        turns = self._dialogue.turns
        for before, after in zip(turns[-2::-1], turns[:0:-1], strict=False):
            if before.speaker == "agent" and self.was_asked(name, before.text) and after.text:
                return after.text
        return None

    def _from(self, name: str, schema: dict[str, Any], text: str, is_answer: bool) -> Any:
        key = _about(name, schema)
        if "const" in schema:
            return schema["const"]
        if choices := schema.get("enum"):
            return _spoken_choice(choices, text)
        kind = schema.get("type")
        kind = next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else kind
        if kind in ("integer", "number"):
            near = content_stems(f"{key} people person guests") & content_stems(text)
            number = values.number(text) if is_answer or near else None
            return int(number) if number is not None and kind == "integer" else number
        if kind == "boolean":
            return bool(moves.YES.match(text)) if is_answer else None
        if kind not in ("string", None):
            return None
        return self._string(name, schema, key, text, is_answer)

    def _string(
        self, name: str, schema: dict[str, Any], key: str, text: str, is_answer: bool
    ) -> str | None:
        own = name.replace("_", " ").lower()
        today = values.today_in(self._dialogue.prompt.text)
        day, clock = values.day(text), values.clock(text)
        if _is_moment(name, schema):
            said = " ".join(self._dialogue.caller_said)
            date = values.iso_day(day or values.day(said) or "", today)
            time = values.iso_time(clock or values.clock(said) or "")
            return f"{date}T{time}:00" if date and time else None
        if schema.get("format") == "date" or (
            re.search(r"\b(?:day|date)\b", own) and "birth" not in own
        ):
            return (values.iso_day(day, today) or day) if day else None
        if schema.get("format") == "time" or re.search(r"\b(?:time|slot)\b", own):
            return (values.iso_time(clock) or clock) if clock else None
        if "email" in key or "e-mail" in key:
            return values.email(text)
        if re.search(r"\bphone|\bmobile", own):
            return values.phone(text)
        if re.search(r"\bname$", own):
            short = is_answer and len(values.bare(text).split()) <= 4
            return values.name(text) or (values.bare(text) if short else None)
        if re.search(r"\b(?:id|code|reference|ref|number|uid)$", own):
            found = _CODE.search(text)
            return found.group() if found and len(found.group()) > 2 else None
        if _WHOLE_SENTENCE.search(own):
            telling = max(sentences(text), key=lambda s: len(content_stems(s)), default="")
            return telling if len(content_stems(telling)) > 1 or is_answer else None
        if is_answer:
            return values.bare(text) or None
        if re.search(r"\b(?:city|location|place|town|destination|address|postcode|area)\b", own):
            found = re.search(
                r"\b(?:in|to|for|near|at|from)\s+([A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*)", text
            )
            return found[1] if found and not values.day(found[1]) else None
        return None


def _is_moment(name: str, schema: dict[str, Any]) -> bool:
    return schema.get("format") == "date-time" or bool(
        re.search(r"\bdate[- ]?time\b|\bstart\b", name.replace("_", " ").lower())
    )


def _about(name: str, schema: dict[str, Any]) -> str:
    return f"{name} {schema.get('description', '')}".replace("_", " ").lower()


def _spoken_choice(choices: list[Any], text: str) -> Any:
    said = content_stems(text)
    scored = [
        (len(content_stems(str(choice).replace("_", " ").replace("-", " ")) & said), -index)
        for index, choice in enumerate(choices)
    ]
    best = max(scored, default=(0, 0))
    return choices[-best[1]] if best[0] else None
