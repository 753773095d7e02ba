"""What a system prompt says: who speaks, why, which facts, which rules, which action tags."""

import re
from dataclasses import replace

from sandbox.model.grammar import MANNER, Task, clauses, list_slots, second_person, task_from
from sandbox.model.prompt import Note, Prompt, Rule
from sandbox.model.words import capitalised, decapitalised, full_stop, sentences

_HEADING = re.compile(r"^\s*(?:#{1,6}\s*(.+?)\s*#*|={2,}\s*(.+?)\s*={2,}|\*\*(.+?):?\*\*:?|"
                      r"<([a-zA-Z_]+)>|([A-Z][A-Z0-9 '&/()-]{3,60}):?|"
                      r"([A-Z][\w '’/-]{2,50}):)\s*$")  # fmt: skip
_LABELLED = re.compile(r"^\s*(?:[-*•]\s*)?([A-Za-z][\w '’/()-]{1,48}?)\s*:\s+(\S.*)$")
_PURPOSE = re.compile(
    r"^(?:the )?(?:task|mission|aim)$|\b(?:purpose|reason for (?:the|this|your) call|your "
    r"task|objective|goal|why (?:you are|you're)"
    r" calling|call prompt|campaign prompt|instructions? for this call)\b", re.I)  # fmt: skip
_NOTES = re.compile(
    r"\b(?:history|previous|past|earlier|caller context|on file|what you (?:already )?know|memory|"
    r"notes|last (?:call|time|contact))\b", re.I)  # fmt: skip
_MANNER = re.compile(
    r"\b(?:rules?|how to (?:speak|sound|talk)|style|never|action tags?|tags?|guidelines?|"
    r"speaking|tone|"
    r"voicemail|ending|language|examples?|goes wrong|manner|format|phone call rules|phone menus?|"
    r"interruptions?|safety|compliance|tools)\b", re.I)  # fmt: skip
_LIVE_KEYS = re.compile(
    r"^(?:call[_ ]direction|direction|call[_ ]id|agent[_ ]id|caller[_ ]phone|"
    r"business[_ ]phone|channel|"
    r"caller(?:'s)?[_ ](?:number|phone).*|your[_ ]number|their number|number (?:called|dialled).*|"
    r"upcoming[_ ]days|next 7 days|tomorrow|time ?zone|timezone|current.*|today.*|language|"
    r"time(?: when.*)?|date)$",
    re.I,
)
_OUR_KEYS = re.compile(
    r"\b(?:hours|address|parking|phone|telephone|e-?mail|website|menu|services?|prices?|location|"
    r"team|owner|fees?|delivery|policy|insurance|payment|opening times)\b", re.I)  # fmt: skip
_CONDITION = re.compile(
    r"^(?:if|when|whenever|once|should|in case)\s+(.+?)(?:,\s*(?:then\s+)?|\s+then\s+|:\s+)(.+)$",
    re.I | re.S,
)
_CONDITION_AFTER = re.compile(  # but not "ask if …"
    r"(?!.*?\b(?:ask|ask \w+|out|see|check|confirm|know|learn|verify|determine|establish|ask "
    r"the \w+)\s+(?:if|when)\b)"
    r"^(.+?)\s+(?:if|when|whenever)\s+((?:the |a |they|he|she|some|asked|you).+)$",
    re.I,
)
_SAYING = re.compile(
    r"^(?:(?:you (?:can|may|should|must) )?(?:always )?(?:tell|inform|let|remind|explain "
    r"to)\s+(?:them|him|her|"
    r"(?:the |all |any )?\w+)(?:\s+know)?|say|mention|explain|state|answer|"
    r"reply)\s*(?:that\s+|:\s*|,\s*)"
    r"(.+)$", re.I)  # fmt: skip
_IDENTITY = re.compile(
    r"^(?:you are|you're|you will be|act as|your name is|vous êtes|tu es|eres|usted es|du "
    r"bist|sie sind)\s+(.+)$",
    re.I,
)
_BUSINESS_KEY = re.compile(
    r"^(?:business|company|organi[sz]ation|clinic|restaurant|shop|practice)(?: name)?$", re.I
)
_AGENT_KEY = re.compile(r"^(?:agent|assistant|your)(?: name)?$", re.I)
_CALLER_KEY = re.compile(
    r"^(?:the )?(?:(?:caller|customer|client|patient|recipient|contact|first|full|guest|"
    r"person|lead|member)"
    r"(?:'s)?[_ ]?)?(?:first[_ ]|full[_ ])?name$", re.I)  # fmt: skip
