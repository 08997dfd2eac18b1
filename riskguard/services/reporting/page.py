"""
The report as one page: no script, no network, nothing but itself. Light and dark, for a phone, a screen and paper.

Every text that came from outside (names of strategies, the broker's words) passes through `escape`; a table stands
beside the plot, so that nothing is said by a picture or a colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from riskguard.services.reporting import svg
from riskguard.services.reporting.day import DayReport, Kill
from riskguard.services.reporting.words import OUTCOMES, clock, minute, moment, money, percent

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the page may load, which is nothing: a text that slipped through could not call anybody either."""

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--band:#f3f5f7;--rule:#c9d1d9;--line:#0b57d0;
--bad:#a40e26;--good:#116329}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#a3adb8;--paper:#0f1419;--band:#1a212a;--rule:#3d4752;
--line:#79b8ff;--bad:#ff9a94;--good:#7ee787}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.4rem 0}.soft,caption{color:var(--soft)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.5rem;margin:1rem 0}
dl div{background:var(--band);border-radius:.4rem;padding:.5rem .75rem}dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.loss{color:var(--bad)}.gain{color:var(--good)}
.wide{overflow-x:auto}.wide:focus-visible{outline:2px solid var(--line)}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.2rem 0}th,td{padding:.3rem .5rem;text-align:left;border-bottom:1px solid var(--rule);
vertical-align:top;overflow-wrap:break-word;max-width:30rem}th,.n{white-space:nowrap}thead th{background:var(--band)}
.n{text-align:right}td.t{min-width:22rem}
svg{width:100%;height:auto;display:block;overflow:visible}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
.grid{stroke:var(--rule);stroke-width:.5}.zero{stroke:var(--soft);stroke-width:1}
.pnl{fill:none;stroke:var(--line);stroke-width:1.6;stroke-linejoin:round}circle.pnl{fill:var(--line)}
.kill{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 3}
.bar{display:block;height:.5rem;background:var(--band);border:1px solid var(--rule);border-radius:.25rem;min-width:6rem}
.bar i{display:block;height:100%;background:var(--line);border-radius:.2rem}.bar i.full{background:var(--bad)}
@media (max-width:40rem){svg text{font-size:18px}svg .other{display:none}}
details summary{cursor:pointer;margin:.5rem 0}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--paper:#fff;--band:#f3f5f7;--rule:#bbb;--line:#003a9b;
--bad:#8a0016;--good:#0a4a1c}body{max-width:none;padding:0;font-size:10pt}.wide{overflow:visible}
details::details-content{content-visibility:visible;height:auto}section{break-inside:auto}tr,svg{break-inside:avoid}
.bar,.bar i{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


LONG: Final = 40


class Markup(str):
    """Text that is HTML already; everything else is escaped before it stands on the page."""

    __slots__ = ()


Cell = str | Markup


def page(reports: Sequence[DayReport]) -> str:
    """Return the page of one or several accounts' day."""
    names = ", ".join(each.account for each in reports)
    dates = ", ".join(sorted({each.date for each in reports}))
    title = escape(f"riskguard: {names} on {dates}")
    body = "".join(_report(each, f"r{number}") for number, each in enumerate(reports))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _report(report: DayReport, name: str) -> str:
    state = f" Now the account is {escape(report.state)}." if report.state else ""
    parts = [
        f"<h1>{escape(report.account)}: {escape(report.date)}</h1>\n"
        f'<p class="soft">Counted at {moment(report.made_us)}.{state} Times are India\'s.</p>\n'
    ]
    if report.is_empty:
        parts.append("<p>Nothing was recorded that day.</p>\n")
        return f'<article aria-label="{escape(report.account)}">\n{"".join(parts)}</article>\n'
    parts += [
        _figures(report), _pnl(report, name), _limits(report), _orders(report), _breaches(report), _kills(report),
        _book(report), _charges(report), _alerts(report),
    ]  # fmt: skip
    return f'<article aria-label="{escape(report.account)}">\n{"".join(parts)}</article>\n'


# -- its sections --------------------------------------------------------------------------------------------------------


def _figures(report: DayReport) -> str:
    orders = report.orders
    figures = [
        ("day P&L after charges" + ("" if report.pnl.last_fresh else ", widened"), _signed(report.pnl.last_e4)),
        ("worst", _signed(report.pnl.worst_e4)),
        ("best", _signed(report.pnl.best_e4)),
        ("charges", money(report.charges.total_e4)),
        ("orders asked", str(orders.asked)),
        ("approved", str(orders.approved)),
        ("refused", str(orders.refused + orders.repeats)),
        ("kills", str(sum(each.halts for each in report.kills))),
    ]
    items = "".join(f"<div><dt>{escape(term)}</dt><dd>{_html(value)}</dd></div>" for term, value in figures)
    return f"<dl>{items}</dl>\n"


def _pnl(report: DayReport, name: str) -> str:
    pnl = report.pnl
    doubts = []
    if pnl.unknown:
        doubts.append(f"{pnl.unknown} of {pnl.readings} readings were unknown: the line breaks there")
    if pnl.stale:
        doubts.append(
            f"{pnl.stale} had no fresh mark of every line: they were widened against the account, and are not drawn"
        )
    if pnl.detail:
        doubts.append(f"of the last reading: {pnl.detail}")
    said = f"<p>{escape('; '.join(doubts))}.</p>\n" if doubts else ""
    rows = [
        [minute(each.at_us), money(each.last_e4), money(each.low_e4), money(each.high_e4), str(each.readings),
         str(each.unknown), str(each.stale)]
        for each in pnl.slots
    ]  # fmt: skip
    columns = ["from", "last", "lowest", "highest", "readings", "unknown", "widened"]
    beside = _table("Day P&L by quarters of an hour", columns, rows, numbers=range(1, 7))
    return _section("Day P&L", svg.curve(report, name) + said + _folded("the figures of the curve", beside))


def _limits(report: DayReport) -> str:
    rows: list[list[Cell]] = [
        [each.limit_id, each.check, percent(each.peak_pct_e2), _bar(each.peak_pct_e2), each.peak, str(each.approved),
         str(each.near_misses)]
        for each in report.limits
    ]  # fmt: skip
    columns = ["limit", "check", "came to", "", "which was", "orders", "near misses"]
    note = (
        ""
        if report.limits_are_of == "the day"
        else "<p>No order of the day says which loss limits held: these hold now.</p>\n"
    )
    return _section("Limits, and how near they came", note + _table("", columns, rows, numbers=(2, 5, 6)))


def _orders(report: DayReport) -> str:
    outcomes = [[OUTCOMES.get(each.name, each.name), str(each.count)] for each in report.orders.by_outcome]
    broker = [[each.name, str(each.count)] for each in report.orders.at_broker]
    refusals = [
        [each.code, str(each.refusals), str(each.repeats), ", ".join(each.strategies) or "—", clock(each.first_us),
         clock(each.last_us), each.example]
        for each in report.refusals
    ]  # fmt: skip
    parts = _table("What became of approved orders", ["outcome", "orders"], outcomes, numbers=(1,))
    if broker:
        parts += _table("At the broker, by its own words", ["status", "orders"], broker, numbers=(1,))
    columns = ["code", "refused", "asked again", "strategies", "first", "last", "the last one's words"]
    parts += _table("Refusals by code", columns, refusals, numbers=(1, 2))
    return _section("Orders", parts)


def _breaches(report: DayReport) -> str:
    rows = [
        [
            clock(each.at_us),
            each.code,
            each.limit_id or "—",
            each.measured or "—",
            each.limit or "—",
            each.action,
            each.detail,
        ]
        for each in report.breaches
    ]
    columns = ["at", "code", "limit", "measured", "of", "what was done", "why"]
    more = _left_out(report.breaches_left_out)
    return _section("Violations", more + _table("", columns, rows))


def _kills(report: DayReport) -> str:
    parts = "".join(_kill(each) for each in report.kills)
    rows = [[clock(each.at_us), each.kind, each.by, each.reason] for each in report.releases]
    if rows:
        parts += _table("Releases and changes of limits", ["at", "what", "by", "reason"], rows)
    return _section("Kills", parts or "<p>None.</p>\n")


def _kill(kill: Kill) -> str:
    what = "Kill" if kill.halts else "Closing after a breach (nobody was halted)"
    said = (
        f"{kill.scope}, plan {kill.plan}, cause {kill.cause}, by {kill.by or 'unknown'}: {kill.reason or 'no reason given'}. "
        f"Its run is {kill.state} at {kill.step}"
        + (f", ended {clock(kill.ended_us)}" if kill.ended_us is not None else "")
        + (f": {kill.detail}." if kill.detail else ".")
    )
    rows = [
        [clock(each.at_us), each.step, str(each.round), each.target, each.state, each.read_back or each.detail]
        for each in kill.steps
    ]
    columns = ["at", "step", "round", "what", "state", "answer"]
    return f"<h3>{escape(what)} at {clock(kill.started_us)}</h3>\n<p>{escape(said)}</p>\n" + _table(
        "Each write to the broker", columns, rows, numbers=(2,)
    )


def _book(report: DayReport) -> str:
    rows: list[list[Cell]] = [
        [each.symbol or f"{each.exchange_segment}:{each.security_id}", each.product, str(each.start), str(each.bought),
         str(each.sold), str(each.net), money(each.buy_value_e4), money(each.sell_value_e4)]
        for each in report.lines
    ]  # fmt: skip
    columns = ["instrument", "product", "carried in", "bought", "sold", "held", "paid", "received"]
    return _section("Book of the day", _table("Quantities in units", columns, rows, numbers=range(2, 8)))


def _charges(report: DayReport) -> str:
    charges = report.charges
    said = f"{money(charges.total_e4)} on a turnover of {money(charges.turnover_e4)} in {charges.fills} fills."
    if charges.doubts:
        said += f" Not surely known: {'; '.join(charges.doubts)}."
    rows = [
        [segment, each.name, money(each.amount_e4)]
        for segment, lines in groupby(charges.lines, key=lambda each: each.exchange_segment)
        for each in lines
    ]
    table = _table("What they are made of", ["segment", "charge", "rupees"], rows, numbers=(2,)) if rows else ""
    return _section("Charges", f"<p>{escape(said)}</p>\n{table}")


def _alerts(report: DayReport) -> str:
    rows = [
        [clock(each.at_us), each.severity, each.code, each.message + (f" (again {each.again} times)" if each.again else ""),
         each.channels or "log only"]
        for each in report.alerts
    ]  # fmt: skip
    more = _left_out(report.alerts_left_out)
    return _section("Alerts", more + _table("", ["at", "severity", "event", "message", "channels"], rows))


# -- its pieces ------------------------------------------------------------------------------------------------------------


def _section(heading: str, body: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{body}</section>\n"


def _folded(heading: str, body: str) -> str:
    return f"<details>\n<summary>{escape(heading)}</summary>\n{body}</details>\n"


def _left_out(count: int) -> str:
    return f"<p>{count} older ones are not listed.</p>\n" if count > 0 else ""


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: Iterable[int] = ()) -> str:
    """Return a table that scrolls by itself on a narrow screen, and by the keyboard."""
    if not rows:
        return f"<p>{escape(caption)}: none.</p>\n" if caption else "<p>None.</p>\n"
    right = set(numbers)

    # A column of sentences gets room before the others are squeezed; whatever is too wide scrolls.
    wordy = {
        place for row in rows for place, each in enumerate(row) if len(each) > LONG and not isinstance(each, Markup)
    }

    def attribute(place: int) -> str:
        return ' class="n"' if place in right else ' class="t"' if place in wordy else ""

    head = "".join(
        f'<th scope="col"{attribute(place) if place in right else ""}>{escape(each)}</th>'
        for place, each in enumerate(columns)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{attribute(place)}>{_html(each)}</td>" for place, each in enumerate(row)) + "</tr>\n"
        for row in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    label = escape(caption or ", ".join(each for each in columns if each))
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>{said}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def _html(cell: Cell) -> str:
    return str(cell) if isinstance(cell, Markup) else escape(cell)


def _signed(e4: int | None) -> Cell:
    """A loss has its sign as well as its colour."""
    if not e4:
        return money(e4)
    return Markup(f'<span class="{"loss" if e4 < 0 else "gain"}">{escape(money(e4))}</span>')


def _bar(pct_e2: int) -> Markup:
    """A bar that says what the cell before it says in figures."""
    width, full = min(100, pct_e2 // 100), ' class="full"' if pct_e2 >= 10_000 else ""
    return Markup(f'<span class="bar" aria-hidden="true"><i{full} style="width:{width}%"></i></span>')
