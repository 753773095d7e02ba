"""Word error rate: how much of what was said was understood."""

import re

_UNDER_TWENTY = """zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen"""
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES, _TENS = _UNDER_TWENTY.split(), _DECADES.split()
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'"})
# Two ways of writing the same sound are one word.
_SAME = {"okay": "ok", "alright": "all right", "mm": "mhm", "hmm": "mhm", "cannot": "can not"}


def _number_in_words(digits: str) -> str:
    if len(digits) > 2 or digits.startswith("0"):
        return " ".join(_ONES[int(d)] for d in digits)
    n = int(digits)
    if n < 20:
        return _ONES[n]
    return _TENS[n // 10 - 2] + (f" {_ONES[n % 10]}" if n % 10 else "")


def words(text: str) -> list[str]:
    """Return the words of ``text`` as they sound: lower case, no punctuation, numbers in words."""
    text = text.lower().translate(_APOSTROPHES)
    text = re.sub(r"\bgood[- ]?bye?\b", "goodbye", text)
    text = re.sub(r"\d+", lambda m: f" {_number_in_words(m[0])} ", text)
    text = re.sub(r"[^a-z' ]+", " ", text).replace(" '", " ").replace("' ", " ")
    return " ".join(_SAME.get(w, w) for w in text.split()).split()


def errors(said: str, heard: str) -> int:
    """Return the least number of words replaced, left out or put in between the two texts."""
    a, b = words(said), words(heard)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def wer(said: str, heard: str) -> float:
    """Return the word error rate, 0.0 (every word right) upwards; can exceed 1.0.

    An empty ``said`` gives 0.0 when nothing was heard and 1.0 otherwise.
    """
    total = len(words(said))
    return errors(said, heard) / total if total else float(bool(words(heard)))
