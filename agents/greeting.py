"""The exact first words of an inbound call, with the caller's name where one is on file."""

import re

# The words of greeting after which a name belongs: "Hello Sarah! How can I help you today?"
_SALUTATION = re.compile(
    r"(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|welcome back|bonjour|bonsoir|salut|"
    r"hola|buen(?:os|as) (?:días|tardes|noches)|hallo|guten (?:tag|morgen|abend)|ciao|buongiorno|"
    r"buonasera|salve|olá|oi|bom dia|boa (?:tarde|noite)|goede(?:morgen|middag|navond|ndag)|"
    r"dzień dobry|cześć|witam|merhaba|здравствуйте|привет|مرحبا|שלום|नमस्ते)"
    r"(?=\s*[,.!،।]|\s*$)",
    re.IGNORECASE,
)
_TITLES = re.compile(r"(?:dr|mr|mrs|ms|miss|prof|sir|herr|frau|m|mme|sr|sra)\.?\s", re.IGNORECASE)


def first_name(name: str) -> str:
    """Return how to address a person by the name on file: "Sarah", but "Dr Sarah Johnson"."""
    return name if _TITLES.match(name) else name.split(" ")[0]


def by_name(welcome: str, name: str) -> str:
    """Put a name into the greeting that ``welcome`` begins with.

    A text that begins otherwise stays word for word as it was written.
    """
    found = _SALUTATION.match(welcome.lstrip())
    if not name or not found:
        return welcome
    text = welcome.lstrip()
    return f"{found.group()} {first_name(name)}{text[found.end() :]}"
