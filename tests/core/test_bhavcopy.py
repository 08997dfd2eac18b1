"""The exchanges' file of the day's prices: what is taken from a line, and which lines are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from riskguard.core.bhavcopy import BhavcopyError, DayPrice, Tally, read
from riskguard.core.expiry import intrinsic_e4, settled, worth_e4
from riskguard.core.instrument import Instrument
from riskguard.core.money import to_text
from tests.core.builders import inr, option
from tests.core.tables import Row, table

HEAD = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,"
    "TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
# Lines as the exchanges printed them.
FLAIR = (
    "2024-10-15,2024-10-15,CM,NSE,STK,20372,INE00Y201027,FLAIR,EQ,,,,,FLAIR WRITING INDUST LTD,296.15,300.10,293.75,"
    "295.95,298.85,296.15,,296.00,,,34968,10365770.00,1404,F1,1,,,,,"
)
NIFTY_FUTURE = (
    "2026-09-01,2026-09-01,FO,NSE,IDF,68407,,NIFTY,,2026-09-29,2026-09-29,,,NIFTY26SEPFUT,24200.00,24296.10,24064.00,"
    "24090.30,24081.00,24251.40,24055.80,24090.30,16051815,323310,57171,89746405775.00,39620,F1,65,,,,,"
)
SENSEX_CALL = (
    "2026-04-30,2026-04-30,FO,BSE,IDO,842625,,SENSEX,,2026-06-25,2026-06-25,78000.00,CE,SENSEX26JUN78000CE,1500.00,"
    "1982.60,1500.00,1969.30,1963.40,2300.00,76913.50,1969.30,2320,1860,2940,234310908.00,143,F1,20,,,,,"
)
EXPIRING_CALL = (
    "2026-04-30,2026-04-30,FO,BSE,IDO,848544,,SENSEX,,2026-04-30,2026-04-30,75200.00,CE,SENSEX26APR75200CE,1545.00,"
    "2082.50,916.00,76913.50,1710.10,2043.90,76913.50,76913.50,2340,220,44500,3404461699.00,935,F1,20,,,,,"
)
ICONIK = (
    "2026-06-09,2026-06-09,CM,BSE,STK,511260,INE088P01015,ICONIKSPEV,X,,,,,ICONIK,44.99,44.99,42.31,43.09,43.48,44.44,,"
    "43.09,,,5757,248069.00,40,F1,1,,,,,"
)


def prices(*lines: str, head: str = HEAD) -> list[DayPrice]:
    return list(read([f"{line}\n" for line in (head, *lines)], Tally()))


TAKEN = table("""
    line           segment  security  day         price    underlying
    FLAIR          NSE_EQ   20372     2024-10-15  295.95   -
    NIFTY_FUTURE   NSE_FNO  68407     2026-09-01  24090.30  24055.80
    SENSEX_CALL    BSE_FNO  842625    2026-04-30  1969.30  76913.50
    ICONIK         BSE_EQ   511260    2026-06-09  43.09    -
""")


@pytest.mark.parametrize("row", TAKEN, ids=str)
def test_what_a_line_says(row: Row) -> None:
    """A share's closing price, not its last; a contract's settlement price."""
    (found,) = prices(globals()[row.line])

    assert (found.exchange_segment, found.security_id, found.session_date) == (row.segment, row.security, row.day)
    assert to_text(found.price_e4) == row.price
    assert found.underlying_e4 == row.e4("underlying")


def test_everything_a_line_says() -> None:
    """Whose price it is: ISIN of a share, expiry, strike and type of a contract; a future has no strike, whatever is printed."""
    assert prices(FLAIR) == [DayPrice("NSE_EQ", "20372", "2024-10-15", inr("295.95"), None, "INE00Y201027")]
    future = DayPrice("NSE_FNO", "68407", "2026-09-01", inr("24090.30"), inr("24055.80"), "", "2026-09-29")
    assert prices(NIFTY_FUTURE) == prices(NIFTY_FUTURE.replace("2026-09-29,,,", "2026-09-29,5,,")) == [future]
    assert prices(NIFTY_FUTURE.replace("2026-09-29,2026-09-29", ",")) == [replace(future, expiry="")]
    call = DayPrice(
        "BSE_FNO", "842625", "2026-04-30", inr("1969.30"), inr("76913.50"), "", "2026-06-25", inr("78000"), "CE"
    )
    assert prices(SENSEX_CALL) == [call]


@pytest.mark.parametrize(
    ("expiry", "actual", "worth"),
    [("2026-04-30", "2026-04-30", "1713.50"), ("2026-05-01", "2026-04-30", "1713.50"), ("2026-04-30", "", "1713.50"),
     ("2026-04-30", "2026-05-01", "1713.50"), ("2026-05-01", "2026-05-01", "76913.50"), ("2026-05-01", "", "76913.50")],
)  # fmt: skip
def test_the_last_day_by_either_date(expiry: str, actual: str, worth: str) -> None:
    """The contract's, or the day it was moved to; on another day the settlement price is one."""
    (found,) = prices(EXPIRING_CALL.replace("2026-04-30,2026-04-30,75200", f"{expiry},{actual},75200"))
    assert (to_text(found.price_e4), found.expiry) == (worth, expiry)


