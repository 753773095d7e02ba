"""Texts: sending with callbacks, opt-out keywords, and people who text back."""

import asyncio
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from sandbox.journal import note

from .errors import Refused
from .network import Exchange
from .state import Message, Number, country, now
from .webhooks import WebhookFailed

LONGEST = 1600
SENT_S, DELIVERED_S = 0.2, 0.4
STOP = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
KEYWORD_REPLIES = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages"
    " from this number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number."
    " Reply HELP for help. Reply STOP to unsubscribe.",
    "HELP": "Reply STOP to unsubscribe.",
}
REFUSALS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
"""Twilio's own magic numbers, refused at create."""
LATE_FAILURE = re.compile(r"\+15005553(003|004|005|006|007|008|034)")
"""Our magic numbers: ``+15005553003`` is accepted, then fails with error 30003; and so on."""
LATE_MESSAGES = {
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30034: "Message from an unregistered number",
}

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_PAIRS = frozenset("^{}\\[~]|€\f")
LOOK_ALIKES = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "—": "-",
        "…": "...",
        "`": "'",
        "\u00a0": " ",
    }
)


def segments(body: str) -> int:
    """How many messages the network carries: GSM-7 160/153 septets, else UCS-2 70/67 units."""
    if all(c in GSM7 or c in GSM7_PAIRS for c in body):
        sizes, whole, part = [2 if c in GSM7_PAIRS else 1 for c in body], 160, 153
    else:
        sizes, whole, part = [len(c.encode("utf-16-le")) // 2 for c in body], 70, 67
    if sum(sizes) <= whole:
        return 1
    count, room = 1, part
    for size in sizes:
        if size > room:
            count, room = count + 1, part
        room -= size
    return count


@dataclass(frozen=True)
class Outgoing:
    """A text asked for over the API."""

    to: str
    from_: str
    body: str
    media: tuple[str, ...] = ()
    callback: str = ""
    fold_look_alikes: bool = False


class Texts:
    """The account's texting. Background work belongs to the webhooks' task set."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._account = exchange.account
        self._webhooks = exchange.webhooks

    def send(self, outgoing: Outgoing) -> Message:
        """Accept a text. Raises Refused with Twilio's code; then nothing was sent."""
        to, from_, body = outgoing.to, outgoing.from_, outgoing.body
        if outgoing.fold_look_alikes:
            body = body.translate(LOOK_ALIKES)
        if len(body) > LONGEST:
            raise Refused(21617)
        if from_ not in self._account.numbers:
            raise Refused(21606, from_)
        if to in REFUSALS:
            raise Refused(REFUSALS[to], to)
        person = self._exchange.directory(to)
        if code := getattr(person, "text_refusal_code", None):
            raise Refused(code, to)
        if (from_, to) in self._account.opted_out:
            raise Refused(21610)
        return self._post(
            to, from_, body, "outbound-api", outgoing.callback, media=len(outgoing.media)
        )

    def receive(self, *, to: str, from_: str, body: str) -> Message:
        """A person texts one of the account's numbers. Raises Refused when it is not one."""
        number = self._account.numbers.get(to)
        if number is None:
            raise Refused(21606, to)
        message = Message(self._account.sid, to, from_, body, "inbound", "received", segments(body))
        message.sent = message.created
        self._account.messages[message.sid] = message
        note("text_received", message_sid=message.sid, to=to, body=body, **{"from": from_})
        word = body.strip().upper()
        keyword = (
            "STOP" if word in STOP else "START" if word in START else "HELP" if word in HELP else ""
        )
        if keyword == "STOP":
            self._account.opted_out.add((to, from_))
        elif keyword == "START":
            if (to, from_) in self._account.opted_out:
                self._account.opted_out.discard((to, from_))
            else:
                keyword = ""  # an ordinary YES
        if keyword:
            self._post(from_, to, KEYWORD_REPLIES[keyword], "outbound-reply", "", automatic=True)
        self._webhooks.start(self._knock(number, message))
        return message

    def _post(
        self,
        to: str,
        from_: str,
        body: str,
        direction: str,
        callback: str,
        *,
        media: int = 0,
        automatic: bool = False,
    ) -> Message:
        message = Message(
            self._account.sid, to, from_, body, direction, "queued", segments(body), media
        )
        self._account.messages[message.sid] = message
        note(
            "text_created",
            message_sid=message.sid,
            to=to,
            body=body,
            direction=direction,
            **{"from": from_},
        )
        self._webhooks.start(self._carry(message, callback, automatic=automatic))
        return message

    async def _carry(self, message: Message, callback: str, *, automatic: bool) -> None:
        await asyncio.sleep(SENT_S)
        message.sent = now()
        self._move(message, "sent", callback)
        await asyncio.sleep(DELIVERED_S)
        person = self._exchange.directory(message.to)
        code = getattr(person, "text_error_code", None)
        if late := LATE_FAILURE.fullmatch(message.to):
            code = int("30" + late[1])
        if code:
            message.error_code, message.error_message = code, LATE_MESSAGES.get(code)
        self._move(message, "undelivered" if code else "delivered", callback)
        if code or person is None or automatic:
            return
        for delay, reply in await person.on_text(sender=message.from_, body=message.body):
            await asyncio.sleep(delay)
            self.receive(to=message.from_, from_=message.to, body=reply)

    def _move(self, message: Message, status: str, callback: str) -> None:
        message.status = status
        message.updated = now()
        note("text_status", message_sid=message.sid, status=status, error_code=message.error_code)
        form = {
            "AccountSid": message.account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.from_,
            "To": message.to,
            "MessageSid": message.sid,
            "MessageStatus": status,
            "SmsSid": message.sid,
            "SmsStatus": status,
        }
        if message.error_code:
            form["ErrorCode"] = str(message.error_code)
        if status in ("delivered", "undelivered"):
            form["RawDlrDoneDate"] = message.updated.strftime("%y%m%d%H%M")
        self._webhooks.tell(callback, form, kind="message_callback")

    async def _knock(self, number: Number, message: Message) -> None:
        url = number.setting("sms_url")
        if not url:
            return
        form = {
            "AccountSid": message.account_sid,
            "ApiVersion": "2010-04-01",
            "Body": message.body,
            "From": message.from_,
            "To": message.to,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "NumMedia": "0",
            "NumSegments": str(message.num_segments),
            "SmsStatus": "received",
        }
        for party, digits in (("From", message.from_), ("To", message.to)):
            form |= {
                f"{party}City": "",
                f"{party}State": "",
                f"{party}Zip": "",
                f"{party}Country": country(digits),
            }
        try:
            reply = await self._ask(number, url, form)
            replies = _replies(reply)
        except WebhookFailed as failure:
            note(
                "application_error", code=failure.code, message_sid=message.sid, text=failure.reason
            )
            return
        except ET.ParseError as error:
            note("application_error", code=12100, message_sid=message.sid, text=str(error))
            return
        for body in replies:
            if (message.to, message.from_) in self._account.opted_out:
                note(
                    "warning",
                    code=21610,
                    message_sid=message.sid,
                    text="reply to an unsubscribed recipient",
                )
                continue
            self._post(message.from_, message.to, body, "outbound-reply", "")

    async def _ask(self, number: Number, url: str, form: dict[str, str]) -> bytes:
        method = number.setting("sms_method") or "POST"
        try:
            return (await self._webhooks.ask(url, form, method=method, kind="text_webhook")).body
        except WebhookFailed as failure:
            fallback = number.setting("sms_fallback_url")
            if not fallback:
                raise
            form = form | {"ErrorCode": str(failure.code), "ErrorUrl": url}
            method = number.setting("sms_fallback_method") or "POST"
            return (
                await self._webhooks.ask(fallback, form, method=method, kind="text_webhook")
            ).body


def _replies(document: bytes) -> list[str]:
    """The texts of ``<Message>`` verbs; an empty answer means no reply."""
    if not document.strip():
        return []
    root = ET.fromstring(document)  # noqa: S314 - expat refuses entity bombs; the author is our own customer
    found = []
    for verb in root.iter("Message"):
        body = verb.find("Body")
        text = (body.text if body is not None else verb.text) or ""
        if text.strip():
            found.append(text.strip())
    return found
