"""Goal: the report of a day says what was recorded, to the paisa, to everybody the same, and calls nobody."""

from __future__ import annotations

import datetime as dt
import json
import re
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import SettingsError, StoreUnavailableError, UnknownAccountError
from riskguard.feeds.bars import Day, load_day
from riskguard.services import alerts, reporting
from riskguard.services.replay import Outcome, Replay
from riskguard.services.reporting import DayReport, day_report, svg
from riskguard.services.reporting.curve import Point, summed_up, thinned
from riskguard.services.reporting.page import page
from riskguard.services.reporting.words import clock, money, percent
from riskguard.services.wiring import open_guard
from riskguard.store.session import Store
from tests.services.desk import START, Desk, rulebook
from tests.services.test_replay import first

ELECTION = dt.date(2024, 6, 4)
MINUTES = 25
SECOND = 1_000_000


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, str, DayReport, Day]:
    """The morning of 2024-06-04, played by the real parts, and its report."""
    directory = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as context:
        context.setenv("RISKGUARD_HOME", str(directory / "home"))
        url = f"sqlite:///{directory / 'demo.db'}"
        day = first(load_day(ELECTION), MINUTES)
        replay = Replay(day, url, strategy="dip", rulebook="demo-index-futures")
        try:
            outcome = replay.run()
        finally:
            replay.close()
        store = Store(url)
        report = day_report(store, "leader", "2024-06-04")
        store.close()
    return outcome, url, report, day


# -- the figures -----------------------------------------------------------------------------------------------------------