_NAME_ON_FILE = re.compile(
    r"(?:name on file[^\"“.]*?(?:is|:)\s*[\"“]?|(?:speaking|talking) (?:to|with)\s+|"
    r"\b(?:caller|customer|client|patient)(?:'s name)? is (?:called )?|\bcalling (?=[A-Z]\w+ "
    r"(?:to|about)\b)|"
    r"^Name:\s*)([A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?)", re.M)  # fmt: skip
_INLINE_PURPOSE = re.compile(
    r"([.!?])\s+(?=(?:call purpose|(?:purpose of|reason for) (?:this|the|your) call|your task|"
    r"task|goal|objective)\s*:)",
    re.I,
)
_JUST_CALL = ("call you", "ring you", "phone you", "contact you")
# "Take bookings: ask for their name …" is a condition with what to do then.
_TOPIC = re.compile(r"^((?:\w+ ){0,2}\w+):\s+((?:ask|collect|get|take|offer|note)\b.+)$", re.I)
_OF_THE_CALL = re.compile(
    r"(?:today|it|the (?:current )?(?:date|time)|the (?:call|line)) is\b", re.I
)
_NO_PURPOSE = re.compile(r"\W*(?:nothing|none|no (?:special )?purpose|n/?a)\b", re.I)
_GIVEN = re.compile(r"\b(?:details|variables|recipient|customer|caller)\b", re.I)
_NOBODY = re.compile(r"the (?:\w+ )?(?:ai |voice |phone |virtual )*(?:assistant|agent)", re.I)


