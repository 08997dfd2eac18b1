"""Seals the secrets of an old file on their way into the new one: nothing of them is ever written there in clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from riskguard.store.migration.mapping import Plan
from riskguard.store.secrets.envelope import Keys, is_sealed
from riskguard.store.secrets.fields import FIELDS, without_clear

Row = tuple[Any, ...]


@dataclass(slots=True)
class Sealing:
    """
    The keys of an upgrade, and what became of the secrets it met.

    Attributes:
        keys: None without a key: then what stands in a table stays as it was, in clear, as the programs that
        wrote it expect, and what goes to the quarantine is left out there (`without_clear` says why).
        sealed, in_clear, left_out: How many values.
    """

    keys: Keys | None
    sealed: int = 0
    in_clear: int = 0
    left_out: int = 0

    def rows(self, plan: Plan, rows: list[Row]) -> list[Row]:
        """Return the rows of one table with their secrets sealed, each to its place in the new file."""
        for each in FIELDS:
            if each.table is not plan.table or each.column not in plan.columns:
                continue
            at, key = plan.columns.index(each.column), plan.columns.index(each.key)
            owner = plan.columns.index(each.account) if each.account else None
            flag = plan.columns.index("is_sensitive") if "is_sensitive" in plan.columns else None
            if each.only is not None and flag is None:
                continue  # versions 1 and 2 marked no setting as sensitive
            for number, row in enumerate(rows):
                if row[at] in (None, "", b"") or (flag is not None and row[flag] != 1) or is_sealed(row[at]):
                    continue
                if self.keys is None:
                    self.in_clear += 1
                    continue
                place = each.place(row[key], "" if owner is None else str(row[owner]))
                rows[number] = (*row[:at], self._sealed(row[at], place), *row[at + 1 :])
        return rows

    def _sealed(self, value: Any, place: Any) -> str:
        assert self.keys is not None
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
        sealed = self.keys.seal(text, place)
        assert self.keys.open(sealed, place) == text  # the old file goes away after this
        self.sealed += 1
        return sealed

    def kept(self, table: str, number: int, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON of a row for the quarantine, with no secret in clear."""
        found, sealed, left_out = without_clear(self.keys, table, number, raw)
        self.sealed += sealed
        self.left_out += left_out
        return found

    def notes(self, backup: str) -> list[str]:
        """Return what a person should know, one line each."""
        said = []
        if self.sealed and self.keys is not None:
            said.append(
                f"{self.sealed} tokens and other secrets were sealed with key `{self.keys.newest}`: programs that read "
                f"them in clear must ask riskguard; `{backup}` has them in clear, keep it safe"
            )
        if self.in_clear:
            said.append(
                f"{self.in_clear} tokens and other secrets lie in clear, as they did before: no key is at hand; "
                "`riskguard secrets init`, then `riskguard secrets rotate`"
            )
        if self.left_out:
            said.append(
                f"{self.left_out} secrets of rows in quarantine were left out there, no key is at hand; they are in `{backup}`"
            )
        return said
