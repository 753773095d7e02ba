"""Single words by which people stop, start and ask for help, and texts that machines write.

The carrier itself answers the English keywords, as whole messages in any case; we act on them and
send nothing. It passes over the same words in other languages, or with punctuation: those we act
on and confirm ourselves.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

# "yes" is a start to the carrier, and may be an answer to a question.
type Meaning = Literal["stop", "start", "yes", "help"]

# https://help.twilio.com: the default keywords of long codes, whole messages only.
_CARRIERS: dict[str, Meaning] = {
    **dict.fromkeys(
        ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"), "stop"
    ),
    **dict.fromkeys(("START", "UNSTOP"), "start"),
    "YES": "yes",
    **dict.fromkeys(("HELP", "INFO"), "help"),
}
# By the language in which they are confirmed.
_STOPS: dict[str, tuple[str, ...]] = {
    "en": (
        "STOP ALL", "OPT OUT", "STOP TEXTING", "STOP TEXTS", "STOP STOP", "STOP PLEASE",
        "PLEASE STOP", "STOP IT", "STOP THIS", "STOP NOW", "UNSUBSCRIBE ME", "SOTP", "REMOVE",
        "REMOVE ME", "CANCEL TEXTS", "CANCEL MESSAGES", "END TEXTS", "END MESSAGES",
    ),
    "es": (
        "ALTO", "PARAR", "PARE", "PARA", "BASTA", "BAJA", "CANCELAR", "DETENER", "NO MAS", "SALIR",
        "DAR DE BAJA", "DARME DE BAJA", "BAJA POR FAVOR", "CANCELAR SUSCRIPCION",
    ),
    "pt": ("SAIR", "DESCADASTRAR", "CANCELAR INSCRICAO", "REMOVER"),
    "fr": (
        "ARRET", "ARRETER", "ARRETEZ", "DESABONNER", "DESABONNEMENT", "DESINSCRIRE",
        "DESINSCRIPTION", "FIN",
    ),
    "de": ("STOPP", "ABMELDEN", "ABBESTELLEN", "AUFHOREN", "STOPPEN"),
    "nl": ("AFMELDEN", "UITSCHRIJVEN"),
    "it": ("ANNULLA", "CANCELLA", "CANCELLAMI", "DISISCRIVIMI"),
    "pl": ("REZYGNUJE", "REZYGNACJA", "WYPISZ", "WYPISZ MNIE"),
    # Arabic (as it is without its accents), Chinese, Japanese, Russian
    "": ("توقف", "الغاء", "停止", "退订", "退訂", "配信停止", "СТОП", "ОТПИСАТЬСЯ"),
}  # fmt: skip
_LANGUAGES = {word: code for code, words in _STOPS.items() for word in words}
_OURS: dict[str, Meaning] = {
    **dict.fromkeys(_LANGUAGES, "stop"),
    **dict.fromkeys(
        ("RESUBSCRIBE", "SUBSCRIBE", "COMENZAR", "EMPEZAR", "COMMENCER", "ANMELDEN", "INICIAR"),
        "start",
    ),
    **dict.fromkeys(("AYUDA", "AIDE", "HILFE", "AIUTO", "AJUDA"), "help"),
}
# Words that mean a stop whatever politeness or anger is around them, as CANCEL or END do not.
_CERTAIN = frozenset(
    {"STOP", "STOPP", "STOPPEN", "UNSUBSCRIBE", "OPT OUT", "REMOVE ME", "ARRET", "DESABONNER",
     "DESINSCRIPTION", "ABMELDEN", "ABBESTELLEN", "AFMELDEN", "UITSCHRIJVEN", "WYPISZ"}
)  # fmt: skip
_AROUND = re.compile(
    r"(?<=STOP) (?:IT|THIS|THAT|ALL|TEXTING|SMS"
    r"|(?:THE |THESE |YOUR |ALL )?(?:TEXT|TXT|MESSAGE|MSG)S?)\b"
    r"|\bI (?:HAVE )?(?:ALREADY )?(?:SAID|(?:TOLD|ASKED) YOU(?: TO)?|WANT YOU TO)\b"
    r"|\b(?:(?:I AM|IM) )?NOT INTERESTED\b|\bWRONG (?:NUMBER|PERSON)\b"
    r"|\b(?:NO )?THANKS?(?: YOU)?\b|\b(?:PLEASE|PLS|PLZ|NOW|OKAY|OK|JUST|NO|IMMEDIATELY)\b"
    r"|\b(?:BITTE|DANKE|SOFORT|NEIN|MERCI|SVP|STP|SIL VOUS PLAIT|NON|POR FAVOR|GRACIAS|OBRIGAD[OA]"
    r"|PER FAVORE|GRAZIE|AUB|A U B|ALSTUBLIEFT|ALSJEBLIEFT|NEE|PROSZE|DZIEKUJE|NIE)\b"
)


@dataclass(frozen=True, slots=True)
class Keyword:
    """``carrier_answers``: the carrier has replied to the person, so we send nothing; else it is
    confirmed in ``language``."""

    meaning: Meaning
    carrier_answers: bool
    language: str = "en"


def keyword_in(body: str, opt_out_type: str = "") -> Keyword | None:
    """Return what a whole text means as a keyword; None for any other text.

    ``opt_out_type`` is the carrier's own verdict (Advanced Opt-Out: STOP, START or HELP), where it
    gives one. "Cancel my appointment" is no keyword, "Cancel" is one.
    """
    verdict = _CARRIERS.get(opt_out_type.strip().upper())
    meaning = _CARRIERS.get(body.strip().upper())
    if verdict is not None and meaning != "yes":
        return Keyword(verdict, carrier_answers=True)
    if meaning is not None:
        return Keyword(meaning, carrier_answers=True)
    word = _plain(body)
    if meaning := _CARRIERS.get(word) or _OURS.get(word):
        return Keyword(meaning, carrier_answers=False, language=_LANGUAGES.get(word, "en"))
    if (certain := _bared(word)) in _CERTAIN:
        language = _LANGUAGES.get(certain, "en")
        return Keyword("stop", carrier_answers=False, language=language)
    return None


def _bared(words: str) -> str:
    """Return what is left of a short text without the words around, said once."""
    if len(words) > _SHORT:
        return ""
    left = " ".join(_AROUND.sub(" ", words).split())
    first = left.partition(" ")[0]
    return first if set(left.split()) == {first} else left


_DRAWN_OUT = re.compile(r"(\w)\1{2,}")


def _plain(body: str) -> str:
    """Return ``body`` in capitals without accents, punctuation, emoji and double spaces, and
    "STOOOPPP" as "STOP"."""
    decomposed = unicodedata.normalize("NFKD", body.strip()).upper()
    letters = (
        char if char.isalnum() else "" if unicodedata.combining(char) or char in "'’-" else " "
        for char in decomposed
    )
    return _DRAWN_OUT.sub(r"\1", " ".join("".join(letters).split()))


# Characters: what is longer is read as a sentence.
_SHORT = 60
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_MACHINE = re.compile(
    r"\bauto(?:matic|mated)?[- ]?(?:reply|response|responder|generated)\b"
    r"|\bthis is an? (?:automated|automatic|auto)\b"
    r"|\bdo not disturb while driving\b|\bsent from my car\b"
    r"|\bdo[ -]?not[ -]?reply\b|\bno-?reply\b|\bthis is a no reply\b"
    r"|\b(?:this|the) (?:number|mailbox|inbox|line|phone) (?:is not|isn['’]t) monitored\b"
    r"|\b(?:this|the) (?:number|mailbox|inbox|line|phone) (?:does not|doesn['’]t|cannot|can['’]t|"
    r"is not able to|is unable to) (?:accept|receive|take|support|reply|respond|process|handle)\b"
    r"|\bunable to (?:receive|accept) (?:text|sms|messages)"
    r"|\bmessage blocking is active\b|^\W*free ?msg\b"
    r"|\byou have (?:successfully )?been (?:un|re-?)subscribed\b"
    r"|\breply stop to (?:unsubscribe|opt out|end|cancel)\b|\btext stop to\b"
    r"|\brespuesta automática\b|\bréponse automatique\b|\babwesenheitsnotiz\b"
    r"|\bautomatische (?:antwort|nachricht)\b",
    re.I,
)
# What phones say for their owners; an owner who says so has something to ask.
_AWAY = re.compile(
    r"\b(?:i['’]?m|i am) (?:currently )?(?:driving|in a meeting)\b|\bout of (?:the )?office\b", re.I
)


def is_from_machine(sender: str, body: str) -> bool:
    """Say whether nobody wrote this: a short code or name as sender, or an automatic reply."""
    if not _E164.fullmatch(sender) or _MACHINE.search(body):
        return True
    return "?" not in body and bool(_AWAY.search(body))