EXPIRING = table("""
    goal                                  strike    type  underlying  worth
    the exchange printed the underlying   75200.00  CE    76913.50    1713.50
    the put of that strike is worthless   75200.00  PE    76913.50    0.00
    a put in the money                    78000.00  PE    76913.50    1086.50
    at the strike nothing                 76913.50  CE    76913.50    0.00
    without the underlying nobody knows   75200.00  CE    0           -
    without the strike nobody knows       -         CE    76913.50    -
""")


@pytest.mark.parametrize("row", EXPIRING, ids=str)
def test_an_option_that_expires_is_worth_its_intrinsic_value(row: Row) -> None:
    """On the last day ₹76,913.50 stands where the option's settlement price should: taken for it, a fortune."""
    line = EXPIRING_CALL.replace("75200.00,CE", f"{row.opt('strike') or ''},{row.type}").replace(
        "2043.90,76913.50,76913.50", f"2043.90,{row.underlying},76913.50"
    )
    found = prices(line)

    assert [to_text(each.price_e4) for each in found] == ([] if row.opt("worth") is None else [row.worth])


PRICELESS = ["", "0", "0.00", "-", "NA", "NaN"]


@pytest.mark.parametrize("word", PRICELESS, ids=repr)
def test_no_price_is_not_a_price_of_zero(word: str) -> None:
    """The line is counted and left out; its neighbour is taken."""
    tally = Tally()
    without = FLAIR.replace("295.95", word).replace("20372", "1")
    found = list(read([HEAD, without, FLAIR], tally))

    assert [each.security_id for each in found] == ["20372"]
    assert (tally.lines, tally.priceless) == (2, 1)


WRONG = [
    (FLAIR.replace("295.95", "inf"), "line 2: `ClsPric` = `inf`"),
    (FLAIR.replace("295.95", "-1"), "line 2: `ClsPric` = `-1`"),
    (FLAIR.replace("295.95", "2.9e2"), "line 2: `ClsPric`"),
    (FLAIR.replace("295.95", "295.12345"), "line 2: `ClsPric`"),
    (FLAIR.replace("295.95", "99999999999"), "line 2: `ClsPric`"),
    (FLAIR.replace("2024-10-15,2024-10-15", "15-10-2024,2024-10-15"), "line 2: `TradDt`"),
    (FLAIR.replace(",NSE,", ",MCX,"), "line 2: `MCX` `CM`"),
    (FLAIR.replace(",CM,", ",CD,"), "line 2: `NSE` `CD`"),
    (FLAIR.replace("20372", "20 372"), "line 2: `FinInstrmId`"),
    (FLAIR.replace("20372", ""), "line 2: `FinInstrmId`"),
    ("2024-10-15,2024-10-15,CM,NSE", "line 2: has 4 cells"),
    (f"{FLAIR}\n{ICONIK}", "line 3: is of 2026-06-09 in BSE_EQ"),
    (f"{FLAIR}\n{FLAIR.replace('295.95', '295.90')}", "line 3: gives `20372` another price"),
    (f'{FLAIR}\n"open', "line 3"),
    (FLAIR.replace("FLAIR WRITING", '"FLAIR" WRITING'), "line 2: "),
]


