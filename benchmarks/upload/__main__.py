"""A CSV of 100,000 people, from the upload to a campaign that is ready: ``python -m
benchmarks.upload``.

A whole installation (``manage.py run``, a database of its own) takes the file over its API, as a
customer sends it: half of the people in the United Kingdom, half in the United States, one row in
a hundred bad, one in a hundred repeated. Beside it, for scale, PostgreSQL copies the same rows into
a bare table. Nobody is called.
"""

import argparse
import csv
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from benchmarks.house import House, open_office
from nixflex.embedded import places

LIMIT_S = 20.0
LIMIT_MIB = 64.0


def rows(count: int) -> list[tuple[str, str, str, str]]:
    found: list[tuple[str, str, str, str]] = []
    for n in range(count):
        number = f"+44738{n + 6_000_000:07d}"
        if n % 2:
            number = f"+1212{n % 8 + 2}{n // 8 + 100_000:06d}"
        if n % 100 == 3:
            number = "+44123"
        if n % 100 == 7:
            number = found[-2][0]
        found.append((number, f"Person {n}", "Tuesday at two", "London"))
    return found


def as_csv(people: list[tuple[str, str, str, str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("phone", "name", "time", "city"), *people])
    return out.getvalue().encode()


def bare_copy_s(house: House, people: list[tuple[str, str, str, str]]) -> float:
    url = places.database_url(house.environment["NIXFLEX_DATA_DIR"])
    with psycopg.connect(url.replace("postgres://", "postgresql://")) as connection:
        connection.execute("CREATE TABLE bare (phone text, name text, time text, city text)")
        began = time.monotonic()
        with connection.cursor().copy("COPY bare FROM STDIN") as copy:
            for row in people:
                copy.write_row(row)
        connection.commit()
        return time.monotonic() - began


def memory_mib(pid: int, which: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {which} of {pid}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upload")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    people = rows(options.rows)
    file = as_csv(people)
    with (
        tempfile.TemporaryDirectory(prefix="nixflex-upload-") as folder,
        House(Path(folder)) as house,
    ):
        office = open_office(house, lines=10, name="Upload")
        draft = {"agent_id": office.agent_id, "recipients": [], "schedule_type": "draft"}
        campaign = office.api.send("POST", "/calls/batch", draft)
        url = f"{house.url}/v1/campaigns/{campaign['campaign_id']}/recipients"
        headers = {**office.api.headers, "Content-Type": "text/csv"}
        web = house.pid("web")
        assert web is not None
        httpx.get(f"{house.url}/readyz", timeout=10)
        before = memory_mib(web, "VmRSS")
        began = time.monotonic()
        answer = httpx.post(url, content=file, headers=headers, timeout=600)
        took = time.monotonic() - began
        answer.raise_for_status()
        grown = memory_mib(web, "VmHWM") - before
        intake = answer.json()
        copy_s = bare_copy_s(house, people)
    print("\n| what | |\n| --- | --- |")
    for what, value in (
        ("rows", f"{options.rows:,} ({len(file) / 1e6:.1f} MB)"),
        ("people added", f"{intake['added_count']:,}"),
        ("bad rows, each with its line and reason", f"{intake['invalid_count']:,}"),
        ("repeated and merged", f"{intake['duplicates_count']:,}"),
        ("seconds from the request to the answer", f"{took:.1f}"),
        ("memory of the web process above its rest, MiB, at the peak", f"{grown:.0f}"),
        ("the same rows by bare `COPY`, seconds", f"{copy_s:.1f}"),
        ("load", f"{os.getloadavg()[0]:.1f}"),
    ):
        print(f"| {what} | {value} |")
    held = took <= LIMIT_S * options.rows / 100_000 and grown <= LIMIT_MIB
    print("\nHeld." if held else "\nNOT held.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
