"""The table, on the terminal and in docs/performance.md."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.voice.rounds import Round, Row, holds, rows

HEAD = (
    f"{'engine':<16} {'calls':>5} {'turns':>6} {'added p50/p95/max':>20} {'stop p50/p95':>13} "
    f"{'false':>8} {'paused':>10} {'gaps':>4} {'lost':>4} {'CPU ms':>7} {'core':>5} "
    f"{'MiB/call':>8} {'late':>5} {'lag':>5}"
)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/performance.md"
BEGIN, END = "<!-- begin: python -m benchmarks.voice -->", "<!-- end -->"
# The stub transcriber knows a "mm-hmm" by its bytes; these engines send audio on as it came, and
# do not answer every voice.
KNOWN_WORDS = {"nixflex"}
FEWEST_ANSWERS = 20
COLUMNS = (
    "engine",
    "calls",
    "holds",
    "answers",
    "added p50 / p95 / max, ms",
    "voice → clear p50 / p95, ms",
    "answers lost to “mm-hmm”",
    "pauses at “mm-hmm”",
    "gaps",
    "lost",
    "CPU ms per call-second (rounds)",
    "of the core",
    "MiB per call",
)


def line(row: Row) -> str:
    added = f"{row.added_p50:.0f} / {row.added_p95:.0f} / {row.added_max:.0f}"
    known = row.engine in KNOWN_WORDS
    paused = f"{row.pauses} × {row.pause_p50:.0f}" if known else "–"
    lost = f"{row.false_stops}/{row.mumbled}" if known else "–"
    return (
        f"{row.engine:<16} {row.calls:>5} {row.turns:>6} {added:>20} "
        f"{f'{row.stop_p50:.0f} / {row.stop_p95:.0f}':>13} "
        f"{lost:>8} {paused:>10} {row.gaps:>4} "
        f"{row.failed + row.dropped:>4} {row.cpu_ms:>7.1f} {row.cpu_share:>5.0%} "
        f"{row.rss_a_call:>8.1f} {row.late_p95:>5.1f} {row.lag_p95:>5.1f}"
    )


def write(done: list[Round]) -> None:
    """Put the measured part into docs/performance.md; the words around it stay."""
    put(_measured(done), BEGIN)


def put(measured: str, begin: str) -> None:
    """Write ``measured`` between the line ``begin`` and the next end mark of the document."""
    before, found, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise RuntimeError(f"{DOCUMENT} has no line {begin}")
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{begin}\n{measured}{END}{after}", encoding="utf-8")


def _measured(done: list[Round]) -> str:
    speeds = [r.speed for r in done]
    lines = [
        "",
        f"Measured {datetime.now(UTC):%d %B %Y, %H:%M} UTC on {machine()}; "
        f"Python {platform.python_version()}, uvicorn {version('uvicorn')}, "
        f"uvloop {version('uvloop')}, deepgram-sdk {version('deepgram-sdk')}, "
        f"anthropic {version('anthropic')}. {len(done)} rounds of {done[0].seconds:.0f} s. "
        f"Between rounds the same loop of plain Python ran {min(speeds):.0f} to "
        f"{max(speeds):.0f} times a second on the engine's core: the machine is not ours alone.",
        "",
        table([COLUMNS, *(_cells(row, done) for row in _sorted(rows(done)))]),
        "",
    ]
    lines += [f"* **{name}**: {words}" for name, words in _verdicts(rows(done)).items()]
    return "\n".join([*lines, "", ""])


def _sorted(table: list[Row]) -> list[Row]:
    engines = list(dict.fromkeys(row.engine for row in table))
    return sorted(table, key=lambda row: (engines.index(row.engine), row.calls))


def _cells(row: Row, done: list[Round]) -> tuple[str, ...]:
    knows_words = row.engine in KNOWN_WORDS
    shares = [f"{r.cpu_ms:.1f}" for r in done if (r.engine, r.calls) == (row.engine, row.calls)]
    return (
        row.engine,
        str(row.calls),
        _holds(row, rows(done)),
        str(row.turns),
        f"{row.added_p50:.0f} / {row.added_p95:.0f} / {row.added_max:.0f}",
        f"{row.stop_p50:.0f} / {row.stop_p95:.0f} ({row.stops})",
        f"{row.false_stops} of {row.mumbled}" if knows_words else "–",
        f"{row.pauses} × {row.pause_p50:.0f} ms" if knows_words else "–",
        str(row.gaps),
        str(row.failed + row.dropped),
        ", ".join(shares),
        f"{row.cpu_share:.0%}",
        f"{row.rss_a_call:.1f}",
    )


def _holds(row: Row, table: list[Row]) -> str:
    """``yes``, ``no``, or a dash where there were too few answers to tell."""
    if row.turns < FEWEST_ANSWERS:
        return "–"
    best = min(other.added_p95 for other in table if other.engine == row.engine)
    return "yes" if holds(row, best) else "no"


def _verdicts(table: list[Row]) -> dict[str, str]:
    verdicts = {}
    for engine in dict.fromkeys(row.engine for row in table):
        mine = [row for row in table if row.engine == engine]
        held = [row.calls for row in mine if _holds(row, table) == "yes"]
        broke = [row.calls for row in mine if _holds(row, table) == "no"]
        words = f"held {max(held)} calls on one core" if held else "held no load that was tried"
        if broke:
            words += f"; broke at {', '.join(map(str, sorted(broke)))}"
        verdicts[engine] = f"{words}."
    return verdicts


def table(cells: list[tuple[str, ...]]) -> str:
    """Markdown of rows, the first of which is the head."""
    head, *body = cells
    rule = tuple("---" for _ in head)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def machine() -> str:
    """What this was measured on."""
    model = "an unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        for entry in info.read_text(encoding="utf-8").splitlines():
            if entry.startswith("model name"):
                model = entry.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.machine()}"