@pytest.mark.parametrize(("lines", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_broken_line_is_named(lines: str, message: str) -> None:
    """Nothing is guessed, and the number is the file's own."""
    with pytest.raises(BhavcopyError, match=message):
        list(read([f"{line}\n" for line in f"{HEAD}\n{lines}".splitlines()], Tally()))


LONG = "x" * 50
NO_NUMBER = "`: is not a plain decimal number like `1650.05`"
SAID = [
    ("2024-10-15,2024-10-15,CM", "line 2: has 3 cells, and `Src` is number 4"),
    (FLAIR.replace("2024-10-15,2024-10-15", f"{LONG},2024-10-15"), f"line 2: `TradDt` = `{LONG[:40]}`: wants YYYY-MM-DD"),
    (FLAIR.replace(",CM,NSE,", f",{LONG},{LONG},"), f"line 2: `{'X' * 20}` `{'X' * 20}`: wants NSE or BSE, CM or FO"),
    (FLAIR.replace("295.95", LONG), f"line 2: `ClsPric` = `{LONG[:40]}" + NO_NUMBER),
    (FLAIR.replace("295.95", "-" + "1".zfill(44)), "line 2: `ClsPric` = `-" + "0" * 39 + "" + NO_NUMBER),
    (FLAIR.replace("295.95", "-1"), "line 2: `ClsPric` = `-1`: is below zero"),
    (FLAIR.replace("20372", f"{LONG[:33]}"), f"line 2: `FinInstrmId` = `{LONG[:33]}`: wants the exchange's number"),
    (FLAIR.replace("20372", f"{LONG}"), f"line 2: `FinInstrmId` = `{LONG[:40]}`: wants the exchange's number"),
    (FLAIR.replace("20372", "२०३"), "line 2: `FinInstrmId` = `२०३`: wants the exchange's number"),
    (f"{FLAIR}\n{ICONIK}", "line 3: is of 2026-06-09 in BSE_EQ, the lines before it of 2024-10-15 in NSE_EQ"),
    (f"{FLAIR}\n{FLAIR.replace('295.95', '295.90')}", "line 3: gives `20372` another price than a line before it"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), SAID, ids=[said[:40] for _, said in SAID])
def test_what_is_wrong_is_said_to_the_letter(lines: str, said: str) -> None:
    """With its line, its column and no more of it than a person reads."""
    with pytest.raises(BhavcopyError) as caught:
        prices(*lines.splitlines())
    assert str(caught.value) == said


def test_other_instruments_have_other_prices() -> None:
    """An id of 32 signs is one; lines without a price are counted, each."""
    tally = Tally()
    long, none = FLAIR.replace("20372", "A" * 32).replace("295.95", "1"), FLAIR.replace("295.95", "")
    found = list(read([HEAD, FLAIR, none, long, none.replace("20372", "2")], tally))
    assert [(each.security_id, to_text(each.price_e4)) for each in found] == [("20372", "295.95"), ("A" * 32, "1.00")]
    assert (tally.lines, tally.priceless) == (4, 2)


def test_a_file_of_nothing_and_one_with_a_mark_before_its_head() -> None:
    """The first has no column; the second is the same as without."""
    with pytest.raises(
        BhavcopyError, match=r"^no column `TradDt`: wants the UDiFF form, whose first column is `TradDt`$"
    ):
        list(read([], Tally()))
    assert prices(FLAIR, head="\ufeff" + HEAD) == prices(FLAIR)


def test_another_file_is_refused_by_its_head() -> None:
    """The old form, a page of HTML, nothing at all."""
    for head in ("SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE", "<!DOCTYPE html>", "", HEAD.replace("SttlmPric,", "")):
        with pytest.raises(BhavcopyError, match="no column"):
            prices(FLAIR, head=head)


def test_a_head_that_is_no_line_is_named() -> None:
    """An open quotation mark runs to the end of the file; the line it began in is named."""
    with pytest.raises(BhavcopyError, match=r"^line 1: unexpected end of data$"):
        prices(head='TradDt,"open')


def test_a_line_without_anything_in_it_is_no_line() -> None:
    """Blank lines and lines of blanks at the end of a file are not counted."""
    tally = Tally()
    assert [each.security_id for each in read([HEAD, "", FLAIR, " , ,", ""], tally)] == ["20372"]
    assert tally.lines == 1


def test_a_column_the_file_does_not_have_is_empty() -> None:
    """The underlying's price and the ISIN are not printed by everybody; what is wanted is asked of the head."""
    (whole,) = read([HEAD, NIFTY_FUTURE], Tally())
    (short,) = read([HEAD.replace("UndrlygPric", "Other").replace("ISIN", "Else"), NIFTY_FUTURE], Tally())

    assert whole.underlying_e4 == inr("24055.80")
    assert short == replace(whole, underlying_e4=None, isin="")


def test_blanks_order_and_a_mark_of_the_encoding_do_not_matter() -> None:
    """Columns are found by name; some files pad their words."""
    names, cells = HEAD.split(","), FLAIR.replace(",NSE,", ", NSE ,").split(",")
    turned = prices(",".join(reversed(cells)), head="\ufeff" + ",".join(reversed(names)))
    assert turned == prices(FLAIR, FLAIR)[:1]


# -- what expiry makes of a contract --------------------------------------------------------------------------------------

CALL = option(strike_e4=inr("25000"))
PUT = option(kind="PE", strike_e4=inr("25000"))
STOCK_CALL = Instrument("NSE_FNO", "9", "X-CE", "OPTSTK", strike_e4=inr("100"), option_type="CE", expiry="2026-08-25")
STOCK_PUT = Instrument("NSE_FNO", "9", "X-PE", "OPTSTK", strike_e4=inr("100"), option_type="PE", expiry="2026-08-25")
INDEX_FUTURE = Instrument("NSE_FNO", "9", "N-FUT", "FUTIDX", expiry="2026-08-25")
STOCK_FUTURE = Instrument("NSE_FNO", "9", "X-FUT", "FUTSTK", expiry="2026-08-25")
NAMED = {
    "call": CALL, "put": PUT, "stock-call": STOCK_CALL, "stock-put": STOCK_PUT, "index-future": INDEX_FUTURE,
    "stock-future": STOCK_FUTURE,
}  # fmt: skip

EVENTS = table("""
    contract      net  worth  event          base
    call          75   120    EXERCISE_LONG  120
    call          -75  120    EXPIRY         0
    call          75   0      EXPIRY         0
    put           75   50     EXERCISE_LONG  50
    index-future  75   25000  EXPIRY         0
    stock-future  75   110    RECEIVE        110
    stock-future  -75  110    DELIVER        110
    stock-call    75   10     RECEIVE        100
    stock-call    -75  10     DELIVER        100
    stock-put     75   10     DELIVER        100
    stock-put     -75  10     RECEIVE        100
    stock-put     75   0      EXPIRY         0
    call          1    0.0001  EXERCISE_LONG  0.0001
    stock-call    1    0.0001  RECEIVE       100
    stock-put     1    0.0001  DELIVER       100
    stock-future  1    110    RECEIVE        110
    stock-future  -1   110    DELIVER        110
    put           -75  50     EXPIRY         0
""")


@pytest.mark.parametrize("row", EVENTS, ids=str)
def test_the_tax_office_calls_it(row: Row) -> None:
    """Only the holder of an index option in the money pays on exercise; stock contracts move shares at the strike."""
    found = settled(NAMED[row.contract], row.number("net"), inr(row.worth), None, date(2026, 8, 25))

    assert (found.event, found.price_e4) == (row.event, inr(row.base))
    assert found.quantity == abs(row.number("net"))
    contract = NAMED[row.contract]
    own = (found.exchange_segment, found.kind, found.security_id, found.trade_date)
    assert own == (contract.exchange_segment, contract.kind, contract.security_id, date(2026, 8, 25))


def test_shares_move_at_the_strike_or_the_nearest_thing_known() -> None:
    """Without a strike the underlying's price, without that what the option was worth."""
    nameless = replace(STOCK_CALL, strike_e4=None)
    assert settled(STOCK_CALL, 75, inr("10"), inr("110"), date(2026, 8, 25)).price_e4 == inr("100")
    assert settled(nameless, 75, inr("10"), inr("110"), date(2026, 8, 25)).price_e4 == inr("110")
    assert settled(nameless, 75, inr("10"), None, date(2026, 8, 25)).price_e4 == inr("10")


INTRINSIC = table("""
    type  strike  underlying  worth
    CE    100     110         10.00
    CE    100     100         0.00
    CE    100     90          0.00
    PE    100     90          10.00
    PE    100     100         0.00
    PE    100     110         0.00
    CE    -       110         -
    PE    100     -           -
    XX    100     110         -
""")


@pytest.mark.parametrize("row", INTRINSIC, ids=str)
def test_what_an_option_is_worth_by_itself(row: Row) -> None:
    """What it is in the money by, never less than nothing; unknown where one of the two prices is."""
    worth = intrinsic_e4(row.type, row.e4("strike"), row.e4("underlying"))
    assert ("-" if worth is None else to_text(worth)) == row.worth
    contract = option(kind=row.type, strike_e4=row.e4("strike"))
    if contract.is_option:
        assert worth_e4(contract, inr("7"), row.e4("underlying")) == worth


def test_worth_at_expiry() -> None:
    """A future its settlement price; an option its intrinsic value, and nothing else, whatever was printed."""
    assert worth_e4(INDEX_FUTURE, inr("25000"), None) == inr("25000")
    assert worth_e4(CALL, inr("25100"), inr("25100")) == inr("100")
    assert worth_e4(CALL, inr("25100"), None) is None
    assert intrinsic_e4("XX", inr("1"), inr("2")) is None
