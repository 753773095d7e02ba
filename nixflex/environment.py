"""Reading settings from the environment so that a mistake becomes a sentence, not a traceback."""

import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off", "")


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ, but ``problems`` tells of a value that cannot be read; its default is used.

    ``nixflex.checks`` refuses to start while there are problems.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def int(self, var: str, default: int = 0) -> int:
        text = os.environ.get(var, "").strip()
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            self.problems.append(
                f"{var}={text!r} is not a whole number: write e.g. {var}={default}."
            )
            return default

    def bool(self, var: str, default: Any = False) -> Any:
        """Return True, False, or ``default`` (which may be None: not said)."""
        text = os.environ.get(var, "").strip().lower()
        if text in TRUE:
            return True
        if text and text not in FALSE:
            self.problems.append(f"{var}={text!r} is neither yes nor no: write {var}=1 or {var}=0.")
            return default
        return False if text else default

    def address(self, var: str, default: str) -> str:
        """Return the web address in ``var`` without a slash at its end."""
        text = os.environ.get(var, "").strip().rstrip("/")
        if not text:
            return default
        try:
            parts = urlsplit(text)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            self.problems.append(
                f"{var}={text!r} is not a web address: write e.g. https://calls.example.com."
            )
            return default
        return text

    def database(self, url: str) -> dict[str, Any]:
        """Return Django's settings for the database at ``url``."""
        try:
            with warnings.catch_warnings(action="ignore"):  # it would repeat the address
                config = self.db_url_config(url)
        except (ImproperlyConfigured, ValueError, KeyError):
            config = {}
        if config.get("ENGINE") != "django.db.backends.postgresql":
            # The value is not repeated: it may hold a password.
            self.problems.append(
                "DATABASE_URL is not the address of a PostgreSQL database: write "
                "postgres://USER:PASSWORD@HOST:5432/NAME, or leave it empty for the embedded one."
            )
            return {"ENGINE": "django.db.backends.dummy"}
        return dict(config)


def read(env_file: Path) -> Environment:
    """Return the environment, completed from ``env_file`` (``NIXFLEX_ENV_FILE`` names another)."""
    path = Path(os.environ.get("NIXFLEX_ENV_FILE") or env_file)
    if path.is_file():
        Environment.read_env(path)
    return Environment()
