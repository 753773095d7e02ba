"""TwiML read from a document: verbs, their attributes, what Twilio would warn about."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

LARGEST = 64 * 1024
METHODS = {"action", "method"}
VERBS: dict[str, frozenset[str]] = {
    "Connect": frozenset(METHODS),
    "Dial": frozenset(
        {
            "answerOnBridge",
            "callerId",
            "hangupOnStar",
            "record",
            "recordingStatusCallback",
            "ringTone",
            "timeLimit",
            "timeout",
            "trim",
            "sequential",
            *METHODS,
        }
    ),
    "Hangup": frozenset(),
    "Pause": frozenset({"length"}),
    "Play": frozenset({"loop", "digits"}),
    "Redirect": frozenset({"method"}),
    "Reject": frozenset({"reason"}),
    "Say": frozenset({"voice", "language", "loop"}),
}
NOUNS: dict[str, dict[str, frozenset[str]]] = {
    "Connect": {
        "Stream": frozenset(
            {"url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName"}
        ),
    },
    "Dial": {
        "Number": frozenset(
            {
                "url",
                "method",
                "sendDigits",
                "statusCallback",
                "statusCallbackEvent",
                "statusCallbackMethod",
                "byoc",
            }
        ),
    },
    "Stream": {"Parameter": frozenset({"name", "value"})},
}


class BadTwiml(Exception):
    """A document that ends the call. ``code`` is Twilio's."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Verb:
    """One element."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    nouns: list["Verb"] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def seconds(self, name: str, default: int) -> int:
        """A whole number of seconds; nonsense counts as the default, as it does at Twilio."""
        value = self.attributes.get(name, "")
        return int(value) if value.isdigit() else default


def parse(document: bytes | str) -> tuple[list[Verb], list[str]]:
    """The verbs in order, and Twilio's schema warnings (12200): unknown ones are skipped.

    Raises BadTwiml 11750 (too large) or 12100 (not a ``<Response>`` document).
    """
    if len(document) > LARGEST:
        raise BadTwiml(11750, "TwiML response body too large (64 kB)")
    try:
        root = ET.fromstring(document)  # noqa: S314 - expat refuses entity bombs; the author is our own customer
    except (ET.ParseError, ValueError) as error:
        raise BadTwiml(12100, f"Document parse failure: {error}") from None
    if root.tag != "Response":
        raise BadTwiml(
            12100, f"Document parse failure: root element is <{root.tag}>, not <Response>"
        )
    warnings: list[str] = []
    verbs = [verb for child in root if (verb := _read(child, VERBS, warnings))]
    return verbs, warnings


def _read(
    element: ET.Element, known: dict[str, frozenset[str]], warnings: list[str]
) -> Verb | None:
    name = element.tag
    if name not in known:
        warnings.append(f"<{name}> is not supported here")
        return None
    for attribute in set(element.keys()) - known[name]:
        warnings.append(f"<{name}> has no attribute {attribute}")
    nouns = [noun for child in element if (noun := _read(child, NOUNS.get(name, {}), warnings))]
    return Verb(name, dict(element.attrib), (element.text or "").strip(), nouns)
