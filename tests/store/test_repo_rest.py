"""Goal: the other areas: mappings, instruments, stream, logs, settings, and what can only be read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from riskguard.errors import RowInvalidError, RowRefusedError
from riskguard.store import Database
from riskguard.store.rows import CopyMappingRow, InstrumentRow, WebsocketConnectionRow
from tests.store.rows import INSTRUMENT, MAPPING, T
from tests.store.test_repo_orders import row


def mapping(**changes: Any) -> CopyMappingRow:
    return CopyMappingRow(**row(MAPPING, **changes))


# -- copy mappings -----------------------------------------------------------------------------------------------------


def test_a_mapping_needs_no_orders_and_is_one(database: Database) -> None:
    """Version 3 refused it without the orders' rows, so the next update placed the copy again."""
    number = database.copy_mappings.save_copy_mapping(mapping(follower_order_id=None, status="pending"))
    assert database.copy_mappings.save_copy_mapping(mapping()) == number

    found = database.copy_mappings.get_copy_mapping_by_leader("A1")
    assert found is not None and (found.id, found.follower_order_id, found.status) == (number, "B1", "placed")
    assert database.copy_mappings.get_copy_mapping_by_follower("B1") == found
    assert database.copy_mappings.get_copy_mapping_by_leader("none") is None


def test_several_followers_are_not_confused(database: Database) -> None:
    """Each has its own row; whoever does not say which one he means is told so, and nothing changes."""
    for name in ("f1", "f2"):
        database.copy_mappings.save_copy_mapping(mapping(follower_account=name, follower_order_id=f"B-{name}"))

    with pytest.raises(RowInvalidError, match="f1, f2"):
        database.copy_mappings.get_copy_mapping_by_leader("A1")
    with pytest.raises(RowInvalidError, match="f1, f2"):
        database.copy_mappings.update_copy_mapping_status("A1", "cancelled")
    assert database.copy_mappings.update_copy_mapping_status("A1", "failed", error_message="no", follower_account="f2")
    states = {
        each.follower_account: (each.status, each.error_message)
        for each in database.copy_mappings.get_copy_mappings("A1")
    }
    assert states == {"f1": ("placed", None), "f2": ("failed", "no")}
    assert not database.copy_mappings.update_copy_mapping_status("none", "failed")


def test_one_copy_of_two_orders_is_refused(database: Database) -> None:
    """A follower order copies one leader order; the second claim is an error, not an overwrite."""
    database.copy_mappings.save_copy_mapping(mapping())
    with pytest.raises(RowRefusedError):
        database.copy_mappings.save_copy_mapping(mapping(leader_order_id="A2"))
    with pytest.raises(RowInvalidError, match="status"):
        database.copy_mappings.save_copy_mapping(mapping(status="done"))
    assert database.copy_mappings.get_copy_mappings("A2") == []


# -- instruments -------------------------------------------------------------------------------------------------------


def test_one_number_in_two_segments(database: Database) -> None:
    """Two instruments; asking by the number alone is refused once it is ambiguous."""
    database.instruments.save_instrument(InstrumentRow(**row(INSTRUMENT, series="EQ", freeze_quantity=500)))
    assert database.instruments.get_instrument("25").symbol == "ADANIENT"  # type: ignore[union-attr]

    other = row(INSTRUMENT, exchange_segment="NSE_FNO", symbol="NIFTY", expiry_date="2025-12-30")
    assert database.instruments.save_instruments([InstrumentRow(**other)]) == 1
    with pytest.raises(RowInvalidError, match="NSE_EQ, NSE_FNO"):
        database.instruments.get_instrument("25")
    found = database.instruments.get_instrument("25", "NSE_FNO")
    assert found is not None and (found.symbol, found.tick_size) == ("NIFTY", Decimal("0.05"))
    assert database.instruments.find_instruments("NIFTY", "NSE_FNO") == [found]
    assert database.instruments.get_instrument("nobody has this") is None


def test_a_later_save_keeps_what_it_does_not_say(database: Database) -> None:
    """Also through the trigger that guards our columns against version 3 writers."""
    database.instruments.save_instrument(InstrumentRow(**row(INSTRUMENT, series="EQ", freeze_quantity=500, isin="IN1")))
    database.instruments.save_instrument(InstrumentRow(**row(INSTRUMENT, tick_size="0.1")))

    found = database.instruments.get_instrument("25", "NSE_EQ")
    assert found is not None
    assert (found.series, found.freeze_quantity, found.isin, found.tick_size) == ("EQ", 500, "IN1", Decimal("0.1"))


