"""Public ids: made by us before anything else happens, and never changed."""

import secrets


def new_id(prefix: str) -> str:
    """Return ``<prefix>_`` and 16 random hex digits, as ``agent_125207e452f8714a``."""
    return f"{prefix}_{secrets.token_hex(8)}"


def new_agent_id() -> str:
    return new_id("agent")


def new_call_id() -> str:
    return new_id("call")
