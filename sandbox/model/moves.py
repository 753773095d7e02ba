"""What a caller is doing with an utterance, by the words people use for it."""

import re

_DIGITS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "star": "*", "pound": "#", "hash": "#",
}  # fmt: skip

OPT_OUT = re.compile(
    r"\b(?:(?:do not|don't|stop|never|quit) (?:ever )?(?:call|phone|ring|text|contact|"
    r"bother)(?:ing)?(?: me| us| here)?\b"
    r"(?!.{0,12}\b(?:today|tomorrow|yet)\b)|(?:take|remove) (?:me|my number|us) (?:off|from)|"
    r"unsubscribe|"
    r"opt out|leave me alone|not (?:want|wish) (?:any )?(?:more )?calls|ne m'appelez plus|no "
    r"me llame|"
    r"rufen sie (?:mich )?nicht)\b|^\s*stop\W*$", re.I)  # fmt: skip
WRONG_NUMBER = re.compile(
    r"\bwrong (?:number|person)\b|\bno(?:body| one) (?:here )?(?:by|with|of) that name\b", re.I
)
ROBOT = re.compile(
    r"\b(?:are|am|is) (?:you|i|this|it)\b.{0,30}\b(?:robot|bot|ai|a\.i|artificial|machine|"
    r"computer|real|human|"
    r"automated|recording|a person|actual person)\b", re.I)  # fmt: skip
WHO = re.compile(
    r"\bwho(?:'s| is| are| am) (?:this|that|calling|you|it|i (?:speaking|talking))\b|\bwho do "
    r"you work for\b|"
    r"\bwhat(?:'s| is) your name\b|\bwhere are you calling from\b|\bwhich company\b|\bstate "
    r"your name\b|"
    r"\bwhat company\b|\b(?:say|give|tell me) your name\b", re.I)  # fmt: skip
WHY = re.compile(
    r"\bwhy (?:are|did) you call|\bwhat(?:'s| is) (?:this|it|the call|that) (?:about|"
    r"regarding|concerning)|"
    r"\breason (?:for|you)|\bwhy you(?:'re| are) calling|\bwhat do you want\b|\bhow can i "
    r"help\b", re.I)  # fmt: skip
REPEAT = re.compile(
    r"\b(?:repeat|say (?:that|it) again|come again|pardon|didn't (?:catch|hear|get) (?:that|you)|"
    r"(?:can't|couldn't|cannot) hear|one more time|what did you say|excuse me\?)|^\s*(?:what|"
    r"sorry|huh)\s*\?\s*$",
    re.I)  # fmt: skip
WAIT = re.compile(
    r"\b(?:hold on|hang on|one (?:moment|second|sec|minute)|just a (?:moment|second|sec|"
    r"minute)|wait a|give me a "
    r"(?:moment|second|sec|minute)|let me (?:check|look|see|grab|get|find))\b", re.I)  # fmt: skip
HUMAN = re.compile(
    r"\b(?:speak|talk|put me through|transfer|connect|get me|pass me|chat)\b.{0,30}\b(?:human|"
    r"person|someone|"
    r"somebody|agent|manager|representative|rep|operator|receptionist|staff|supervisor|member "
    r"of|real|colleague|"
    r"department|team|owner|doctor|sales|support|billing)\b|\bput me through\b|\btransfer "
    r"me\b", re.I)  # fmt: skip
TEXT_ME = re.compile(
    r"\b(?:text|sms|message) (?:it|that|this|me)\b|\bsend (?:me|it|that|us).{0,25}\b(?:text|"
    r"sms|message)\b|"
    r"\b(?:in|by|via) (?:a )?(?:text|sms)\b|\bsend me (?:the|your|an?) (?:link|address|"
    r"details|directions)\b", re.I)  # fmt: skip
BUSY = re.compile(
    r"\b(?:call (?:me )?(?:back )?(?:later|another time|back|tomorrow)|i'm (?:busy|driving|in "
    r"a meeting|at work)|"
    r"not a good time|bad time|can't talk)\b", re.I)  # fmt: skip
GOODBYE = re.compile(
    r"\b(?:good\s?bye|bye|that(?:'s| is| will be|'ll be) (?:all|it|everything)|nothing else|"
    r"no more questions|"
    r"have a (?:good|nice|great|lovely)|take care|see you|au revoir|adi[oó]s|auf "
    r"wiederh[öo]ren|tschüss)\b", re.I)  # fmt: skip
