"""One reply for one request: what is asked decides which small engine writes it."""

import json
import re
from typing import Any

from sandbox.model import extraction, summary, tools
from sandbox.model.conversation import instructions, read_turns
from sandbox.model.dialogue import Dialogue
from sandbox.model.prompt import spoken_language
from sandbox.model.prompt_reader import read_prompt
from sandbox.model.reply import Reply
from sandbox.model.transcript import read_transcript


def reply_to(body: dict[str, Any]) -> Reply:
    """The simulated model's answer to a valid ``/v1/messages`` request; the same each time."""
    if body["max_tokens"] == 0:
        return Reply("")
    text = instructions(body)
    turns = read_turns(body["messages"])
    if len(turns) > 2 and re.search(r"\bcut off\b", turns[-1].note, re.I):
        return _rest_of(turns[-2].raw, reply_to({**body, "messages": body["messages"][:-2]}))
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        return Reply(json.dumps(extraction.extract(wanted["schema"], text, turns)))
    transcript = read_transcript(turns)
    if (
        len(turns) == 1
        and len(transcript.lines) > 1
        and re.search(r"\bsummar", text + turns[0].raw, re.I)
    ):
        return Reply(summary.of(transcript.lines))
    prompt = read_prompt(text, outbound=_is_outbound(text, turns[0].note))
    said = " ".join(turn.text for turn in turns if turn.speaker == "caller")
    language = prompt.language if prompt.language != "en" else spoken_language(said)
    dialogue = Dialogue(prompt, turns, language)
    choice = body.get("tool_choice") or {"type": "auto"}
    offered = body.get("tools") if choice["type"] != "none" else None
    if offered and (reply := tools.use(offered, choice, dialogue)):
        return reply
    return Reply(dialogue.reply() or dialogue.say("not_understood"))


def _rest_of(said: str, reply: Reply) -> Reply:
    """What is left of a reply of which ``said`` was heard already; all of it if it is another."""
    return Reply(reply.text.removeprefix(said).strip(), reply.tools)


def _is_outbound(text: str, note: str) -> bool:
    """Whether we rang: the prompt says so, or the first message says that our call was answered."""
    if re.search(r"direction:?\W+inbound|\binbound call\b", text, re.I):
        return False
    said = (
        r"direction:?\W+outbound|\boutbound call\b|"
        r"\byou(?:'re| are)(?: \w+,?)? (?:calling|phoning)\b"
    )
    return bool(re.search(said, text, re.I) or re.search(r"\banswered\b|picked up", note, re.I))
