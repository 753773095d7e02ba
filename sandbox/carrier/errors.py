"""Twilio's refusals: code, HTTP status, words.

Source: Twilio's published list of errors and warnings. ``Refused`` is what a REST request gets.
"""

from typing import Any

HTTP_STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503, 10004: 429, 20004: 405}

MESSAGES = {
    10001: "Account is not active",
    10004: "Call concurrency limit exceeded",
    20001: "Unknown parameters: {value}",
    20003: "Authenticate",
    20004: "Method not allowed",
    20404: "The requested resource {value} was not found",
    20422: "Invalid parameter: {value}",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service Unavailable",
    21201: "No 'To' number is specified",
    21205: "Url parameter is not a valid URL: {value}",
    21210: "Source phone number provided, {value}, is not yet verified for your account."
    " You may only make"
    " calls from phone numbers that you've verified or purchased from Twilio.",
    21211: "Invalid 'To' Phone Number: {value}",
    21212: "Invalid 'From' Phone Number: {value}",
    21213: "'From' phone number is required",
    21214: "'To' phone number cannot be reached: {value}",
    21215: "Account not authorized to call {value}. Perhaps you need to enable some"
    " international permissions",
    21216: "Call blocked by Twilio blocklist: {value}",
    21217: "Phone number does not appear to be valid: {value}",
    21218: "Invalid ApplicationSid: {value}",
    21219: "The number {value} is unverified. Trial accounts may only make calls to"
    " verified numbers.",
    21220: "Call is not in-progress. Cannot redirect.",
    21402: "Invalid Url: {value}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the"
    " 'To' number: {value}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "'To' phone number is required to send a Message",
    21606: "The 'From' phone number {value} is not a valid, message-capable Twilio phone"
    " number for this"
    " destination.",
    21608: "The number {value} is unverified. Trial accounts cannot send messages to"
    " unverified numbers.",
    21609: "Invalid 'StatusCallback': {value}",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "Message cannot be sent with the current combination of 'To' ({value}) and"
    " 'From' parameters.",
    21614: "'To' number is not a valid mobile number: {value}",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21626: "Invalid value(s) for 'StatusCallbackEvent': {value}",
    21701: "The Messaging Service does not exist",
}


class Refused(Exception):
    """A request that the carrier does not accept, with Twilio's code."""

    def __init__(self, code: int, value: str = "") -> None:
        self.code = code
        self.status = HTTP_STATUS.get(code, 400)
        self.message = MESSAGES.get(code, "Refused ({value})").format(value=value)
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON that Twilio answers."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
