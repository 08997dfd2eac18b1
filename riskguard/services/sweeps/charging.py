"""
The session's charges: computed when its fills changed, kept in the database, shared out over strategies.

What a sweep costs must not grow with the trades of the day: while the day's book counts the same sums per line, the
charges computed from them stand. They are kept by segment in `day_charges`, so that rows of `trades` that are lost later
take no charge with them. Charges nobody can know are the dearest that are known, and say so; only where fills are missing
and nothing was kept are they unknown.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from riskguard import data
from riskguard.core.charges import (
    ChargeFill,
    ChargeNote,
    ChargeTable,
    ChargeTableError,
    Settlement,
    charge_surely,
    shared_out,
)
from riskguard.core.instrument import Instrument
from riskguard.core.pnl_parts import Attributed
from riskguard.core.seen import SeenTrade
from riskguard.home import host_home
from riskguard.store import days
from riskguard.store.days import DayFill, KeptCharges
from riskguard.store.session import Session, Store

log = logging.getLogger("riskguard")

FILE = "charges.csv"
BYTES_MAX = 4 * 1024 * 1024
DOUBTS_MAX = 20

InstrumentKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DayCharges:
    """
    Charges of an account's session, 1/10000 rupee ≥ 0: `total_e4` is what the contract note will say, None: unknown.

    `dp_e4` is booked on the ledger a day later and is outside the total. `doubts` names what is not surely known.
    """

    total_e4: int | None
    segments: Mapping[str, int] = field(default_factory=dict)
    strategies: Mapping[str, int] = field(default_factory=dict)
    attributed: tuple[Attributed, ...] = ()
    fills: tuple[ChargeFill, ...] = ()
    dp_e4: int = 0
    doubts: tuple[str, ...] = ()
    is_known: bool = True
    reason: str = ""


@dataclass(slots=True)
class _Kept:
    key: tuple[Any, ...]
    charges: DayCharges


_kept: WeakKeyDictionary[Store, dict[str, _Kept]] = WeakKeyDictionary()


def day_charges(
    session: Session, account: str, date: str, instruments: Mapping[InstrumentKey, Instrument], now_us: int,
    settlements: Sequence[Settlement] = (),
) -> DayCharges:  # fmt: skip
    """Return the charges of the session so far; computed anew only when its fills changed."""
    sums = days.sums(session, account, date)
    known = tuple(sorted(key for key in {(row[0], row[1]) for row in sums} if key in instruments))
    table = charge_table()
    key = (date, sums, known, tuple(settlements), id(table))
    mine = _kept.setdefault(session.store, {})
    found = mine.get(account)
    if found is not None and found.key == key:
        return found.charges
    made = _computed(session, account, date, sums, instruments, table, settlements, now_us)
    mine[account] = _Kept(key, made)
    return made


def _computed(
    session: Session, account: str, date: str, sums: tuple[tuple[Any, ...], ...],
    instruments: Mapping[InstrumentKey, Instrument], table: ChargeTable, settlements: Sequence[Settlement], now_us: int,
) -> DayCharges:  # fmt: skip
    if not sums and not settlements:
        return DayCharges(0)
    counted = sum(row[3] for row in sums)
    turnover_e4 = sum(row[4] + row[5] for row in sums)
    kept = days.kept_charges(session, account, date)
    found = days.fills(session, account, date)
    if len(found) < counted:
        return _without_rows(kept, counted, len(found), account)
    fills = charge_fills(found, instruments, date)
    note = charge_surely(table, fills, settlements)
    segments = _save(session, account, date, note, kept, counted, turnover_e4, now_us)
    by_strategy: dict[str, list[ChargeFill]] = {}
    for fill, each in zip(fills, found, strict=True):
        by_strategy.setdefault(each.strategy, []).append(fill)
    if note.unknown:
        log.warning("charges of %s are not surely known: %s", account, "; ".join(note.unknown[:DOUBTS_MAX]))
    return DayCharges(
        total_e4=sum(segments.values()), segments=segments, strategies=shared_out(table, note, by_strategy),
        attributed=_attributed(found), fills=tuple(fills), dp_e4=note.dp_e4,
        doubts=(*note.unknown, *note.uncertain)[:DOUBTS_MAX], is_known=note.is_known,
    )  # fmt: skip


def _without_rows(kept: dict[str, KeptCharges], counted: int, rows: int, account: str) -> DayCharges:
    """Rows of `trades` are gone, or not written yet: what was computed from all of them stands, else it is unknown."""
    missing = f"{counted - rows} of {counted} fills are not in `trades`"
    log.warning("charges of %s: %s", account, missing)
    if kept and min(each.fills for each in kept.values()) >= counted:
        segments = {segment: each.total_e4 for segment, each in kept.items()}
        return DayCharges(sum(segments.values()), segments, is_known=False, doubts=(f"{missing}: as computed before",))
    return DayCharges(None, is_known=False, reason=f"charges unknown: {missing}")


def _save(
    session: Session, account: str, date: str, note: ChargeNote, kept: dict[str, KeptCharges], counted: int,
    turnover_e4: int, now_us: int,
) -> dict[str, int]:  # fmt: skip
    """Write what changed; the same fills never cost less than they did, whatever was learnt about them since."""
    totals: dict[str, int] = {}
    doubts = (*note.unknown, *note.uncertain)[:DOUBTS_MAX]
    for number, (segment, lines) in enumerate(note.segments):
        before = kept.get(segment)
        totals[segment] = lines.total_e4
        if before is not None and (before.fills, before.turnover_e4) == (counted, turnover_e4):
            totals[segment] = max(before.total_e4, lines.total_e4)
            if totals[segment] == before.total_e4:
                continue
        if before is not None and before.fills > counted:
            totals[segment] = max(before.total_e4, lines.total_e4)
            continue
        days.save_charges(
            session, account, date, segment, lines, fills=counted, turnover_e4=turnover_e4, total_e4=totals[segment],
            dp_e4=0 if number else note.dp_e4, doubts=doubts, is_known=note.is_known, is_new=before is None,
            now_us=now_us,
        )  # fmt: skip
    return totals


def _attributed(found: Iterable[DayFill]) -> tuple[Attributed, ...]:
    sums: dict[tuple[str, str, str, str], list[int]] = {}
    for each in found:
        if each.strategy:
            key = (each.strategy, each.exchange_segment, each.security_id, each.product)
            row = sums.setdefault(key, [0, 0, 0, 0])
            sold = each.side == "SELL"
            row[sold] += each.quantity
            row[2 + sold] += each.quantity * each.price_e4
    return tuple(Attributed(*key, *row) for key, row in sorted(sums.items()))


def charges_of(trades: Iterable[SeenTrade], instruments: Mapping[InstrumentKey, Instrument], date: str) -> ChargeNote:
    """Return the charges of fills as a broker lists them, all of the session *date*."""
    found = [
        DayFill(
            each.order_id, each.exchange_segment, each.security_id, each.side, each.product, each.quantity,
            each.price_e4, "",
        )
        for each in trades
    ]  # fmt: skip
    return charge_surely(charge_table(), charge_fills(found, instruments, date))


def charge_fills(
    found: Iterable[DayFill], instruments: Mapping[InstrumentKey, Instrument], date: str
) -> list[ChargeFill]:
    """Return fills as the calculation wants them; a contract nobody knows has no kind, so the dearest stands in."""
    day = dt.date.fromisoformat(date)
    return [
        charge_fill(
            instruments.get((each.exchange_segment, each.security_id)), each.exchange_segment, each.security_id,
            each.product, each.side, each.quantity, each.price_e4, each.order_id, day,
        )
        for each in found
    ]  # fmt: skip


def charge_fill(
    instrument: Instrument | None, segment: str, security_id: str, product: str, side: str, quantity: int,
    price_e4: int, order_id: str, day: dt.date,
) -> ChargeFill:  # fmt: skip
    """Return one fill as the calculation wants it. An unknown multiplier counts as 1: the day's P&L is unknown then."""
    shares = segment in ("NSE_EQ", "BSE_EQ")
    return ChargeFill(
        exchange_segment=segment,
        kind=("EQUITY" if shares else "") if instrument is None else instrument.kind,
        security_id=security_id,
        product=product,
        side=side,
        quantity=quantity,
        price_e4=price_e4,
        order_id=order_id,
        trade_date=day,
        multiplier=(instrument.multiplier if instrument is not None else 1) or 1,
        isin=instrument.isin if instrument is not None else "",
        # The exchange's scrip group stands in the place of the series at BSE, and some groups pay thirty times more.
        group=instrument.series if instrument is not None and segment == "BSE_EQ" else "",
        underlying=instrument.underlying if instrument is not None else "",
    )


