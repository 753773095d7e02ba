"""From an instruction about a person to words said to that person.

"Remind the caller about their appointment" becomes "remind you about your appointment", and
"ask whether they still need it" becomes "Do you still need it?".
"""

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from sandbox.model.words import capitalised

Kind = Literal["name", "day", "time", "email", "phone", "number", "open"]

_ROLE = (
    r"(?:caller|customer|client|patient|person|user|lead|prospect|contact|recipient|guest|member|"
    r"subscriber|tenant|resident|homeowner|owner|donor|voter|candidate|applicant|student|parent|"
    r"driver|travell?er|passenger|attendee|participant|policyholder|borrower|buyer|seller|"
    r"employee|volunteer|shopper|household|individual|respondent|cardholder|graduate|farmer)"
)
_THE = (
    r"(?:(?:the|this|each|every|a|our|all|your)\s+)?(?:(?:returning|existing|new|potential|"
    r"past|loyal|recent|overdue|registered|valued|"
    r"former|prospective|current)\s+)?"
)
_ROLE_PHRASE = re.compile(rf"\b(?:the|this|each|every)\s+(?:\w+\s+)?{_ROLE}\b", re.I)
_PERSON = rf"(?:(?i:them|him|her|people|everyone|{_THE}{_ROLE}s?)|[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?)"
_PERSON_VERBS = (
    "remind|tell|ask|invite|call|inform|notify|update|warn|congratulate|survey|thank|let|help|"
    "offer|give|interview|alert|advise|encourage|convince|welcome|contact|brief|phone|"
    "check in with|follow up with|speak to|speak with|talk to|talk with|check with|confirm with|"
    "verify with|qualify|ring|wish|send|show|persuade|poll|assure|reassure|get"
)
_OBJECT = re.compile(rf"^({_PERSON_VERBS}) {_PERSON}(?![\w'’])")
_FROM = re.compile(r"\bfrom (?:you|me)\b")
_ANSWERABLE = re.compile(
    r"\byour\b|\b(?:names?|e-?mail|numbers?|address|dates?|times?|reason)\b", re.I
)
IMPERATIVES = frozenset({
    "remind", "tell", "ask", "invite", "call", "inform", "notify", "update", "warn",
    "congratulate", "survey", "thank", "help", "offer", "give", "interview", "alert", "advise",
    "encourage", "convince", "contact", "follow", "confirm", "verify", "qualify", "check",
    "find", "collect", "get", "take", "gather", "note", "obtain", "book", "schedule", "arrange",
    "reschedule", "discuss", "explain", "announce", "let", "record", "sell", "promote", "renew",
    "request", "see", "learn", "determine", "establish", "introduce", "present", "recommend",
    "propose", "suggest", "apologise", "apologize", "pitch", "reactivate", "recover", "win",
    "remove", "deliver", "poll", "conduct", "complete", "finish", "review", "mention", "state",
    "say", "report", "speak", "talk", "wish", "assure", "reassure", "make", "set", "cancel",
    "order", "phone", "ring", "persuade", "brief", "show", "send",
})  # fmt: skip
# What shapes the manner of a call and is never its reason.
MANNER = frozenset({
    "be", "keep", "speak", "talk", "use", "never", "always", "do", "don't", "avoid", "reply",
    "respond", "answer", "introduce", "greet", "end", "hang", "stop", "wait", "listen", "stay",
    "sound", "remember", "act", "write", "leave", "output", "say", "if", "when", "only", "emit",
    "press", "spell", "read", "pretend", "begin", "start", "follow", "repeat", "note", "format",
    "transfer", "stick", "match", "translate", "switch", "limit", "maintain",
    "ensure", "treat", "put", "acknowledge", "include", "append", "finish", "help", "handle",
    "refer", "add",
})  # fmt: skip
WHICH_DAY, WHICH_TIME = "Which day would suit you?", "What time would suit you?"
_WHEN = re.compile(
    r"(?:preferred |best |suitable |good )?(day|date|time)(?: (?:of day|you (?:would )?"
    r"(?:prefer|like|want)|that suits(?: you)?))?"
)
_AUX = r"(can|could|will|would|are|were|should|may|did|do|had|was|is)"
_BASE = [
    "want", "need", "like", "prefer", "know", "think", "plan", "own", "live", "use", "work",
    "feel", "agree", "remember", "wish", "accept", "require", "attend", "intend", "expect",
    "consider", "drive", "rent", "enjoy", "understand", "support", "recall",
]  # fmt: skip

_THIRD_PERSON = {
    "wants", "needs", "likes", "prefers", "knows", "thinks", "plans", "owns", "lives", "uses",
    "works", "feels", "agrees", "accepts", "asks", "says", "wishes",
}  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """One thing to find out: what it is called and the question that asks for it."""

    label: str
    question: str
    kind: Kind


