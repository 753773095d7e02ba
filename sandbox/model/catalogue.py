"""The models the simulator answers for, and what each of them refuses."""

from dataclasses import dataclass
from typing import Any, Literal

Thinking = Literal["optional", "between_tools", "always", "off_by_default"]


@dataclass(frozen=True)
class Model:
    """One model id with the limits the real service enforces for it.

    ``cache_min`` is the shortest prefix in tokens that is cached; a shorter one is silently not.
    ``thinking`` says whether the model thinks when not asked, and whether that can be disabled.
    """

    id: str
    line: str
    thinking: Thinking
    cache_min: int
    created_at: str
    sampling: bool = False
    retires_at: str | None = None
    max_tokens: int = 128_000
    max_input_tokens: int = 1_000_000

    @property
    def display_name(self) -> str:
        """``claude-haiku-5-5`` is shown as "Claude Haiku 5.5"."""
        _, line, *version = self.id.split("-")
        numbers = [part for part in version if part.isdigit() and len(part) < 3]
        return f"Claude {line.title()} {'.'.join(numbers)}".strip()

    def info(self) -> dict[str, Any]:
        """The body of ``GET /v1/models/{id}``."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.display_name,
            "created_at": self.created_at,
            "deprecated_at": "2026-06-01T00:00:00Z" if self.retires_at else None,
            "lifecycle": "deprecated" if self.retires_at else "active",
            "line": self.line,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "retires_at": self.retires_at,
            "capabilities": None,
        }


_TABLE = [
    Model("claude-haiku-5-5", "haiku", "optional", 512, "2026-10-07T00:00:00Z"),
    Model("claude-sonnet-5-5", "sonnet", "between_tools", 512, "2026-10-07T00:00:00Z"),
    Model("claude-opus-5-5", "opus", "always", 512, "2026-10-07T00:00:00Z"),
    Model("claude-fable-5-2", "fable", "optional", 512, "2026-09-01T00:00:00Z"),
    Model("claude-fable-5-1", "fable", "optional", 512, "2026-07-01T00:00:00Z"),
    Model("claude-mythos-5-2", "mythos", "optional", 512, "2026-09-01T00:00:00Z"),
    Model("claude-mythos-5-1", "mythos", "optional", 512, "2026-07-01T00:00:00Z"),
    Model("claude-sonnet-5", "sonnet", "optional", 1024, "2026-05-01T00:00:00Z"),
    Model("claude-opus-5", "opus", "optional", 512, "2026-05-01T00:00:00Z"),
    Model("claude-opus-4-8", "opus", "off_by_default", 1024, "2026-04-01T00:00:00Z", True),
    Model("claude-opus-4-7", "opus", "off_by_default", 2048, "2026-03-01T00:00:00Z", True),
    Model("claude-opus-4-6", "opus", "off_by_default", 4096, "2026-02-01T00:00:00Z", True),
    Model("claude-sonnet-4-6", "sonnet", "off_by_default", 1024, "2026-02-01T00:00:00Z", True),
    Model("claude-haiku-4-5", "haiku", "off_by_default", 4096, "2025-10-01T00:00:00Z", True),
    Model(
        "claude-sonnet-4-5",
        "sonnet",
        "off_by_default",
        1024,
        "2025-09-29T00:00:00Z",
        True,
        "2026-11-30T00:00:00Z",
    ),
]

MODELS: dict[str, Model] = {model.id: model for model in _TABLE}
