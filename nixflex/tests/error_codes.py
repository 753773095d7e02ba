"""Every error code that the source can answer with; run as a module, it documents them.

``python -m nixflex.tests.error_codes`` writes the table in ``docs/api.md`` anew.
"""

import ast
import re
from pathlib import Path

# Chosen at run time, so no constant in a call.
ALSO = {"twilio_auth_failed": 401, "twilio_invalid_credentials": 401}

APPS = ("accounts", "agents", "calls", "campaigns", "sms", "webhooks")


def error_codes(project: Path) -> dict[str, int]:
    """Return the codes of the API by their HTTP status, read from the calls that raise them."""
    found: dict[str, int] = {}
    for app in APPS:
        for path in sorted((project / app).rglob("*.py")):
            if {"tests", "migrations"} & set(path.parts) or path.name == "admin.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    for code, status in _codes_of(node):
                        found.setdefault(code, status)
    return found


def _codes_of(call: ast.Call) -> list[tuple[str, int]]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    named = {keyword.arg: _text(keyword.value) for keyword in call.keywords}
    given = [_text(argument) for argument in call.args]
    match name:
        case "ApiError" if given and given[0]:
            status = call.args[2] if len(call.args) > 2 else None
            number = status.value if isinstance(status, ast.Constant) else 400
            return [(given[0], number if isinstance(number, int) else 400)]
        case "not_found_error" if given and given[0]:
            return [(given[0], 404)]
        case "invalid_field" if len(given) > 2 and given[2]:
            return [(given[2], 400)]
    return [(code, 400) for key in ("code", "too_long") if (code := named.get(key))]


def _text(node: ast.expr) -> str:
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if constant else ""  # type: ignore[attr-defined]


def document(project: Path) -> None:
    """Write the table of codes in the API's documentation."""
    page = project / "docs/api.md"
    by_status: dict[int, list[str]] = {}
    codes = error_codes(project) | ALSO
    for code in sorted(codes, key=lambda code: (codes[code], code)):
        by_status.setdefault(codes[code], []).append(f"`{code}`")
    rows = "".join(f"| {status} | {', '.join(by_status[status])} |\n" for status in by_status)
    page.write_text(
        re.sub(r"(\| --- \| --- \|\n)(?:\| \d{3} .*\n)+", rf"\g<1>{rows}", page.read_text())
    )


if __name__ == "__main__":
    document(Path(__file__).resolve().parents[2])
