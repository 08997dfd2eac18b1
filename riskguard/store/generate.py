"""
Writes the row models, `riskguard/store/rows/<area>.py`, from the declared tables: `python -m riskguard.store.generate`.

The tables are the one declaration. A column's builder says its kind by its type and its CHECK; the model says the
same in words a program can be told by, before the database is asked. Run it after changing a table.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import sqlalchemy as sa

from riskguard.store import tables
from riskguard.store.tables.base import INTEGER, Stored

SECRETS: Final = frozenset({"access_token", "refresh_token", "tpin", "webhook_secret", "signature"})
RAW: Final = frozenset(
    {"raw_request", "raw_response", "raw_data", "raw", "payload", "request_data", "response_data", "event_data", "body",
     "context", "stack_trace"}
)  # fmt: skip
"""Messages as they came: they may hold anything, so `repr` and errors leave them out."""
RATIOS: Final = frozenset({("positions", "multiplier"), ("copy_mappings", "capital_ratio")})
"""REAL columns that are not money."""
MAY_BE_EMPTY: Final = frozenset({("kill_steps", "client_order_id")})
NAMES: Final = {"funds": "FundsRow", "traders_control": "TradersControlRow", "live_watches": "LiveWatchRow"}
"""Models that are not called like one of their rows."""

TYPES: Final = ("AccountName", "Flag", "Money", "Ratio", "Row", "Said", "Secret", "Text", "Whole", "one_of")

TEXT_CHARS_MAX: Final = 95

HEADER: Final = '''"""
Rows of {area}, as typed models: one class a table, its columns in their order.

Generated from riskguard/store/tables/{area}.py by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from typing import {typing}

from pydantic import Field

