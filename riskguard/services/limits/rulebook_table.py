"""
The table of docs/rulebooks.md: every check against every shipped rulebook, made from the files.

    python -m riskguard.services.limits.rulebook_table

writes it between its two marks; the argument around it is written by people.
"""

from __future__ import annotations

from typing import Any, Final

from riskguard.core.checks import EVERY
from riskguard.core.limits import Limit
from riskguard.core.money import rupees, to_e4
from riskguard.core.rulebook import HERE, parse
from riskguard.locate import folder, rulebook_text

BEGIN: Final = "<!-- begin: made by python -m riskguard.services.limits.rulebook_table -->"
END: Final = "<!-- end -->"
DEMO: Final = "demo-index-futures"
ORDER: Final = ("default", "intraday-equity", "intraday-options", "copy-trading", "sebi-algo", DEMO)
UNITS: Final = (
    ("_inr_max", "₹"), ("_inr", "₹"), ("_pct_max", " %"), ("_s_max", " s"), ("_lots_max", " lots"), ("leverage_max", " times"),
    ("_max", ""), ("_pct", " %"), ("_per_s", " a second"), ("_s", " s"),
)  # fmt: skip
"""Endings of parameters by their unit, the longer before the shorter."""


def names() -> tuple[str, ...]:
    """Return the shipped rulebooks, those of `ORDER` first."""
    found = sorted(path.stem for path in folder("rules").glob("*.toml"))
    return (*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER))


def table() -> str:
    """Return the table: a row per check, a column per rulebook."""
    books = {name: parse(rulebook_text(name), account=HERE).limits for name in names()}
    lines = [
        "| check | " + " | ".join(f"`{name}`" for name in books) + " |",
        "|---|" + "---|" * len(books),
    ]
    for check in EVERY:
        cells = [
            "<br>".join(_cell(limit) for limit in limits if limit.check is check) or "–" for limits in books.values()
        ]
        lines.append(f"| `{check.name}`{' *' if check.mandatory else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(limit: Limit) -> str:
    given: dict[str, Any] = limit.params.model_dump(mode="json", exclude_none=True)
    shown = {name: value for name, value in given.items() if name not in ("unit", "per") and value is not False}
    said = ", ".join(_value(name, value, given) for name, value in shown.items()) or "on"
    if "per" in given and given["per"] != "instrument":
        said += f" per {given['per']}"
    if limit.scope.kind != "ACCOUNT":
        said += f" in {limit.scope}"
    mode = "shadow" if limit.mode == "shadow" else limit.on_breach
    if limit.check.plan == limit.plan == "flatten" and limit.on_breach not in ("warn", "kill"):
        mode += " and flatten"
    return f"{said}; {mode}"


def _value(name: str, value: Any, given: dict[str, Any]) -> str:
    """Write one parameter with its unit."""
    if isinstance(value, list):
        return f"{name.replace('_', ' ')} " + " ".join(_inside(each) for each in value)
    if isinstance(value, dict):
        return f"{name} {_inside(value)}"
    if name in ("quantity_max", "position_max"):
        return _rupees(value) if given.get("unit") == "inr" else f"{_plain(value)} {given.get('unit', '')}"
    for ending, unit in UNITS:
        if name.endswith(ending) and value != "none":
            words = name.removesuffix(ending).replace("_", " ")
            shown = _rupees(value) if unit == "₹" else f"{_plain(value)}{unit}"
            return f"{words} {shown}".strip()
    return f"{name.replace('_', ' ')} {_plain(value)}"


def _rupees(value: Any) -> str:
    return rupees(to_e4(value)).removesuffix(".00")


def _plain(value: Any) -> str:
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _inside(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "messages_max" in value:
        return f"{value['messages_max']}/{_plain(value['per_s'])} s (reserve {value['reserve']})"
    return " or ".join(
        f"{_plain(each)} {name.split('_')[1].replace('pct', '%')}" for name, each in value.items() if each is not None
    )


def page(text: str) -> str:
    """Return *text* with the table between its marks; raises ValueError when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no `{BEGIN}` … `{END}`")
    note = "A star marks a mandatory check. `reject` refuses; `halt` and `kill` stop more; `shadow` is recorded, not enforced."
    return f"{before}{BEGIN}\n\n{table()}\n\n{note}\n\n{END}{after}"


def main() -> None:
    """Rewrite the table in docs/rulebooks.md of this checkout."""
    path = folder("rules").parent / "docs" / "rulebooks.md"
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