THANKS = re.compile(r"\b(?:thanks|thank you|cheers|merci|gracias|danke)\b", re.I)
GREETING = re.compile(
    r"^\W*(?:(?:hello|hi|hey|yes|yeah|good (?:morning|afternoon|evening|day)|speaking|bonjour|"
    r"allô|hola|"
    r"hallo|guten tag|this is \w+|\w+ speaking|who is it|there)\W*)+$", re.I)  # fmt: skip
HELLO = re.compile(r"^\W*(?:(?:hello|hi|hey|yes)\W+)*(?:hello|hi|hey|yes\?)(?: there)?\W*$", re.I)
YES = re.compile(
    r"^\W*(?:(?:oh|well|um|uh|ah)\W+)?(?:yes|yeah|yep|yup|sure|of course|certainly|absolutely|"
    r"correct|right|that's "
    r"(?:right|correct|fine|good|great|ok|okay)|okay|ok|fine|please do|definitely|i (?:do|am|"
    r"can|will|would|have)\b|"
    r"sounds good|perfect|great|good|all right|alright|oui|sí|si|ja|exactly|confirmed?|it "
    r"(?:does|is|will|suits|works))"
    r"\b(?!,? but)", re.I)  # fmt: skip
NO = re.compile(
    r"^\W*(?:(?:oh|well|um|uh|ah|sorry|i'm sorry)\W+)*(?:no|nope|nah|not|never|i (?:can't|"
    r"cannot|can not|won't|don't|"
    r"do not|am not|didn't|haven't)|i'm (?:not|afraid (?:not|i can't))|unfortunately|it "
    r"(?:doesn't|does not|isn't)|"
    r"non|nein)\b", re.I)  # fmt: skip
# Not a wish never to be called again: that is OPT_OUT, which stands above.
NOT_INTERESTED = re.compile(
    r"\b(?:not|never|n't) (?:really |very |at all |all that )?interested\b|\bno interest\b|"
    r"\b(?:not|isn't|nothing) for me\b(?!.{0,20}\bfor\b)|"
    r"\b(?:not|don't) (?:really )?(?:want|need) (?:that|it|this|one|any(?:thing)?)\b(?! more)",
    re.I)  # fmt: skip
TROUBLE = re.compile(
    r"\b(?:problem|complain|complaint|broken|terrible|awful|angry|upset|disappointed|unhappy|"
    r"not happy|frustrat\w+|"
    r"doesn't work|hurts?|pain|damaged|late|rude|unacceptable|bad)\b", re.I)  # fmt: skip
VOICEMAIL = re.compile(
    r"\bleave (?:a |your |me a )?(?:short |brief |detailed )?(?:message|name)|\bafter the "
    r"(?:tone|beep)|"
    r"\byou(?:'ve| have) reached|\bis not available|\bisn't available|\bcan't (?:come|get) to "
    r"the phone|"
    r"\bunable to (?:take|answer)|\bvoice ?mail|\bmailbox|\blaissez (?:un|votre) message|"
    r"\bdeje (?:su|un) mensaje|"
    r"\bhinterlassen sie", re.I)  # fmt: skip
MENU = re.compile(
    r"\b(?:press|dial|push)\s+(?:the\s+)?(?:\d|zero|one|two|three|four|five|six|"
    r"seven|eight|nine|star|pound|hash)\b|"
                  r"\bmain menu\b|\bmenu options\b|\bfollowing options\b", re.I)  # fmt: skip


def menu_options(text: str) -> list[tuple[str, str]]:
    """The keys a phone menu offers with what each is for: ``[("1", "sales"), …]``."""
    key = rf"(\d|{'|'.join(_DIGITS)})"
    found: list[tuple[str, str]] = []
    for piece in re.split(r"[.;]\s*|,\s*(?:or\s+)?(?=for\b)", text, flags=re.I):
        after = re.search(rf"\b(?:press|dial|push)\s+{key}\s+(?:for|to)\s+(.+)", piece, re.I)
        before = re.search(
            rf"\b(?:for|to)\s+(.+?),?\s+(?:please\s+)?(?:press|dial|push)\s+{key}\b", piece, re.I
        )
        if after:
            found.append((_DIGITS.get(after[1].lower(), after[1]), after[2]))
        elif before:
            found.append((_DIGITS.get(before[2].lower(), before[2]), before[1]))
    return found