@dataclass(frozen=True)
class Task:
    """One thing to do in a call: how to announce it, and what to ask."""

    verb: str
    statement: str
    slots: tuple[Slot, ...] = ()


def second_person(text: str, name: str | None = None) -> str:
    """Turn the person a text is about into "you", and the agent's "you" into "I" or "we"."""
    text = re.sub(r"\byour\b", "our", text)
    text = re.sub(r"\b(for|to|with|from|at|of|by|call) you\b", r"\1 me", text)
    text = re.sub(r"\byou are\b|\byou're\b", "I'm", text)
    text = re.sub(r"\byou\b", "I", text)
    if name:
        text = re.sub(rf"\b{re.escape(name)}['’]s\b", "your", text)
        text = re.sub(rf"\b{re.escape(name)}\b(?! [A-Z])", "you", text)
    text = _OBJECT.sub(r"\1 you", text)
    text = re.sub(rf"({_ROLE_PHRASE.pattern})['’]s?(?=\W)", "your", text, flags=re.I)
    text = _ROLE_PHRASE.sub("you", text)
    text = re.sub(r"\b(?:he or she|he/she|they)\b|(?<![\w/])(?:he|she)\b", "you", text)
    text = re.sub(r"\b(them|him)\b", "you", text)
    text = re.sub(r"\b(themselves|himself|herself)\b", "yourself", text)
    text = re.sub(r"\b(theirs|hers)\b", "yours", text)
    text = re.sub(r"\b(?:his or her|his/her|their|his)\b", "your", text)
    text = re.sub(
        r"\bher\b(?=\s+(?:about|that|to|if|whether|on|for|at|of|and|or|in|with|when|by)\b|"
        r"[.,;!?]|$)",
        "you",
        text,
    )
    text = re.sub(r"\bher\b", "your", text)
    return re.sub(r"\byou ((?:still|also|already|really) )?([a-z]+)\b", _agree, text)


def _agree(match: re.Match[str]) -> str:
    adverb, verb = match[1] or "", match[2]
    irregular = {"is": "are", "was": "were", "has": "have", "does": "do", "goes": "go"}
    if verb in irregular:
        verb = irregular[verb]
    elif verb in _THIRD_PERSON:
        verb = verb[:-2] if verb == "wishes" else verb[:-1]
    return f"you {adverb}{verb}"


def clauses(sentence: str) -> list[str]:
    """Cut an instruction where a further instruction begins: "remind … and ask …"."""
    verbs = "|".join(sorted(IMPERATIVES))
    cut = re.split(
        rf"(?:,\s*(?:and\s+)?(?:then\s+)?|;\s*(?:and\s+)?(?:then\s+)?|\s+and\s+(?:then\s+)?|"
        rf"\s+then\s+|:\s+)"
        rf"(?=(?:also |politely |briefly )?(?:{verbs})\b)",
        sentence.strip().rstrip("."),
        flags=re.I,
    )
    whole = [cut[0]]
    for part in cut[1:]:
        # "confirm your name and address" has nouns that are verbs too: a real instruction goes on.
        if len(part.split()) >= 2 and not re.match(r"\w+ (?:and|or|of|number|date|time)\b", part):
            whole.append(part)
        else:
            whole[-1] = f"{whole[-1]} and {part}"
    return whole


def task_from(clause: str, name: str | None = None) -> Task | None:
    """One instruction as a task, or None when it instructs nothing that can be announced."""
    clause = re.sub(
        r"^(?:please|first|then|next|also|finally|politely|briefly|kindly|you (?:should|must|"
        r"need to"
        r"|have to|will)|your (?:task|job|goal|role|purpose|aim|objective|mission) is to|"
        r"the (?:goal|purpose|aim|reason|point)(?: of (?:this|the) call)? is to|"
        r"(?:we|i) (?:want|need) you to|i want to|we want to|you(?:'re| are) (?:phoning|"
        r"calling)\b.*?"
        r"\bto|(?:this is a )?call (?:the |a )?[\w ]*?\b(?:to|and)|in order to|to|try to|"
        r"gently)\b[,:]?\s+",
        "",
        clause.strip().strip('"“”'),
        flags=re.I,
    )
    again = re.sub(r"^(?:please|politely|briefly|then|also|kindly)\s+", "", clause, flags=re.I)
    words = again.split()
    if not words or words[0].lower().strip(",") not in IMPERATIVES:
        return None
    verb = words[0].lower()
    said = second_person(verb + again[len(verb) :], name)
    said = re.sub(r"\s+", " ", said).strip().rstrip(".!")
    return Task(verb, said, tuple(_slots(said)))


