"""What people text back."""

from collections import Counter

_texted: Counter[tuple[str, str]] = Counter()


def replies(kind: str, person: str, sender: str, body: str) -> list[tuple[float, str]]:
    """Return what a person of this kind texts back to ``sender``: (seconds later, text)."""
    texts = _reply(kind, body, _texted[person, sender])
    _texted[person, sender] += bool(texts)
    return texts


def forget() -> None:
    """Forget who has texted whom."""
    _texted.clear()


def _reply(kind: str, body: str, already: int) -> list[tuple[float, str]]:
    """Return what a person of this kind texts back: (seconds later, text).

    ``already`` counts their replies to this sender: nobody here texts more than twice, so two
    machines cannot keep each other busy.
    """
    if already >= 2 or not body.strip():
        return []
    match kind:
        case "yes":
            return [(0.5, "Yes, that works for me.")] if not already else [(0.5, "Thanks!")]
        case "stop":
            return [(0.5, "STOP")] if not already else []
        case "question":
            return [(0.5, "What time is it, please?" if not already else "Great, thank you.")]
        case _:
            return []
