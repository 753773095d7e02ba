"""Small English: sentences, stems, and the words that carry no content."""

import re

_ABBREVIATION = re.compile(r"\b(Dr|Mr|Mrs|Ms|St|No|e\.g|i\.e|a\.m|p\.m|approx|vs|Ltd|Inc)\.$", re.I)
_INVERTED = re.compile(r"-(?:vous|tu|il|elle|nous|on)\b")
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ied", "ies", "ed", "es", "ly", "s")

_SMALL_WORDS = """
a an and any are as at be been but by can could did do does for from had has have he her him
his how i if in into is it its just like may me might much my no not of on or our out please
she should so some tell than that the their them then there these they this to too up us was
we were what when where which who why will with would yes you your about know get got need
want wanted i'd i'm it's we're you're don't can't okay ok hi hello thanks thank well um uh
let say said also there's what's there're very really still call calling sure one
le la les un une des du de et est en à au aux que qui vous nous je il elle on ne pas pour avec
el los las una y es del al por con su se lo usted
der die das ein eine und ist zu sie ich wir mit für im den dem
"""
STOPWORDS = frozenset(_SMALL_WORDS.split())

# Words that ask for the same thing; a language's knowledge, not a business's.
TOPICS: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        "open opening close closed closing hours o'clock ouvrez ouvrons ouvert ouverture horaires "
        "heures fermez fermons abren abrimos abierto horario horas cierran öffnen geöffnet "
        "öffnungszeiten uhr schließen",
        "cost costs price prices pay charge charges fee fees expensive rate $ £ € coûte "
        "coûtent prix "
        "cuesta cuestan precio kostet kosten preis",
        "where located location address street road avenue situated find",
        "phone telephone number",
        "email mail e-mail",
        "parking park car",
        "cancel cancellation cancelled refund",
        "deliver delivery shipping ship",
        "insurance insured insurer",
        "appointment booking reservation reservations book reserve table schedule",
        "long duration minutes hour takes last",
        "child children kid kids",
        "dog dogs pet pets cat cats animal",
        "card cards cash visa payment",
        "vegetarian vegan gluten diet",
        "wheelchair accessible accessibility step-free",
    )
)


def sentences(text: str) -> list[str]:
    """Cut prose into sentences; an abbreviation or a decimal point ends none."""
    found: list[str] = []
    for part in re.split(r"(?<=[.!?…])[\"')”]*\s+(?=[\"'(“A-Z0-9À-Ý¿¡\[])|\n+", text):
        part = part.strip()
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        elif part:
            found.append(part)
    return found


def tokens(text: str) -> list[str]:
    """Lower-case words, numbers and currency signs."""
    return re.findall(r"[$£€]|[\w]+(?:['’.:-][\w]+)*", _INVERTED.sub("", text.lower()))


def stem(word: str) -> str:
    """A crude stem: enough for "appointments" to meet "appointment"."""
    word = word.replace("’", "'").removesuffix("'s")
    if len(word) <= 3:
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)] + ("y" if suffix in ("ied", "ies") else "")
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def content_stems(text: str) -> set[str]:
    """Stems of the words that carry content."""
    return {stem(word) for word in tokens(text) if word not in STOPWORDS}


def topic_stems(text: str) -> set[str]:
    """Stems related to what a text asks about (opening → hours), without the text's own."""
    own = {stem(word) for word in tokens(text)}
    related: set[str] = set()
    for group in TOPICS:
        group_stems = {stem(word) for word in group}
        if own & group_stems:
            related |= group_stems
    return related - own


def capitalised(text: str) -> str:
    """First letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def decapitalised(text: str) -> str:
    """First letter in lower case unless the first word is a name, an acronym or "I"."""
    first = text.split(" ", 1)[0]
    if (
        first == "I"
        or first.startswith("I'")
        or (len(first) > 1 and first[1:] != first[1:].lower())
    ):
        return text
    return text[:1].lower() + text[1:]


def full_stop(text: str) -> str:
    """The text with exactly one sentence end."""
    text = text.strip().rstrip(",;:–- ")
    return text if text.endswith((".", "!", "?")) else f"{text}."
