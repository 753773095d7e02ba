"""The documents' places for what the benchmarks measured."""

from benchmarks.house import PROJECT


def write_table(table: str, begin: str, end: str) -> None:
    """Put a table between its marks into ``docs/reliability.md``."""
    page = PROJECT / "docs/reliability.md"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
