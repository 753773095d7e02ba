"""What a soak found: a table over time and a verdict."""

from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import linear_regression

from benchmarks.soak.watching import Sample
from benchmarks.voice.report import machine, put, table

ROWS = 12
# What the process keeps on purpose: voices that wait for the next call, and as many connections to
# the model as there were replies at the same time.
VOICES_AHEAD = 2
# While calls come together as never before, memory grows in steps and stays there: freed pieces lie
# between used ones, and Python keeps up to 2,000 freed tuples of each length for new ones. A leak
# goes on in the later half. So does little else, and that is measured between two moments without a
# call, in the middle and at the end, after the process has collected its garbage: what is left then
# is held by somebody. (The process's size alone would not show it: a leak first fills the holes.)
MOST_MIB = 2.0
MOST_OBJECTS_A_CALL = 10  # of up to 512 bytes each; larger ones are in the heap
MOST_HEAP_A_CALL = 1024
# A pool of connections has as many as its threads ever wanted at the same time: seldom one more.
MOST_NEW_CONNECTIONS = 1
COLUMNS = (
    "after",
    "calls over",
    "live",
    "memory, MiB",
    "objects, thousands",
    "heap, MiB",
    "tasks",
    "files",
    "threads",
    "database connections",
    "lines taken",
)
HEAD = "{:>8} {:>6} {:>5} {:>8} {:>8} {:>6} {:>6} {:>6} {:>8} {:>6} {:>6}"


@dataclass
class Soak:
    """Times in ms, memory in MiB. ``samples`` begin and end with a process that has no call."""

    at_once: int
    turns: int
    calls: int
    answers: int
    added_p50: float
    added_p95: float
    lost: int
    gaps: int
    load: float  # of the machine, over the last five minutes
    samples: list[Sample]
    warm: Sample  # nobody talks, but a first crowd has
    middle: Sample  # nobody talks, half of all has been said
    written: dict[str, int]


def cells(sample: Sample) -> tuple[str, ...]:
    return (
        f"{sample.s / 60:.1f} min",
        str(sample.calls_over),
        str(sample.live),
        f"{sample.rss_mib:.1f}",
        f"{sample.objects / 1000:.1f}",
        f"{sample.heap / 2**20:.1f}",
        str(sample.tasks),
        str(sample.files.all),
        str(sample.threads),
        str(sample.connections),
        str(sample.occupying),
    )


def line(sample: Sample) -> str:
    return HEAD.format(*cells(sample))


def told(soak: Soak) -> str:
    """The whole result for the terminal."""
    return "\n".join([*summary(soak), *(f"  {one}" for one in verdict(soak))])


def begin(soak: Soak) -> str:
    """The line of docs/performance.md under which such a soak belongs."""
    return f"<!-- begin: python -m benchmarks.soak, {soak.at_once} at once -->"


