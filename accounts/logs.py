"""Log lines: JSON in production, coloured in development; nobody's number in either."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

# E.164 as it stands in a message, percent-encoded as in a path, and in a path that lost the plus.
_NUMBER = re.compile(
    r"(?:\+|%2[Bb])[1-9][0-9]{6,14}|(?<=/)(?:%20| )?[1-9][0-9]{6,14}(?![0-9A-Za-z_])"
)


def without_numbers(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blank telephone numbers in every string of a log line (paths carry them)."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _NUMBER.sub("+***", value)
    return event


def logging_config(*, debug: bool) -> dict[str, Any]:
    """Return Django's ``LOGGING`` and set structlog up to write through it."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(allow=()),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # No pretty tracebacks: they print local variables, where secrets, numbers and speech are.
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if debug
        else structlog.processors.JSONRenderer()
    )
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        without_numbers,
        renderer,
    ]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": last,
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            # It brings a handler of its own, with another format.
            "uvicorn": {"handlers": [], "propagate": True},
            # These print request lines and bodies of their own accord.
            "django.server": {
                "handlers": ["console"],
                "level": "INFO",
                "propagate": False,
            },
            "uvicorn.access": {
                "handlers": ["console"],
                "level": "WARNING",
                "propagate": False,
            },
            "twilio.http_client": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "anthropic": {"level": "WARNING"},
        },
    }