def _slots(said: str) -> list[Slot]:
    """The questions an instruction in the second person asks for."""
    found = re.match(
        r"(?:ask|find out|check|see|learn|determine|establish|confirm|verify)(?: with)?(?: you)? "
        r"(?:to (?:find out|know) )?((?:whether|if|how|what|when|where|which|why|who)\b.+)",
        said,
    )
    if found:
        parts = re.split(r",? and (?=(?:whether|if|how|what|when|where|which|why|who)\b)", found[1])
        return [_asked_part(part) for part in parts]
    found = re.match(r"ask(?: you)? to (.+)", said)
    if found:
        return [Slot(found[1], f"Could you {found[1]}?", "open")]
    found = re.match(r"ask(?: you)? about (.+)|survey you (?:about|on) (.+)", said)
    if found:
        topic = found[1] or found[2]
        return [Slot(topic, f"What can you tell me about {topic}?", "open")]
    found = re.match(
        r"(?:ask(?: you)? for|collect|gather|take|get|note(?: down)?|obtain|record|request|"
        r"find out)"
        r"(?: you)? (.+)",
        said,
    ) or re.match(r"qualify you\b.*?(?::| on| by asking (?:about|for)) (.+)", said)
    if found:
        asks = re.match(r"ask|collect|gather|qualify", said) or _ANSWERABLE.search(found[1])
        return list_slots(found[1]) if asks and not _FROM.search(found[1]) else []
    found = re.match(r"(?:confirm|verify)(?: with)?(?: you)? (?:that )?(.+)", said)
    if found:
        return [Slot(found[1], f"Can you confirm {found[1]}?", "open")]
    return []


def _asked_part(part: str) -> Slot:
    found = re.match(r"(?:whether|if) (?:or not )?(.+)", part)
    if found:
        return Slot(found[1], question_whether(found[1]), "open")
    return Slot(part, f"Could you tell me {part}?", _kind(part))


def list_slots(text: str) -> list[Slot]:
    """ "your name, e-mail and preferred day" as three slots."""
    text = re.split(r"\b(?:so that|in order to|before|because|if you)\b|[.(]", text)[0]
    slots: list[Slot] = []
    for part in re.split(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+|\s*&\s*", text):
        label = re.sub(r"^(?:(?:your|our|the|a|an|for)\s+)+", "", part.strip().rstrip(".:"))
        if not label or len(label.split()) > 8:
            continue
        slots.append(Slot(label, _ask_for(label), _kind(label)))
    for n, (one, two) in enumerate(itertools.pairwise(slots)):
        if (one.question, two.question) == (WHICH_DAY, WHICH_TIME):
            slots[n] = Slot(one.label, "Which day and time would suit you?", "day")
    return slots


def _ask_for(label: str) -> str:
    if found := _WHEN.fullmatch(label):
        return WHICH_TIME if found[1] == "time" else WHICH_DAY
    if re.match(r"(?:how|what|when|where|which|why|who|whether|if)\b", label):
        return f"Could you tell me {label}?"
    if re.search(r"\b(?:number|reason|purpose|type|kind|size|date) (?:of|for)\b", label):
        return f"What is the {label}?"
    if re.match(r"(?:any|some|one|two|a few)\b", label):
        return f"Could you tell me {label}?"
    head = re.split(r"\b(?:of|for|in|on|at)\b", label)[0].strip()
    plural = head.endswith("s") and not head.endswith(("ss", "us", "is", "address"))
    return f"What {'are' if plural else 'is'} your {label}?"


def _kind(label: str) -> Kind:
    said = label.lower()
    if re.search(r"\be-?mail", said):
        return "email"
    if re.search(r"\b(?:phone|mobile|telephone|callback|contact|call-back) ?(?:number)?\b", said):
        return "phone"
    if re.search(r"\b(?:first|last|full|sur)?\s?name$|\bname\b(?! of)", said):
        return "name"
    if re.search(r"\bhow many\b|\bnumber of\b|\bsize\b|\bage\b|\bscore\b|\brating\b", said):
        return "number"
    if re.search(r"\b(?:day|date)\b", said) and "birth" not in said:
        return "day"
    if re.search(r"\btime\b", said) and not re.search(r"\btimeline|how|time ?frame", said):
        return "time"
    return "open"


def question_whether(clause: str) -> str:
    """ "you still need it" as a direct question; where that is unsure, an indirect one."""
    found = re.match(rf"you {_AUX} (.+)", clause)
    if found:
        return f"{capitalised(found[1])} you {found[2]}?"
    found = re.match(rf"you (still|also|already) {_AUX} (.+)", clause)
    if found:
        return f"{capitalised(found[2])} you {found[1]} {found[3]}?"
    found = re.match(r"you ((?:still |also |already )?)have (.+)", clause)
    if found:
        verb = re.match(r"(?:already )?(?:been|had|\w+ed|seen|got|made|done|paid|sent)\b", found[2])
        if verb:
            return f"Have you {found[1]}{found[2]}?"
        return f"Do you {found[1]}have {found[2]}?"
    found = re.match(r"you ((?:still |also |already )?(\w+)\b.*)", clause)
    if found and found[2] in _BASE:
        return f"Do you {found[1]}?"
    return f"Could you tell me whether {clause}?"
