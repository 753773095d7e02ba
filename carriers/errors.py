"""What can go wrong at a telephone company's door, named by what the caller may do next."""


class CarrierError(Exception):
    """Any failure at the carrier. The text is the carrier's own and may hold a phone number: do not
    log it."""


class Refused(CarrierError):
    """The carrier said no, and nothing happened. Asking again will not help.

    ``code`` is the carrier's error code (Twilio's dictionary), ``message`` its words, ``status``
    the HTTP status.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def is_wrong_credentials(self) -> bool:
        return self.status == 401 or self.code in {20003, 20008}

    @property
    def is_not_found(self) -> bool:
        return self.status == 404 or self.code == 20404


class Unavailable(CarrierError):
    """The carrier could not be asked, or asks for patience. Nothing happened; try again later."""


class Ambiguous(CarrierError):
    """The request was sent and its answer did not arrive: it may have been done. Never send it
    again."""