# -- the stream --------------------------------------------------------------------------------------------------------


def test_messages_are_told_once_and_dealt_with_once(database: Database) -> None:
    """The same payload again is one row; another account's is another; each is dealt with once."""
    stream = database.live_updates
    assert stream.save_websocket_message("leader", "ws-1", "order_alert", {"a": 1}, "A1")
    assert not stream.save_websocket_message("leader", "ws-2", "order_alert", {"a": 1}, "A1")
    assert stream.save_websocket_message("follower", "ws-1", "order_alert", {"a": 1})
    assert stream.save_websocket_message("leader", "ws-1", "order_alert", '{"a": 2}')

    first, second = stream.get_unprocessed_messages("leader")
    assert (first.payload, second.payload) == ('{"a": 1}', '{"a": 2}')
    assert stream.mark_message_processed(first.id or 0)
    assert not stream.mark_message_processed(first.id or 0)
    assert stream.get_unprocessed_messages("leader") == [second]
    assert len(stream.get_messages_by_order_id("A1")) == 1


def test_a_connection_is_one_row(database: Database) -> None:
    """State, attempts and heartbeat; an older double of an old file does not count."""
    stream = database.live_updates
    made = WebsocketConnectionRow(
        account_type="leader", connection_id="ws-1", ws_url="wss://x", status="CONNECTING", created_at=T, updated_at=T
    )
    stream.save_websocket_connection(made)
    stream.save_websocket_connection(made.model_copy(update={"subscribed_events": "[]"}))
    assert stream.update_websocket_status("ws-1", "CONNECTING") and stream.update_websocket_status("ws-1", "CONNECTED")
    assert stream.heartbeat("ws-1") and not stream.heartbeat("ws-9")

    (found,) = stream.get_active_websocket_connections("leader")
    assert (found.status, found.connect_attempts, found.connected_at, found.last_heartbeat_at) == ("CONNECTED", 1, T, T)
    with pytest.raises(RowInvalidError, match=r"websocket_connections\.status"):
        stream.update_websocket_status("ws-1", "UP")
    assert stream.update_websocket_status("ws-1", "ERROR")
    assert stream.get_active_websocket_connections() == []
    gone = stream.get_websocket_connection("ws-1")
    assert gone is not None and gone.disconnected_at == T


# -- logs --------------------------------------------------------------------------------------------------------------