def test_a_real_day_by_hand(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """What the strategy counted of itself while it played, and the report from the rows, are the same day."""
    outcome, _, report, _ = played
    orders = report.orders
    of_the_kill = 2  # one order closes each of the two futures

    assert report.pnl.last_e4 == outcome.final_pnl_e4
    assert (orders.approved, orders.asked) == (outcome.approved + of_the_kill, outcome.asked + of_the_kill)
    assert orders.refused + orders.repeats == outcome.asked - outcome.approved
    assert sum(each.count for each in orders.by_outcome) == orders.approved
    by_code = {each.code: each.refusals + each.repeats for each in report.refusals}
    # The strategy counts the first code of each; one order that met the halt was above the position limit as well.
    assert by_code["NET_POSITION_ABOVE_LIMIT"] == outcome.refused["NET_POSITION_ABOVE_LIMIT"] + 1
    assert by_code["TRADING_HALTED"] == outcome.refused["TRADING_HALTED"]


def test_a_real_days_money_by_hand(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """Flat at the end: P&L is what was received, less what was paid, less charges, to the 1/10000 rupee."""
    _, _, report, _ = played

    assert [each.net for each in report.lines] == [0, 0]
    assert [each.symbol for each in report.lines] == ["NIFTY-Jun2024-FUT", "BANKNIFTY-Jun2024-FUT"]
    received_e4 = sum(each.sell_value_e4 for each in report.lines)
    paid_e4 = sum(each.buy_value_e4 for each in report.lines)
    assert report.charges.total_e4 is not None and report.charges.total_e4 > 0
    assert report.pnl.last_e4 == received_e4 - paid_e4 - report.charges.total_e4
    assert report.charges.turnover_e4 == received_e4 + paid_e4
    assert sum(each.amount_e4 for each in report.charges.lines) == report.charges.total_e4


def test_a_real_days_kill_and_limits_by_hand(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """The kill with both its writes; the loss limit past 100 %, the position limit at it, nothing invented."""
    outcome, _, report, _ = played
    (kill,) = report.kills
    limits = {each.limit_id: each for each in report.limits}

    assert (kill.scope, kill.plan, kill.cause, kill.state) == ("ACCOUNT:leader", "flatten", "DAILY_LOSS", "DONE")
    assert [(each.step, each.state) for each in kill.steps] == [("FLATTEN", "DONE")] * 2
    assert outcome.killed_at_us is not None and abs(kill.started_us - outcome.killed_at_us) < 60 * SECOND
    assert [(each.code, each.action) for each in report.breaches] == [
        ("DAILY_LOSS_NEAR", "REDUCE_ONLY"), ("DAILY_LOSS_REACHED", "KILL_SWITCH_ACTIVATED"),
    ]  # fmt: skip
    loss_e4 = -report.pnl.worst_e4  # type: ignore[operator]
    assert limits["daily-loss"].peak_pct_e2 == loss_e4 * 10_000 // 500_000_000 > 10_000  # of ₹50,000
    assert (limits["net-position"].peak_pct_e2, limits["net-position"].peak) == (10_000, "5 lots")
    assert limits["order-value"].peak.startswith("₹")
    assert report.limits_are_of == "the day"


def test_a_widened_reading_is_no_fact_of_the_day(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """While the futures were closed marks were stale once: what a limit went by is told apart from what was lost."""
    pnl = played[2].pnl

    assert pnl.stale >= 1
    assert pnl.lowest_e4 is not None and pnl.worst_e4 is not None and pnl.lowest_e4 < pnl.worst_e4
    assert sum(each.stale for each in pnl.slots) == pnl.stale


def test_unknown_is_not_zero() -> None:
    """No reading, an unknown last one, one among known ones."""
    nothing = summed_up([], "nobody watched")
    assert (nothing.last_e4, nothing.best_e4, nothing.worst_e4, nothing.readings) == (None, None, None, 0)
    pnl = summed_up([Point(1, -5, True), Point(2, 7, True), Point(3, None, False)], "no mark")
    assert (pnl.last_e4, pnl.best_e4, pnl.worst_e4, pnl.unknown, pnl.stale) == (None, 7, -5, 1, 0)
    assert money(None) == "unknown" and clock(None) == "—"


def test_the_first_of_equal_extremes_counts() -> None:
    """When the worst came twice, it is the first time that is told."""
    pnl = summed_up([Point(1, -5, True), Point(2, 9, True), Point(3, -5, True), Point(4, 9, True)], "")
    assert (pnl.worst_at_us, pnl.best_at_us) == (1, 2)


def test_thinning_keeps_every_extreme_and_every_gap() -> None:
    """A day of two-second sweeps becomes some hundred points; its worst second is one of them."""
    points = [Point(number * 2 * SECOND, -(number * 7919 % 100_003), True) for number in range(11_700)]
    points[5_000] = Point(5_000 * 2 * SECOND, None, False)
    points[7_777] = Point(7_777 * 2 * SECOND, -10_000_000, True)
    kept = thinned(points)

    assert len(kept) <= 5 * 240
    assert points[5_000] in kept and points[7_777] in kept
    assert max(each.pnl_e4 for each in kept if each.pnl_e4 is not None) == 0
    assert [each.at_us for each in kept] == sorted(each.at_us for each in kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])


@pytest.mark.parametrize(
    ("e2", "said"), [(0, "0.0 %"), (9_999, "99.9 %"), (10_000, "100.0 %"), (10_001, "100.0 %"), (134, "1.3 %")]
)
def test_a_limit_that_was_not_reached_never_reads_so(e2: int, said: str) -> None:
    """Percent are cut, not rounded."""
    assert percent(e2) == said


@pytest.mark.parametrize(
    ("e4", "said"),
    [(49, "₹0.00"), (50, "₹0.01"), (-50, "-₹0.01"), (-49, "₹0.00"), (12_345_678_900, "₹12,34,567.89")],
)
def test_money_to_the_paisa(e4: int, said: str) -> None:
    """Half a paisa goes away from zero; no "-0"."""
    assert money(e4) == said


def test_a_day_on_which_nothing_was_recorded(desk: Desk) -> None:
    """It is empty, and says so; no error."""
    report = day_report(desk.store, "leader", "2019-01-01", clock=desk.clock)
    assert report.is_empty and report.pnl.last_e4 is None
    assert "Nothing was recorded that day" in page([report])


def test_what_there_is_not_is_refused(desk: Desk) -> None:
    """A date that is none, an account that is none."""
    with pytest.raises(SettingsError, match="wants one like"):
        day_report(desk.store, "leader", "yesterday")
    with pytest.raises(UnknownAccountError):
        day_report(desk.store, "nobody", "2025-06-02")


def test_reading_takes_no_lock(desk: Desk) -> None:
    """A long report never makes a check wait: it reads while somebody holds the write lock."""
    with desk.unwritable():
        assert day_report(desk.store, "leader", "2025-06-02", clock=desk.clock).pnl.readings == 1


def test_alerts_and_midnight(desk: Desk) -> None:
    """A day is India's: from midnight on it is this one, a microsecond before it is the other one."""
    midnight_us = START - START % (86_400 * SECOND) - 19_800 * SECOND
    with desk.store.session() as session:
        alerts.write(session, "leader", "warning", "on the day", midnight_us, key="a")
        alerts.write(session, "GLOBAL", "info", "for everybody", midnight_us + SECOND, key="b")
        alerts.write(session, "leader", "warning", "the day before", midnight_us - 1, key="c")
        alerts.write(session, "other", "warning", "somebody else's", midnight_us, key="d")

    report = day_report(desk.store, "leader", "2025-06-02", clock=desk.clock)
    assert [each.message for each in report.alerts] == ["on the day", "for everybody"]
    assert [each.message for each in day_report(desk.store, "leader", "2025-06-01").alerts] == ["the day before"]


# -- the page --------------------------------------------------------------------------------------------------------------

VOID = {"meta", "link", "br", "hr", "img", "input"}
OUTSIDE = {
    "src",
    "href",
    "xlink:href",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "ping",
    "srcdoc",
}


class Strict(HTMLParser):
    """Parses a page as strictly as we write it: every tag is closed in its order; keeps what a test asks about."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)
        self.text.append(data)


def parsed(text: str) -> Strict:
    found = Strict()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def test_the_page_parses_and_calls_nobody(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """No script, no address, no handler; what a browser may load is nothing at all."""
    text = page([played[2]])
    found = parsed(text)
    names = {name for name, _ in found.tags}

    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use", "a"}
    for tag, attributes in found.tags:
        assert not OUTSIDE & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not re.search(r"(?i)https?:|url\(|@import|//[a-z]", text)
    (policy,) = [each for _, each in found.tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none'")


def test_the_page_is_readable_by_everybody(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """Language, title, width of a phone, dark, print; the plot has words and a table; headings come in order."""
    text = page([played[2]])
    found = parsed(text)
    attributes = {name: each for name, each in found.tags}

    assert attributes["html"]["lang"] == "en" and "<title>riskguard: leader on 2024-06-04</title>" in text
    assert any(each.get("name") == "viewport" for _, each in found.tags)
    assert "prefers-color-scheme:dark" in text and "@media print" in text
    assert (attributes["svg"]["role"], attributes["svg"]["aria-labelledby"]) == ("img", "r0-title r0-desc")
    ids = [each["id"] for _, each in found.tags if "id" in each]
    assert sorted(ids) == ["r0-desc", "r0-title"]
    assert found.headings[1:] == [
        "Day P&L", "Limits, and how near they came", "Orders", "Violations", "Kills", "Book of the day", "Charges", "Alerts",
    ]  # fmt: skip
    assert all(each.get("scope") == "col" for name, each in found.tags if name == "th")


@pytest.mark.parametrize(
    ("scheme", "paper"), [(":root{color-scheme:light dark;", "#fff"), ("prefers-color-scheme:dark){:root{", "#0f1419")]
)
def test_contrast_of_every_text_colour(scheme: str, paper: str) -> None:
    """At least 4.5 to 1 on the page and on its bands, in light and in dark (WCAG 2, AA)."""
    from riskguard.services.reporting.page import STYLE

    block = STYLE.replace("\n", "").partition(scheme)[2].partition("}")[0]
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block))
    assert colours["paper"] == paper
    for name in ("ink", "soft", "line", "bad", "good"):
        for ground in ("paper", "band"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"


def test_hostile_text_stays_text(make_desk: Callable[..., Desk]) -> None:
    """A strategy, a kill's reason, an alert that are HTML: on the page they are words, letter for letter."""
    desk = make_desk(text=rulebook(order_value='check = "order_value"\norder_value_inr_max = "500"'))
    desk.sweep()
    desk.quote("100")
    assert not desk.guard.check(desk.order(strategy="dip")).approved
    desk.sql("UPDATE risk_violations SET strategy = ?, detail = ?", HOSTILE, HOSTILE)
    desk.kill(reason=HOSTILE)
    with desk.store.session() as session:
        alerts.write(session, "leader", "critical", HOSTILE, desk.clock.now_us())
    report = day_report(desk.store, "leader", "2025-06-02", clock=desk.clock)
    text = page([report])
    found = parsed(text)

    assert report.refusals[0].strategies == (HOSTILE,)
    assert "<script" not in text and not [name for name, _ in found.tags if name in ("script", "img")]
    assert sum(HOSTILE in each for each in found.text) >= 4
    assert report.state == "HALTED"


def test_two_accounts_share_a_page(make_desk: Callable[..., Desk]) -> None:
    """Each has its article; no id stands twice."""
    desk = make_desk(accounts=("leader", "follower"))
    desk.sweep()
    reports = [day_report(desk.store, name, "2025-06-02", clock=desk.clock) for name in ("leader", "follower")]
    found = parsed(page(reports))

    ids = [each["id"] for _, each in found.tags if "id" in each]
    assert len(ids) == len(set(ids))
    assert [each["aria-label"] for name, each in found.tags if name == "article"] == ["leader", "follower"]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (-1, 0), (0, 1), (-625_197_700, 80_020_300), (-(10**15), 10**15), (5 * 10**4, 6 * 10**4)]
)
def test_levels_surround_the_curve(low: int, high: int) -> None:
    """Round, few, with zero where it lies between; never a division by nothing."""
    found = svg.levels(min(0, low), max(0, high))

    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 8
    assert found[0] < found[-1] and 0 in found


def test_a_day_that_never_moved_is_drawn(desk: Desk) -> None:
    """All readings at zero: a flat line, no division by nothing; one reading alone is no curve."""
    report = day_report(desk.store, "leader", "2025-06-02", clock=desk.clock)
    assert svg.curve(report, "x") == ""
    desk.sweep()
    report = day_report(desk.store, "leader", "2025-06-02", clock=desk.clock)
    assert "<polyline" in svg.curve(report, "x")


# -- documents and files ---------------------------------------------------------------------------------------------------


def test_the_document_is_json_with_exact_money(played: tuple[Outcome, str, DayReport, Day]) -> None:
    """Rupees are text with all their places, unknown is null; no name ends in `_e4`."""
    report = played[2]
    found = json.loads(json.dumps(report.as_dict()))

    assert found["pnl"]["last"] == "-62519.77" and found["orders"]["approved"] == report.orders.approved

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(each) for each in value.values()))
        return set().union(*(names(each) for each in value)) if isinstance(value, list) else set()

    assert not [name for name in names(found) if name.endswith("_e4")]


