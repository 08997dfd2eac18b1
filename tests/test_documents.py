"""Goal: what the documents say is there is there, and what is there is documented."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskguard import RejectCode, errors
from riskguard.cli.app import whole
from riskguard.core.checks import EVERY
from riskguard.locate import folder
from riskguard.services.settings import PREFIX, DatabaseSettings, ProcessSettings
from riskguard.store.engines.postgresql_store import PostgresStore
from riskguard.store.engines.sqlite_store import SqliteStore
from riskguard.store.halt import ARMED, GATE, HALT

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(```|~~~).*?^\1", flags=re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return [path for path in files() if path.suffix == ".md"]


def files() -> list[Path]:
    """Every file that is in the repository or would be added to it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# -- commands ----------------------------------------------------------------------------------------------------------


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every command below *command* with its words."""
    for name, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from commands(below, (*path, name))
        else:
            yield (*path, name), below


COMMANDS = dict(commands(whole()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_documented(words: tuple[str, ...]) -> None:
    """`riskguard <command>` stands in README.md or docs/; a command of a group may stand in its group's row."""
    said = text("README.md") + "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))
    )

    row = rf"`riskguard {words[0]} [^`\n]*`[^|\n]*`{words[-1]}`" if len(words) > 1 else None
    assert f"riskguard {' '.join(words)}" in said or (row and re.search(row, said)), " ".join(words)


def test_every_documented_command_exists() -> None:
    """No document shows `riskguard something` that the command does not know."""
    known = {words[0] for words in COMMANDS}

    for path in documents():
        shown = re.findall(r"(?:^\$ |`)riskguard ([a-z][a-z-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(shown) <= known, f"{path.name}: {set(shown) - known}"


def test_every_option_of_the_readme_exists() -> None:
    """The options of README's console lines are options of their command."""
    for line in re.findall(r"^\$ riskguard (.+)$", text("README.md"), flags=re.MULTILINE):
        if line.startswith("kill"):
            continue  # reads its own words: tests/cli/test_kill_command.py
        words = line.split()
        command = COMMANDS[tuple(words[:2])] if tuple(words[:2]) in COMMANDS else COMMANDS[(words[0],)]
        known = {option for each in command.params for option in each.opts}  # type: ignore[attr-defined]
        assert {word for word in words if word.startswith("--")} <= known, line


# -- codes, errors, settings -------------------------------------------------------------------------------------------


def test_every_reject_code_is_explained_in_order_of_precedence() -> None:
    """One row per code in docs/codes.md, in the order refusals come in, and no row for a code that is gone."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|", text("docs/codes.md"), flags=re.MULTILINE)

    assert rows == [code.value for code in RejectCode]


def test_codes_name_only_checks_that_exist() -> None:
    """The column `asked by` names checks, or one of the few others who refuse."""
    others = {"the journal", "the latch", "the basket", "the copies", "the guard", "`decide`", "–"}
    named = re.findall(r"^\| `[A-Z_]+` \|[^|]*\| ([^|]+) \|", text("docs/codes.md"), flags=re.MULTILINE)

    for cell in named:
        for word in cell.split(", "):
            assert word in others or word.strip("`") in {check.name for check in EVERY}, word


def tree() -> dict[str, str | None]:
    """Read the tree at the top of errors.py: each class with the one it hangs on."""
    found: dict[str, str | None] = {}
    path: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        match = re.match(r"^\s*([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            del path[depth:]
            found[match[2]] = path[-1] if path else None
            path.append(match[2])
    return found


def test_the_tree_of_errors_is_the_tree_of_classes() -> None:
    """Every error stands in it, under the class it derives from."""
    classes = {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, errors.RiskGuardError)
    }

    assert tree() == {
        name: None if found is errors.RiskGuardError else found.__bases__[0].__name__ for name, found in classes.items()
    }


def test_every_setting_is_documented() -> None:
    """Rows of the database, variables of the process, and the files beside them."""
    said = text("docs/settings.md")

    for name in DatabaseSettings.model_fields:
        assert f"`{PREFIX}{name}`" in said, name
    for name in ProcessSettings.model_fields:
        assert f"`RISKGUARD_{name.upper()}`" in said, name
    for name in (HALT, ARMED, GATE, "spool"):
        assert f"`{name}/`" in said, name


def test_every_variable_the_code_reads_is_documented() -> None:
    """Each `RISKGUARD_…` that stands in the package stands in docs/settings.md, and the other way round."""
    used = {
        name
        for path in (ROOT / "riskguard").rglob("*.py")
        for name in re.findall(r"\bRISKGUARD_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    } | {f"RISKGUARD_{name.upper()}" for name in ProcessSettings.model_fields}

    assert used == set(re.findall(r"\bRISKGUARD_[A-Z_]*[A-Z]\b", text("docs/settings.md")))


def test_every_default_of_the_settings_is_the_documented_one() -> None:
    """The number in the table is the number in the code."""
    said = text("docs/settings.md")
    for name, found in DatabaseSettings.model_fields.items():
        (row,) = [line for line in said.splitlines() if line.startswith(f"| `{PREFIX}{name}`")]
        assert str(found.default) in row, name
    assert f"default {SqliteStore.deadline_ms_usual}, on PostgreSQL {PostgresStore.deadline_ms_usual}" in said


def test_every_check_has_a_limit_in_a_shipped_rulebook() -> None:
    """A check nobody's rulebook shows is one nobody will find."""
    shipped = "".join(path.read_text(encoding="utf-8") for path in folder("rules").glob("*.toml"))

    for check in EVERY:
        assert f'check = "{check.name}"' in shipped, check.name


# -- links and words ---------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_inside_the_repository_resolve() -> None:
    """Every relative link of every document names a file, and a heading where it names one."""
    broken = []
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            found = (path.parent / name).resolve() if name else path
            if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
                broken.append(f"{path.relative_to(ROOT)}: {target}")

    assert broken == []


# In parts, so that this file does not hold what it looks for.
NEVER = tuple(
    "".join(parts)
    for parts in (
        ("/ro", "ot/"), ("/wo", "rk/"), ("/ho", "me/user"), ("../sha", "red"), ("py", "pi.org"), ("python", "hosted.org"),
        ("index", "-url"), ("BEGIN ", "PRIVATE KEY"), ("BEGIN RSA ", "PRIVATE KEY"), ("gh", "p_"), ("xox", "b-"),
        ("eyJ", "hbGciOi"), ("access-token", ": "),
    )
)  # fmt: skip
"""Paths of one machine, addresses of package indexes, and beginnings of secrets."""

SUFFIXES_READ = {
    "", ".cfg", ".csv", ".ini", ".json", ".md", ".mako", ".py", ".sh", ".sql", ".toml", ".txt", ".typed", ".yaml", ".yml",
}  # fmt: skip


def test_no_file_holds_what_belongs_to_one_machine() -> None:
    """No private path, index address or secret in any text file of the repository."""
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files()
        if path.suffix in SUFFIXES_READ
        for word in NEVER
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert found == []


def test_no_database_flag_or_key_is_in_the_repository() -> None:
    """Only the test data of earlier schema versions may be database files."""
    found = [
        path.relative_to(ROOT)
        for path in files()
        if path.suffix in {".db", ".sqlite3", ".key", ".pem", ".env"} and "tests" not in path.relative_to(ROOT).parts
    ]

    assert found == []
