"""Cells of CSV files that people open in a spreadsheet."""

from typing import Any

# What a spreadsheet would run as a formula is text to it with a quote before it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: Any) -> Any:
    """Return ``cell`` as a spreadsheet shows it and never runs it; a number in E.164 is nothing
    that runs, and stays as it is."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA) or cell[1:].isdigit():
        return cell
    return f"'{cell}"