from riskguard.store.rows.base import {types}
'''


def row_name(table: str) -> str:
    """Return the name of a table's row model: `orders` -> `OrderRow`."""
    if table in NAMES:
        return NAMES[table]
    one = f"{table[:-3]}y" if table.endswith("ies") else table.removesuffix("s")
    return "".join(word.title() for word in one.split("_")) + "Row"


def areas() -> dict[str, list[sa.Table]]:
    """Return every declared table by the file that declares it, in order of declaration."""
    found: dict[str, list[sa.Table]] = {}
    for area in sorted(vars(tables)):
        module = getattr(tables, area)
        if isinstance(module, ModuleType) and area != "base":
            own = [each for each in vars(module).values() if isinstance(each, sa.Table)]
            # A file may import a table from another one; it belongs to the first that has it under its own name.
            own = [each for each in own if getattr(module, each.name, None) is each and _declares(module, each.name)]
            if own:
                found[area] = own
    return found


def _declares(module: ModuleType, table: str) -> bool:
    return f"\n{table} = table(" in inspect.getsource(module)


def source(area: str, declared: list[sa.Table]) -> str:
    """Return the text of `rows/<area>.py`."""
    classes = "".join(f"\n\n{_class(table)}" for table in declared)
    used = [name for name in TYPES if re.search(rf"(: |\[|\b){name}\b(?!\")", classes)]
    typing = ", ".join(name for name in ("Annotated", "ClassVar") if name in classes)
    text = HEADER.format(area=area, typing=typing, types=", ".join(used)) + classes
    if "Decimal(" in text:
        text = text.replace("from typing import", "from decimal import Decimal\nfrom typing import", 1)
    return text if "Field(" in classes else text.replace("from pydantic import Field\n\n", "", 1)


def _class(table: sa.Table) -> str:
    about = textwrap.fill(f'"""{table.info["about"]}"""', 110, initial_indent="    ", subsequent_indent="    ")
    if "\n" in about:
        inner = textwrap.fill(table.info["about"], 110, initial_indent="    ", subsequent_indent="    ")
        about = f'    """\n{inner}\n    """'
    lines = [f"class {row_name(table.name)}(Row):", about, "", f'    TABLE: ClassVar[str] = "{table.name}"', ""]
    bounds = _bounds(table)
    for column in table.columns:
        lines += _field(table, column, bounds.get(column.name, {}))
    return "\n".join(lines) + "\n"


def _field(table: sa.Table, column: sa.Column[Any], bound: dict[str, Any]) -> list[str]:
    kind = _kind(table, column, bound)
    numbered = column.autoincrement is True
    default = _default(column, kind)
    said: list[str] = []
    if numbered or default is not None or column.nullable:
        said.append(f"default={default}")
    said += [f"{word}={bound[word]}" for word in ("ge", "gt", "lt") if word in bound and kind in ("Whole", "Money")]
    meaning = "given by the database; None in a row not written yet" if numbered else column.doc
    if meaning and meaning != "0 or 1":
        said.append(f"description={_broken(meaning)}")
    if column.name in RAW:
        said.append("repr=False")
    optional = " | None" if column.nullable or numbered else ""
    line = f"    {column.name}: {kind}{optional}"
    if said == [f"default={default}"]:
        return [f"{line} = {default}"]
    if not said:
        return [line]
    return [f"{line} = Field({', '.join(said)})"]


def _kind(table: sa.Table, column: sa.Column[Any], bound: dict[str, Any]) -> str:
    """Return the type of the column, spelt as `rows.base` has it."""
    if column.name in SECRETS:
        return "Secret"
    if isinstance(column.type, (sa.Double, sa.Float)):
        return "Ratio" if (table.name, column.name) in RATIOS else "Money"
    if isinstance(column.type, type(INTEGER)):
        return "Flag" if bound.get("in") == (0, 1) else "Whole"
    if "in" in bound:
        return f"Annotated[Text, one_of({', '.join(_quoted(word) for word in bound['in'])})]"
    if bound.get("account"):
        return "AccountName"
    names_something = column.name == "id" or column.name.endswith("_id") or column.primary_key
    names_something = names_something or column.name == "exchange_segment"
    unsaid = column.nullable or column.server_default is not None or (table.name, column.name) in MAY_BE_EMPTY
    return "Said" if bound.get("said") or (names_something and not unsaid) else "Text"


def _default(column: sa.Column[Any], kind: str) -> str | None:
    """Return the default as the model writes it; None: the column has none and must be given."""
    given = column.server_default
    if not isinstance(given, sa.DefaultClause):
        return "None" if column.nullable or column.autoincrement is True else None
    text = str(given.arg).strip("'")
    if kind == "Flag":
        return "True" if text == "1" else "False"
    if kind in ("Money", "Ratio"):
        return f"Decimal({_quoted(text)})"
    return text if kind == "Whole" else _quoted(text)


def _bounds(table: sa.Table) -> dict[str, dict[str, Any]]:
    """Return what the table's CHECKs on single columns say."""
    found: dict[str, dict[str, Any]] = {}
    for check in table.constraints:
        if isinstance(check, sa.CheckConstraint):
            for column, word, value in _said_by(check.sqltext):
                found.setdefault(column, {})[word] = value
    return found


def _said_by(check: Any) -> Iterator[tuple[str, str, Any]]:
    if isinstance(check, Stored):
        if check.bound is not None and "real" not in check.kinds:
            yield from _said_by(check.bound)
        return
    if isinstance(check, sa.sql.elements.BooleanClauseList):  # an account: not empty, not too long
        yield from ((column, "account", True) for column, word, _ in map(_first, check.clauses[:1]) if word == "said")
        return
    if not isinstance(check, sa.BinaryExpression):
        return
    left, right, operator = check.left, check.right, check.operator.__name__
    if isinstance(left, sa.sql.functions.Function):
        if left.name == "trim":
            yield next(iter(left.clauses)).name, "said", True
    elif isinstance(left, sa.ColumnClause) and operator == "in_op":
        yield left.name, "in", tuple(right.value)
    elif isinstance(left, sa.ColumnClause) and operator in ("ge", "gt", "lt") and isinstance(right, sa.BindParameter):
        yield left.name, operator, right.value


def _first(check: Any) -> tuple[str, str, Any]:
    return next(_said_by(check), ("", "", None))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _broken(text: str) -> str:
    """Return *text* as Python writes it; a long one in parts, which the formatter cannot make."""
    if len(text) <= TEXT_CHARS_MAX:
        return _quoted(text)
    parts = textwrap.wrap(text, TEXT_CHARS_MAX, break_long_words=False)
    return f"({' '.join(_quoted(part + (' ' if part is not parts[-1] else '')) for part in parts)})"


def index(found: dict[str, list[sa.Table]]) -> str:
    """Return the text of `rows/__init__.py`: every model by name, imported at its first use."""
    homes = {row_name(table.name): area for area, declared in found.items() for table in declared}
    typed = "".join(
        f"    from riskguard.store.rows.{area} import {', '.join(sorted(row_name(table.name) for table in declared))}\n"
        for area, declared in found.items()
    )
    return f'''"""
Every row of the database as a typed model: one class a table.

Generated by `python -m riskguard.store.generate`; do not edit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
{typed}
_HOME_OF = {{
{"".join(f'    "{name}": "{homes[name]}",{chr(10)}' for name in sorted(homes))}}}

__all__ = [
{"".join(f'    "{name}",{chr(10)}' for name in sorted(homes))}]


def __getattr__(name: str) -> Any:
    """Import a model at its first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module `riskguard.store.rows` has no attribute `{{name}}`")
    found = getattr(import_module(f"riskguard.store.rows.{{_HOME_OF[name]}}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({{*globals(), *__all__}})
'''


def files() -> dict[str, str]:
    """Return every generated file of `riskguard/store/rows/`, name and text; the formatter breaks its lines."""
    found = areas()
    written = {f"{area}.py": source(area, declared) for area, declared in found.items()}
    return {name: _formatted(name, text) for name, text in {**written, "__init__.py": index(found)}.items()}


def _formatted(name: str, text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", f"riskguard/store/rows/{name}", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, encoding="utf-8").stdout


if __name__ == "__main__":
    for name, text in files().items():
        (Path(__file__).parent / "rows" / name).write_text(text, encoding="utf-8")