# -- the table ---------------------------------------------------------------------------------------------------------


def charge_table() -> ChargeTable:
    """
    Return the table of charges this process goes by: the user's own, else the shipped one.

    A file of the user that cannot be used is left out with a warning, and `riskguard doctor` calls it an error.
    """
    try:
        path = host_home() / FILE
    except RuntimeError:  # a user without a home has no table there
        return _shipped()
    try:
        stamp = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return _shipped()
    except OSError:
        stamp = -1  # it is there and cannot be looked at: reading it says why
    return _own(path, stamp)


def read_own(path: Path) -> ChargeTable:
    """
    Read a user's table.

    Raises:
        ChargeTableError: It cannot be read, is no table, or does not say until when it is good.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            found = ChargeTable.parse(file.read(BYTES_MAX))
    except (OSError, UnicodeDecodeError) as e:
        raise ChargeTableError(str(e)) from None
    if found.complete_until is None:
        raise ChargeTableError("no line `# complete_until = YYYY-MM-DD`: say until when it is good")
    return found


@lru_cache(maxsize=1)
def _shipped() -> ChargeTable:
    return ChargeTable.parse(data.charges_known_text() + data.charges_text())


@lru_cache(maxsize=4)
def _own(path: Path, stamp: int) -> ChargeTable:
    del stamp  # a file that changed is read again
    try:
        return read_own(path)
    except ChargeTableError as e:
        log.warning("`%s`: %s; it is left out", path, e)
        return _shipped()


def exit_cost_e4(charges: DayCharges, closing: Sequence[ChargeFill]) -> int | None:
    """Return what *closing* orders would add to the day's charges; None where the day's own are not known."""
    if charges.total_e4 is None or (not charges.fills and charges.total_e4):
        return None
    table = charge_table()
    whole = charge_surely(table, (*charges.fills, *closing))
    return max(0, whole.total_e4 - charge_surely(table, charges.fills).total_e4)