def test_the_end_of_the_day_writes_both(desk: Desk, tmp_path: Path) -> None:
    """Beside the database, for its owner only, replaced as a whole when it is done again."""
    place = reporting.write_end_of_day(desk.guard, "leader", "2025-06-02")
    again = reporting.write_end_of_day(desk.guard, "leader", "2025-06-02")

    assert place == again == desk.path.parent / "reports" / "2025-06-02-leader.html"
    assert sorted(each.name for each in place.parent.iterdir()) == ["2025-06-02-leader.html", "2025-06-02-leader.json"]
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in place.parent.iterdir()} == {0o600}
    parsed(place.read_text())
    assert json.loads(place.with_suffix(".json").read_text())["account"] == "leader"


def test_a_report_that_cannot_be_written_says_so(desk: Desk) -> None:
    """An error of ours, so that the daemon tries again; nothing half written."""
    (desk.path.parent / "reports").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        reporting.write_end_of_day(desk.guard, "leader", "2025-06-02")


def test_names_that_are_no_file_names(make_desk: Callable[..., Desk]) -> None:
    """Two accounts that differ in a sign a file cannot have do not share a file; none leaves the folder."""
    desk = make_desk(accounts=("a/b", "a.b"))
    with open_guard(desk.url, sweep=False, clock=desk.clock) as guard:
        places = [reporting.write_end_of_day(guard, name, "2025-06-02") for name in ("a/b", "a.b")]

    assert [each.name for each in places] == ["2025-06-02-a%2fb.html", "2025-06-02-a.b.html"]