TOKEN = ".".join(("eyJ" + "hbGciOiJIUzI1NiJ9", "eyJzdWIiOiJjYW5hcnkifQ", "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    "request_data",
    [
        {"headers": {"access-token": TOKEN}, "tpin": "482913"}, f'{{"accessToken": "{TOKEN}", "tpin": "482913"}}',
        f"access-token{':'} {TOKEN} tpin=482913".encode(), [{"webhook_secret": TOKEN}],
    ],
)  # fmt: skip
def test_secrets_do_not_reach_the_log(database: Database, request_data: Any) -> None:
    """By name and by shape, in mappings, JSON text and bytes; what is no secret stays."""
    number = database.audit.log_audit(
        "place_order", "leader", request_data, {"orderId": "82260922104417", "echo": TOKEN}, 200, f"said {TOKEN}", 31,
        module="dhan",
    )  # fmt: skip
    (found,) = database.audit.get_audit_log("leader", "place_order", from_ts=T)
    said = f"{found.request_data}{found.response_data}{found.error_message}{found!r}"
    assert found.id == number and "82260922104417" in said and (found.status_code, found.duration_ms) == (200, 31)
    assert TOKEN not in said and "482913" not in said and "c2lnbmF0dXJl" not in said


def test_any_account_and_broken_text_can_be_logged(database: Database) -> None:
    """A sweep and an operator have names; a NUL or a lone surrogate does not lose the entry."""
    database.audit.log_audit("sweep", "GLOBAL", "a\0b\ud800c")
    (found,) = database.audit.get_audit_log("GLOBAL")
    assert found.request_data is not None and "a" in found.request_data and "c" in found.request_data
    assert database.audit.get_audit_log("leader", limit=5) == []


def test_errors_are_logged_with_their_traceback(database: Database) -> None:
    """An exception, or a kind and a message; without secrets."""
    try:
        raise ValueError(f"broken by {TOKEN}")
    except ValueError as e:
        database.audit.log_error(e, severity="CRITICAL", account_type="leader", context={"access_token": TOKEN})
    database.audit.log_error("stale_feed", "no quote for 40 s", error_code="F1")

    newest, first = database.audit.get_errors()
    assert (newest.error_type, newest.error_message, newest.severity) == ("stale_feed", "no quote for 40 s", "ERROR")
    assert first.error_type == "ValueError" and "Traceback" in (first.stack_trace or "")
    assert TOKEN not in f"{first.error_message}{first.stack_trace}{first.context}"
    assert [each.id for each in database.audit.get_errors("CRITICAL", "leader", T)] == [first.id]
    with pytest.raises(RowInvalidError, match=r"error_log\.severity"):
        database.audit.log_error("x", severity="LOUD")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_setting_a_value_keeps_what_it_is(database: Database) -> None:
    """Version 3 put data type, category and description back to nothing with each save."""
    before = database.config.get_config_row("ws_max_reconnect_attempts")
    database.config.set_config_value("ws_max_reconnect_attempts", "12")
    database.config.set("copy_enabled", False)
    after = database.config.get_config_row("ws_max_reconnect_attempts")

    assert before is not None and after is not None
    assert (after.data_type, after.category, after.description) == (
        before.data_type,
        before.category,
        before.description,
    )
    assert (after.value, database.config.get("ws_max_reconnect_attempts")) == ("12", 12)
    assert (database.config.get("copy_enabled"), database.config.get_config_value("copy_enabled")) == (False, "false")
    assert database.get_schema_version() == 4


def test_new_settings_take_their_type_from_the_value(database: Database) -> None:
    """Text, whole number, boolean and JSON come back as they went in; an absent one is None."""
    values: dict[str, Any] = {"a": "text", "b": 7, "c": True, "d": {"x": [1, None]}}
    for key, value in values.items():
        database.config.set(key, value)
    database.config.set_config_value("e", "f", "why")

    assert {key: database.config.get(key) for key in values} == values
    assert [each.data_type for each in database.config.get_config() if each.key in values] == [
        "string", "integer", "boolean", "json",
    ]  # fmt: skip
    assert database.config.get_config_row("e").description == "why"  # type: ignore[union-attr]
    assert database.config.get("none") is None and database.config.get_config_value("none") is None
    assert [each.key for each in database.config.get_config("websocket")] == [
        "ws_max_reconnect_attempts", "ws_reconnect_enabled",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ws_max_reconnect_attempts", "many"), ("ws_max_reconnect_attempts", "1.5"), ("copy_enabled", 1),
        ("copy_enabled", "yes"), ("schema_version", 3), ("riskguard.release_hold_s", "0"), (" ", "x"), ("new", 1.5),
        ("new", {"x": float("nan")}), ("new", None),
    ],
)  # fmt: skip
def test_a_setting_of_another_kind_is_refused(database: Database, key: str, value: Any) -> None:
    """Nor can riskguard's own settings be changed here: a strategy must not shorten its own hold."""
    before = database.config.get_config_value(key)
    with pytest.raises(RowInvalidError, match="config"):
        database.config.set(key, value)
    assert database.config.get_config_value(key) == before


def test_an_encrypted_setting_is_not_read_or_overwritten(database: Database) -> None:
    """Its repr shows stars; plain text never takes the place of an envelope."""
    from riskguard.store.rows import ConfigRow

    secret = ConfigRow(key="k", value="rg1:sealed", is_sensitive=True, updated_at=T)
    database.config._upsert(secret)

    assert "sealed" not in repr(secret) and "sealed" not in repr(database.config.get_config())
    with pytest.raises(RowInvalidError, match="authentication"):
        database.config.get("k")
    with pytest.raises(RowInvalidError, match="authentication"):
        database.config.set("k", "plain")


# -- what can only be read -----------------------------------------------------------------------------------------------


def test_what_decides_can_only_be_read(database: Database) -> None:
    """Limits, latch, journal and runs have no method that writes."""
    for repository in (database.control, database.journal, database.runs, database.snapshots):
        public = {name for name in dir(repository) if not name.startswith("_")}
        assert public and all(name.startswith("get_") for name in public), type(repository)


def test_every_reader_answers(database: Database) -> None:
    """Each works on an account that is not there: an empty list or None."""
    for repository in (database.control, database.journal, database.runs, database.snapshots):
        for name in dir(repository):
            if name.startswith("get_"):
                needed = repository.__class__.__dict__[name].__code__
                count = needed.co_argcount - 1 - len(repository.__class__.__dict__[name].__defaults__ or ())
                given: list[Any] = [
                    1 if each in ("run_id", "since_us") else "nobody" for each in needed.co_varnames[1 : count + 1]
                ]
                found = getattr(repository, name)(*given)
                assert found is None or found == [] or "account" not in needed.co_varnames[1 : count + 1], name