def write(soak: Soak) -> None:
    step = max(1, (len(soak.samples) - 2) // (ROWS - 2))
    shown = [soak.samples[0], *soak.samples[1:-1:step], soak.samples[-1]]
    text = [
        "",
        f"Measured {datetime.now(UTC):%d %B %Y, %H:%M} UTC on {machine()}, load {soak.load:.1f}. "
        + " ".join(summary(soak)),
        "",
        table([COLUMNS, *(cells(sample) for sample in shown)]),
        "",
        *(f"* {one}" for one in verdict(soak)),
        "",
        "",
    ]
    put("\n".join(text), begin(soak))


def summary(soak: Soak) -> list[str]:
    first, last = soak.samples[0], soak.samples[-1]
    call_seconds = sum(
        before.live * (after.s - before.s)
        for before, after in zip(soak.samples, soak.samples[1:], strict=False)
    )
    cpu = 1000 * (last.cpu_s - first.cpu_s) / max(call_seconds, 1.0)
    return [
        f"{soak.calls} calls, {soak.at_once} at once, {soak.turns} turns each, in "
        f"{last.s / 60:.0f} minutes.",
        f"{soak.calls - soak.written['opened']} were refused, as by a process that runs late.",
        f"{soak.answers} answers, {soak.added_p50:.0f} / {soak.added_p95:.0f} ms added (p50 / "
        f"p95), {soak.lost} lost, {soak.gaps} with a gap; {cpu:.1f} ms of processor time per "
        "call-second.",
        f"Written: {soak.written['turns']} turns, {soak.written['events']} events, "
        f"{soak.written['flight_pieces']} pieces of flight logs.",
    ]


def growth(soak: Soak) -> float:
    """MiB that the process grew in the later half of the talking, by a straight line through it."""
    talking = [sample for sample in soak.samples if sample.live >= soak.at_once / 2]
    half = talking[len(talking) // 2 :]
    if len(half) < 2:
        return 0.0
    slope = linear_regression([one.s for one in half], [one.rss_mib for one in half]).slope
    return slope * (half[-1].s - half[0].s)


def leaks(soak: Soak) -> list[str]:
    """What is more at the end than it was before; empty: nothing."""
    first, last = soak.samples[0], soak.samples[-1]
    busy = [sample for sample in soak.samples if sample.live]
    most = {name: max(getattr(one, name) for one in busy) for name in ("threads", "connections")}
    found = []
    if last.tasks > first.tasks:
        found.append(f"{last.tasks - first.tasks} tasks were left")
    if last.live or last.occupying:
        found.append(f"{last.live} calls and {last.occupying} lines were left")
    if soak.written["closed"] < soak.written["opened"]:
        never = soak.written["opened"] - soak.written["closed"]
        found.append(f"{never} sockets were never closed on record")
    # Connections to the providers and the database may be kept for the next call.
    quarter = [sample for sample in busy if sample.s <= busy[-1].s / 4] or busy
    for name in ("threads", "connections"):
        early = max(getattr(one, name) for one in quarter)
        if most[name] > early + 2:
            found.append(f"{name} went on growing, from {early} to {most[name]}")
    found += [
        f"{count} {name} were left open" for name, count in left_open(soak).items() if count > 0
    ]
    if growth(soak) > MOST_MIB:
        found.append(f"memory went on growing, by {growth(soak):.1f} MiB in the later half")
    if objects_a_call(soak) > MOST_OBJECTS_A_CALL:
        found.append(f"{objects_a_call(soak):.1f} objects are left of each call")
    if heap_a_call(soak) > MOST_HEAP_A_CALL:
        found.append(f"{heap_a_call(soak):.0f} bytes of the heap are left of each call")
    return found


def left_open(soak: Soak) -> dict[str, int]:
    """Files that a quiet process has no use for, by what they are."""
    warm, middle, last = soak.warm, soak.middle, soak.samples[-1]
    left = {
        "callers' sockets": last.files.callers,
        "recordings": last.files.recordings,
        "transcriber's sockets": last.listening,
        "voice sockets": last.voices - VOICES_AHEAD,
        "connections to the model": max(idle(last) - soak.at_once, last.stale),
    }
    for name, count in last.files.servers.items():
        before = middle.files.servers.get(name, 0)
        left[f"connections to {name}"] = count - before - MOST_NEW_CONNECTIONS
    for name, count in last.files.others.items():
        left[f"of {name}"] = count - warm.files.others.get(name, 0)
    return left


def idle(sample: Sample) -> int:
    """Connections to the model, once nobody talks."""
    return sample.files.providers - sample.listening - sample.voices


def objects_a_call(soak: Soak) -> float:
    """Pieces of memory that Python's objects hold, left by a call of the later half."""
    return (soak.samples[-1].objects - soak.middle.objects) / _later_calls(soak)


def heap_a_call(soak: Soak) -> float:
    """Bytes of the C library's heap, left by a call of the later half."""
    return (soak.samples[-1].heap - soak.middle.heap) / _later_calls(soak)


def _later_calls(soak: Soak) -> int:
    return max(1, soak.samples[-1].calls_over - soak.middle.calls_over)


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def verdict(soak: Soak) -> list[str]:
    first, last = soak.samples[0], soak.samples[-1]
    return [
        f"Memory: {first.rss_mib:.1f} MiB before, {last.rss_mib:.1f} after; {growth(soak):+.1f} in "
        f"the later half of the talking, where {MOST_MIB:.0f} are allowed.",
        f"Held by somebody, when nobody talks: {soak.warm.objects} objects after a first crowd, "
        f"{soak.middle.objects} in the middle, {last.objects} at the end: "
        f"{objects_a_call(soak):+.1f} a call of the later half, where {MOST_OBJECTS_A_CALL} are "
        f"allowed; {soak.warm.heap / 2**20:.2f}, {soak.middle.heap / 2**20:.2f} and "
        f"{last.heap / 2**20:.2f} MiB of the heap: {heap_a_call(soak):+.0f} bytes a call, where "
        f"{MOST_HEAP_A_CALL} are.",
        f"Tasks: {first.tasks} before, {last.tasks} after. Threads: {first.threads} and "
        f"{last.threads}. Lines taken at the end: {last.occupying}.",
        f"Open files: {first.files.all} before, {last.files.all} after. Kept on purpose: "
        f"{last.voices} voices for the next calls, {idle(last)} connections to the model; to "
        f"servers {_named(last.files.servers)} (in the middle "
        f"{_named(soak.middle.files.servers)}, before {_named(first.files.servers)}). Callers' "
        f"sockets: {last.files.callers}, transcriber's: {last.listening}, recordings: "
        f"{last.files.recordings}.",
        "Nothing leaked." if not leaks(soak) else f"Leaked: {'; '.join(leaks(soak))}.",
    ]
