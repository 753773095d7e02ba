"""The outside as tests need it: the sandbox's carrier as a process, and the official SDK."""

import base64
import contextlib
import importlib.util
import json
import site
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from conftest import PATIENCE_S, reserved_ports

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox; its test account and numbers are the documented ones."""

    url: str
    sid: str = "AC5a2d0b0c5a2d0b0c5a2d0b0c5a2d0b0c"
    token: str = "5a2db0c05a2db0c05a2db0c05a2db0c0"

    def number(self, phone_number: str) -> dict[str, Any]:
        """Return the carrier's resource of one of its numbers, as its REST API shows it."""
        path = f"/2010-04-01/Accounts/{self.sid}/IncomingPhoneNumbers.json"
        request = urllib.request.Request(self.url + path)
        basic = base64.b64encode(f"{self.sid}:{self.token}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            found = json.load(answer)["incoming_phone_numbers"]
        return next(one for one in found if one["phone_number"] == phone_number)


@contextlib.contextmanager
def running_sandbox(*parts: str) -> Iterator[Sandbox]:
    """Run the sandbox with these parts on a free port until the block ends."""
    with reserved_ports() as port:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", str(port), "--only", ",".join(parts)],
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(f"{url}/_sandbox/health", process)
            yield Sandbox(url)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read().decode() if process.stderr else ""
            raise RuntimeError(f"the sandbox ended at start:\n{said}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError("the sandbox did not come up")


def official_sdk() -> ModuleType:
    """Return the unmodified ``nixflex`` SDK as ``nixflex_sdk``: our project has its name."""
    if "nixflex_sdk" in sys.modules:
        return sys.modules["nixflex_sdk"]
    for folder in site.getsitepackages():
        package = Path(folder) / "nixflex"
        if (package / "__init__.py").exists():
            spec = importlib.util.spec_from_file_location(
                "nixflex_sdk",
                package / "__init__.py",
                submodule_search_locations=[str(package)],
            )
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules["nixflex_sdk"] = module
            spec.loader.exec_module(module)
            return module
    raise RuntimeError("the nixflex SDK is not installed: pip install -r requirements-dev.txt")
