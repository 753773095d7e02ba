"""How a text travels: its alphabet, its segments, and how a long one is cut into several.

GSM-7 carries 160 septets in one segment and 153 in each of several; one character outside its
alphabet turns the whole text to UCS-2, with 70 and 67 UTF-16 units.
"""

from dataclasses import dataclass

# What the carrier takes in one message.
LONGEST = 1600
# So many such messages make the longest text.
MOST_PARTS = 10

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Written as an escape and a letter: they count twice, and a pair is never parted.
GSM7_PAIRS = "^{}\\[~]|€\f"
_SINGLE, _PAIRS = frozenset(GSM7), frozenset(GSM7_PAIRS)
_LOOK_ALIKES = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "‚": "'",
        "‛": "'",
        "′": "'",
        "`": "'",
        "´": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "″": '"',
        "«": '"',
        "»": '"',
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "•": "-",
        "\t": " ",
        "\u00a0": " ",
        "\u2002": " ",
        "\u2003": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\u200b": "",
        "\ufeff": "",
    }
)


@dataclass(frozen=True, slots=True)
class Size:
    """What a body costs: the carrier charges by segment."""

    encoding: str  # "GSM-7" | "UCS-2"
    segments: int


def fold(body: str) -> str:
    """Replace typographic characters by those of GSM-7 that look alike."""
    return body.translate(_LOOK_ALIKES)


def size_of(body: str) -> Size:
    """Return the alphabet of ``body`` and in how many segments the network carries it."""
    if all(char in _SINGLE or char in _PAIRS for char in body):
        encoding, whole, part = "GSM-7", 160, 153
        sizes = [2 if char in _PAIRS else 1 for char in body]
    else:
        encoding, whole, part = "UCS-2", 70, 67
        sizes = [2 if ord(char) > 0xFFFF else 1 for char in body]
    if sum(sizes) <= whole:
        return Size(encoding, 1)
    count, room = 1, part
    for size in sizes:
        if size > room:
            count, room = count + 1, part
        room -= size
    return Size(encoding, count)


def split(body: str, longest: int = LONGEST) -> list[str]:
    """Cut ``body`` into parts of at most ``longest`` characters, at the ends of words where it has
    any. Nothing but the white space at the cuts is lost."""
    parts, rest = [], body.strip()
    while len(rest) > longest:
        cut = max((rest.rfind(space, 0, longest + 1) for space in " \n\t"), default=-1)
        if cut <= 0:
            cut = longest  # one word without an end
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest else parts
