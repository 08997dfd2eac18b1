"""Finds `rules/` and `schema/`: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from riskguard.errors import SettingsError


def folder(name: str) -> Path:
    """Return the directory of that name; raises SettingsError when the installation is incomplete."""
    package = Path(__file__).resolve().parent
    # A checkout first: an editable install copies the folders into the package once and lets them go stale.
    for candidate in (package.parent / name, package / name):
        if candidate.is_dir() and (candidate.parent == package or (package.parent / "pyproject.toml").is_file()):
            return candidate
    raise SettingsError(f"this installation has no `{name}` folder: install riskguard again")


def rulebook_text(name_or_path: str) -> str:
    """Return a rulebook's text: a shipped one by name (`default`), or any file by path."""
    path = Path(name_or_path)
    shipped = folder("rules") / f"{name_or_path}.toml"
    if path.suffix != ".toml" and path.name == name_or_path and shipped.is_file():
        path = shipped
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        known = ", ".join(sorted(each.stem for each in folder("rules").glob("*.toml")))
        raise SettingsError(f"cannot read rulebook `{name_or_path}` ({type(e).__name__}); shipped: {known}") from None
