"""What the documents say of the project is so: links, commands, settings, error codes."""

import re
from pathlib import Path

import pytest

from nixflex.tests.error_codes import ALSO, error_codes

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md"), PROJECT / "sandbox/README.md"]
)


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_relative_link_leads_somewhere(document: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(document))
    own = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]

    assert [link for link in own if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_make_target_named_exists(document: Path):
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z][a-z-]*)", text_of(document), re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_file_and_command_named_exists(document: Path):
    said = text_of(document)
    commands = re.findall(r"manage\.py ([a-z_]+)", said)
    ours = {path.stem for path in PROJECT.glob("*/management/commands/*.py")}
    files = re.findall(
        r"`((?:nixflex|media|calls|agents|accounts|deploy)/[\w/.]+\.(?:py|sh))`", said
    )

    assert set(commands) <= ours | {"migrate", "check", "createsuperuser", "shell", "axes_reset"}
    assert [name for name in files if not (PROJECT / name).exists()] == []


@pytest.mark.parametrize("name", ["docs/operations.md", "README.md"])
def test_every_setting_named_is_one(name: str):
    listed = set(re.findall(r"^([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    said = text_of(PROJECT / name)
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", said))
    named |= set(re.findall(r"^([A-Z_]+)=", said, re.MULTILINE))

    elsewhere = {"WORKER_CONCURRENCY", "FORWARDED_ALLOW_IPS", "KEY", "API", "DEMO_EXIT"}
    assert named - listed <= elsewhere


def test_every_error_code_is_documented_under_its_status():
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", text_of(PROJECT / "docs/api.md"), re.MULTILINE)
    documented = {code: int(status) for status, row in rows for code in re.findall(r"`(\w+)`", row)}
    raised = error_codes(PROJECT)

    assert len(raised) > 40
    assert documented == raised | ALSO, "run python -m nixflex.tests.error_codes"


def test_the_makefile_hides_no_setting():
    variables = set(re.findall(r"^([A-Z_]+) :?=", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    settings = set(re.findall(r"^([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))

    assert variables
    assert variables & settings == set()
