"""Which languages an agent may be set to, which it begins in, and what hears them (spec 6.10)."""

import re

MULTI = "multi"
NAMES: dict[str, str] = {
    "en": "English",
    "ar": "Arabic",
    "es": "Spanish",
    "fr": "French",
    "de": "German",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "ru": "Russian",
    "hi": "Hindi",
    "ko": "Korean",
    "ja": "Japanese",
    "zh": "Chinese",
    "tr": "Turkish",
    "he": "Hebrew",
}
# The codes by which the carrier's own voice knows them.
_LOCALES = {
    "en": "en-US", "ar": "arb", "es": "es-ES", "fr": "fr-FR", "de": "de-DE", "it": "it-IT",
    "pt": "pt-BR", "nl": "nl-NL", "pl": "pl-PL", "ru": "ru-RU", "hi": "hi-IN", "ko": "ko-KR",
    "ja": "ja-JP", "zh": "cmn-CN", "tr": "tr-TR", "he": "he-IL",
}  # fmt: skip
_CODE = re.compile(r"(?P<base>[a-z]{2})(-([A-Z]{2}|[0-9]{3}))?", re.ASCII)

# Deepgram's nova-3 does not hear Chinese; its predecessor does.
_NOVA_2 = frozenset({"zh"})
_ENGLISH_REGIONS = frozenset({"en-US", "en-GB", "en-AU", "en-NZ", "en-IN"})
# What flux-general-multi hears besides English; nova-3's own "multi" knows no more.
_FLUX = frozenset({"es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})

_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    # Kana and Hangul before Han, which Japanese and Korean use as well.
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)
_COMMON = {
    "fr": "vous êtes une est les des pour avec nous votre dans bonjour toujours",
    "es": "eres usted una los las para con nuestra nuestro hola siempre del por",
    "de": "du bist sie sind ein eine der die das und für mit immer nicht guten",
    "it": "sei una il gli per con nostro della sempre che ciao buongiorno lei",
    "pt": "você é uma os as para com nossa nosso não sempre olá seu atendente",
    "nl": "je bent een het voor met onze altijd niet hallo van u de klant",
    "pl": "jesteś jest dla nie zawsze się dzień dobry oraz naszej w klientem",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_OPENING_CHARS = 400
_ENOUGH_WORDS = 3


def is_language(code: str) -> bool:
    """Whether an agent may be set to ``code``: ``multi``, ``en``, or with a region ``en-GB``."""
    if code == MULTI:
        return True
    match = _CODE.fullmatch(code)
    return match is not None and match["base"] in NAMES


def name_of(code: str) -> str:
    """Return the English name of a language code, its region left out."""
    return NAMES[code[:2]]


def locale_of(code: str) -> str:
    """Return what the carrier's own voice calls the language of a code; English for ``multi``."""
    return _LOCALES.get(code[:2], _LOCALES["en"])


def start_language(language: str, system_prompt: str) -> str:
    """Return the two-letter language that an agent begins in.

    A code is itself. ``multi`` goes by the opening of the system prompt: by its script where that
    tells, else by common words, else English.
    """
    if language != MULTI:
        return language[:2]
    opening = system_prompt[:_OPENING_CHARS]
    for code, script in _SCRIPTS:
        # More than a borrowed name or greeting.
        if len(script.findall(opening)) * 4 > sum(char.isalpha() for char in opening):
            return code
    words = re.findall(r"\w+", opening.lower())
    scores = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best = max(scores, key=lambda code: scores[code])
    return best if scores[best] >= max(_ENOUGH_WORDS, len(words) // 8) else "en"


def transcription(language: str, *, flux: bool) -> tuple[str, str]:
    """Return Deepgram's (model, language) for an agent's language setting: with ``flux``, the model
    that hears turns wherever it knows the language.
    """
    if flux and (language == MULTI or language[:2] in _FLUX):
        return "flux-general-multi", language
    if flux and language[:2] == "en":
        return "flux-general-en", language
    if language == MULTI or language in _ENGLISH_REGIONS:
        return "nova-3", language
    base = language[:2]
    return ("nova-2" if base in _NOVA_2 else "nova-3"), base