def read_prompt(text: str, *, outbound: bool = False) -> Prompt:
    """Read a system prompt of any layout: headings, labelled lines, bullets or plain prose.

    A prompt without a named purpose may still carry one in its plain instructions ("Remind the
    caller …"); they are taken for the call's purpose only when the call is ``outbound``.
    """
    prompt = Prompt(text)
    section = ""
    for line in _INLINE_PURPOSE.sub(r"\1\n", text).splitlines():
        heading = _HEADING.match(line)
        title = next((group for group in heading.groups() if group), "") if heading else ""
        if title and not re.fullmatch(r"you are .*", title, re.I):
            section = title
            continue
        line = re.sub(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+|</?\w+>", "", line).strip().strip("*")
        if line and not line.startswith("[") and not re.fullmatch(r"[-=_]{3,}", line):
            _read_line(prompt, line, section)
    if found := _NAME_ON_FILE.search(text):
        prompt.caller = prompt.caller or found[1]
    if outbound and not prompt.purpose:
        prompt.purpose = list(prompt.loose)
        prompt.asks = []
    _read_tasks(prompt)
    return prompt


def _read_line(prompt: Prompt, line: str, section: str) -> None:
    labelled = _LABELLED.match(line)
    label, value = (labelled[1].strip(), labelled[2].strip()) if labelled else ("", "")
    if label and _PURPOSE.search(label):
        prompt.purpose += sentences(value)
    elif label and _LIVE_KEYS.match(label.replace("_", " ")):
        return
    elif label and _AGENT_KEY.match(label):
        prompt.agent = value.rstrip(".")
    elif label and _BUSINESS_KEY.match(label):
        prompt.business = value.rstrip(".")
    elif label and _CALLER_KEY.match(label):
        found = re.match(r"[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*", value)
        prompt.caller = prompt.caller or (found.group() if found else "")
        rest = value[found.end() :].lstrip(". ") if found else ""
        if rest:
            _read_line(prompt, rest, section or "history")
    elif _PURPOSE.search(section):
        if not _NO_PURPOSE.match(line):
            prompt.purpose += sentences(line)
    elif _NOTES.search(section) or (label and _NOTES.search(label)):
        _read_note(prompt, value if label and _NOTES.search(label) else line)
    elif re.search(r"\bexamples?\b", section, re.I):
        return
    elif label and not re.match(r"(?:if|when|you|ask|collect|say)\b", label, re.I):
        _read_labelled_fact(prompt, label, value, section)
    else:
        for sentence in sentences(line):
            _read_sentence(prompt, sentence, section)


def _read_note(prompt: Prompt, line: str) -> None:
    if re.search(
        r"\b(?:greet|use the|never|do not|don't|background|RETURNING|name on file)\b", line
    ):
        return
    date = re.search(r"\d{4}-\d{2}-\d{2}", line)
    bare = re.sub(
        r"^\W*\d{4}-\d{2}-\d{2}(?:[T ][\d:]+(?:Z| UTC)?)?\s*(?:\([^)]*\))?\s*[:,–—-]*\s*", "", line
    )
    bare = re.sub(
        r"^(?:\w+ )?(?:call|sms|text|summary|source)\b[^:]{0,20}:\s*", "", bare, flags=re.I
    )
    # A text of theirs or ours is one note, however many sentences it has.
    parts = [bare] if bare.startswith("“") else sentences(bare)
    prompt.notes += [Note(part, date.group() if date else None) for part in parts]


def _read_labelled_fact(prompt: Prompt, label: str, value: str, section: str) -> None:
    if _MANNER.search(label) or _MANNER.search(section) or re.search(r"\[[A-Z_]{3,}", value):
        for sentence in sentences(value):
            _read_sentence(prompt, sentence, section)
        return
    if task_from(value):
        prompt.rules.append(Rule(label, value.rstrip(".")))
        return
    first, *rest = sentences(value)
    name = label.replace("_", " ")
    if "_" in label or name == name.upper():
        name = name.lower()
    is_sentence = (
        re.search(r"\b(?:is|are|we|can|have|has|offer|accept|takes?)\b", first)
        and len(first.split()) > 4
    )
    if is_sentence:
        fact = full_stop(first)
    else:
        plural = name.endswith("s") and not name.endswith(("ss", "us", "address"))
        owner = (
            "Our "
            if _OUR_KEYS.search(name)
            else ("Your " if _GIVEN.search(section) else "The " if "_" in label else "")
        )
        named = decapitalised(name) if owner else name
        named = named if owner else capitalised(named)
        fact = full_stop(f"{owner}{named} {'are' if plural else 'is'} {first}")
    prompt.facts.append(fact)
    for sentence in rest:
        _read_sentence(prompt, sentence, section)


def _read_sentence(prompt: Prompt, sentence: str, section: str) -> None:
    if found := _IDENTITY.match(sentence):
        _read_identity(prompt, found[1], sentence)
        return
    if found := _CONDITION.match(sentence) or _TOPIC.match(sentence):
        prompt.rules.append(Rule(found[1], found[2].rstrip(".")))
        return
    if (found := _CONDITION_AFTER.match(sentence)) and _imperative(sentence):
        prompt.rules.append(Rule(found[2].rstrip("."), found[1]))
        return
    if re.search(r"\[[A-Z_]{3,}", sentence):
        return
    if (found := _SAYING.match(sentence)) and not _MANNER.search(section):
        told = found[1]
        if re.search(r"\b(?:they|them|their)\b", told):
            told = second_person(told)
        prompt.facts.append(full_stop(capitalised(told)))
        if re.match(r"(?:tell|inform|let|remind)", sentence, re.I):
            prompt.loose.append(sentence)
    elif _imperative(sentence) or re.match(r"(?:you|your)\b", sentence, re.I):
        if task := task_from(sentence):
            if _MANNER.search(section):
                return
            if sentence.split()[0].lower() not in MANNER:
                prompt.loose.append(sentence)
            for clause in clauses(sentence):
                one = task_from(clause)
                prompt.asks += one.slots if one else ()
            if task.verb in ("book", "schedule", "qualify") and not task.slots and ":" in sentence:
                prompt.asks += list_slots(sentence.split(":", 1)[1])
        if found := re.match(r"your ((?:\w+ ){1,3}(?:is|are) .+)", sentence, re.I):
            prompt.facts.append(full_stop(f"Our {found[1]}"))
    elif not _MANNER.search(section) and not _OF_THE_CALL.match(sentence):
        if len(sentence.split()) <= 2 or sentence.endswith(":"):
            return
        prompt.facts.append(full_stop(sentence))


def _imperative(sentence: str) -> bool:
    first = re.match(r"[\w']+", sentence.lower())
    return bool(first) and (first.group() in MANNER or task_from(sentence) is not None)  # type: ignore[union-attr]


def _read_identity(prompt: Prompt, rest: str, sentence: str) -> None:
    calling = re.search(
        r"^((?:phoning|calling)\b.*?\bto .+|.*?\b((?:calling|phoning)\b.*?\bto .+))$", rest, re.I
    )
    if calling:
        prompt.purpose.append(f"You are {calling[2] or rest}")
        rest = rest[: calling.start(2)] if calling[2] else ""
    elif found := re.match(
        r"(?:calling|phoning)\b.*?\b(?:on behalf of|for|from)\s+(.+?)\W*$", rest, re.I
    ):
        prompt.who = prompt.who or f"an automated assistant calling for {found[1]}"
        return
    rest = re.split(
        r"[.!?](?:\s|$)|\b(?:who|that|and you|and your|whose|which|speaking|talking|making)\b|"
        r"\s+-\s+|;",
        rest,
    )[0]
    rest = rest.strip().rstrip(",").removesuffix(" and").strip()
    if not rest or prompt.who:
        return
    name = re.match(
        r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*(?=$|,| (?:of|at|for|from|with|the|a|an)\b)", rest
    )
    if name:
        prompt.agent = name.group()
        role = rest[name.end() :].strip(", ")
        role = _plain_role(role)
        joined = f" {role}" if re.match(r"(?:of|at|for|from|with)\b", role) else f", {role}"
        prompt.who = prompt.agent + (joined if role else "")
    elif re.match(r"(?:a|an|the|our)\b", rest, re.I):
        role = _plain_role(rest)
        prompt.who = "" if _NOBODY.fullmatch(role) else role
    if found := re.search(r"\b(?:of|at|for|from|with)\s+((?:the )?[A-Z].+)$", rest):
        prompt.business = prompt.business or re.split(r",", found[1])[0].strip()


def _plain_role(role: str) -> str:
    """ "a friendly receptionist at …" as the speaker says it: "the receptionist at …"."""
    role = re.sub(
        r"\b(?:very|friendly|helpful|polite|professional|warm|kind|patient|concise|cheerful|calm|"
        r"courteous|efficient|empathetic|energetic|"
        r"experienced)\b,?\s*(?:and\s+)?", "", role, flags=re.I)  # fmt: skip
    return re.sub(r"^(?:a|an)\s+", "the ", role.strip(), flags=re.I)


def _read_tasks(prompt: Prompt) -> None:
    if prompt.agent and not prompt.who:
        prompt.who = prompt.agent
    if prompt.business and prompt.business not in prompt.who:
        prompt.who = f"{prompt.who} from {prompt.business}" if prompt.who else prompt.business
    kept: list[str] = []
    name = prompt.caller.split(" ")[0] if prompt.caller else None
    for sentence in prompt.purpose:
        if found := _CONDITION.match(sentence):
            prompt.rules.append(Rule(found[1], found[2].rstrip(".")))
            continue
        made: list[Task] = []
        for clause in clauses(sentence):
            if found := _CONDITION_AFTER.match(clause):
                prompt.rules.append(Rule(found[2].rstrip("."), found[1]))
            elif (task := task_from(clause, name)) and task.statement not in _JUST_CALL:
                made.append(task)
        if made:
            prompt.tasks += made
            prompt.facts += [
                full_stop(found[1][:1].upper() + found[1][1:])
                for task in made
                if (
                    found := re.match(
                        r"(?:tell|inform|let) you (?:know )?(?:that )?(\S+ \S+ .+)", task.statement
                    )
                )
                and " about " not in found[0][:20]
            ]
        elif not _imperative(sentence):
            kept.append(sentence)
            if len(sentence.split()) > 2 and not sentence.lower().startswith("you "):
                prompt.facts.append(full_stop(sentence))
    prompt.purpose = kept
    if sum(bool(task.slots) for task in prompt.tasks) > 1:
        prompt.tasks = [
            replace(task, slots=()) if task.verb == "survey" else task for task in prompt.tasks
        ]
