"""Goal: with the key a journal written anew is found; a missing or wrong key is never "verified"."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from riskguard.errors import AuditKeyError
from riskguard.services.audit.report import Audit
from riskguard.services.audit.sealing import seal
from riskguard.services.audit.verify import verify
from riskguard.store.secrets import audit_key
from riskguard.store.session import Store
from tests.services.desk import ACCOUNT, Desk


def audited(desk: Desk) -> Audit:
    return verify(Store(desk.url))


def order(desk: Desk) -> None:
    """One more entry, by a process that looks for the key anew."""
    audit_key.forget(desk.store)
    desk.guard.check(desk.order())


def hidden(path: Path) -> Path:
    """Take the key away, as another user of the host would find it."""
    return path.rename(path.with_name("away"))


def test_every_entry_is_signed_from_the_moment_there_is_a_key(desk: Desk) -> None:
    """Those before it are not, which is said, until a person with the key answers for them."""
    order(desk)
    assert audited(desk).exit_status == 0 and audited(desk).of(ACCOUNT).signed == 0
    audit_key.create()
    order(desk)
    found = audited(desk)
    assert found.exit_status == 3 and found.wrong == []
    assert "3 entries from sequence 1 on carry no mac" in " ".join(found.unproven)
    with pytest.raises(AuditKeyError, match="carry no mac"):
        found.require()

    seal(desk.store, by="asha", reason="the key is new")
    order(desk)
    found = audited(desk)
    found.require()
    assert found.of(ACCOUNT).signed == 3


def test_a_running_process_takes_a_new_key_up_within_a_second(desk: Desk) -> None:
    """It looks once a second, and no entry in between is lost for it."""
    desk.guard.check(desk.order())
    audit_key.create()
    end = time.monotonic() + 20
    while not desk.one("SELECT max(mac) FROM decisions"):
        assert time.monotonic() < end
        desk.guard.check(desk.order())
    assert audited(desk).of(ACCOUNT).signed >= 1


def test_without_the_key_nothing_signed_is_called_verified(desk: Desk) -> None:
    """No key, and another key: both say what they did not judge; neither says that it is true."""
    audit_key.create()
    order(desk)
    audited_by_another = verify(Store(desk.url), keys=audit_key.AuditKeys("another", (b"k" * 32,)))
    hidden(audit_key.key_file())
    for found, says in ((audited(desk), "no audit key is at hand"), (audited_by_another, "at hand: `")):
        assert found.exit_status == 3 and found.wrong == [] and says in " ".join(found.unproven)
        with pytest.raises(AuditKeyError):
            found.require()


def test_a_kill_without_the_key_takes_and_is_named_until_somebody_accepts_it(desk: Desk) -> None:
    """A missing key stops nobody; what was written without it behind entries that have it is wrong until answered for."""
    audit_key.create()
    order(desk)
    key = audit_key.key_file()
    away = hidden(key)
    audit_key.forget(desk.store)
    assert desk.kill().halted
    away.rename(key)
    found = audited(desk)
    assert [(account, wrong.what) for account, wrong in found.wrong] == [(ACCOUNT, "mac")]

    seal(desk.store, by="asha", reason="it was me, from the other shell")
    audited(desk).require()


def test_a_seal_somebody_made_without_the_key_answers_for_nothing(desk: Desk) -> None:
    """The words alone do not do it: it is the mac of the seal that counts."""
    audit_key.create()
    order(desk)
    key = audit_key.key_file()
    away = hidden(key)
    order(desk)
    with pytest.raises(AuditKeyError, match="no audit key to seal with"):
        seal(desk.store, by="mallory", reason="trust me")
    from riskguard.store import journal

    audit_key.forget(desk.store)
    with desk.store.session() as session:
        session.read_heads(ACCOUNT)
        journal.append(
            session, ACCOUNT, "OVERRIDE", {"what": "audit_key", "by": "mallory", "reason": ""}, desk.clock.now_us()
        )
    away.rename(key)
    assert [wrong.what for _account, wrong in audited(desk).wrong] == ["mac"]


def test_a_mac_of_the_right_shape_is_not_enough(desk: Desk) -> None:
    """One hex digit, another entry's mac, and a key id nobody has."""
    audit_key.create()
    order(desk)
    order(desk)
    macs = dict(desk.rows("SELECT sequence, mac FROM decisions WHERE account = 'leader' AND mac <> ''"))
    last = max(macs)
    other = macs[last][:-1] + ("0" if macs[last][-1] != "0" else "1")
    desk.disarm("decisions")
    for mac, what in ((other, "mac"), (macs[last - 1], "mac"), ("ffffffff" + macs[last][8:], None)):
        desk.sql("UPDATE decisions SET mac = ? WHERE account = 'leader' AND sequence = ?", mac, last)
        found = audited(desk)
        wrong = found.of(ACCOUNT).first_wrong
        assert found.exit_status != 0 and (None if wrong is None else wrong.what) == what


def test_a_new_key_signs_and_the_old_one_still_verifies(desk: Desk) -> None:
    """Rotation: both macs are judged; without the old key its entries are not, and are not called true."""
    first = audit_key.create()
    order(desk)
    both = audit_key.add_newest()
    order(desk)
    assert both.ids[1:] == first.ids and audited(desk).wrong == []
    ids = {mac.partition(":")[0] for (mac,) in desk.rows("SELECT mac FROM decisions WHERE mac <> ''")}
    assert ids == set(both.ids)

    key = audit_key.key_file()
    lines = key.read_text().splitlines()
    key.write_text("\n".join(lines[:2]) + "\n")
    found = audited(desk)
    assert found.exit_status == 3 and f"names key `{first.ids[0]}`" in " ".join(found.unproven)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "holds no key"), ("# only a remark\n", "holds no key"), ("short\n", "is no key of 32 bytes")],
)
def test_a_key_file_that_holds_none_is_an_error_and_stops_no_order(desk: Desk, text: str, says: str) -> None:
    """Verification says so; whoever writes goes on without a mac."""
    path = audit_key.key_file()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(AuditKeyError, match=says):
        audited(desk)
    audit_key.forget(desk.store)
    assert desk.guard.check(desk.order()).approved


def test_a_key_others_can_read_is_not_used(desk: Desk) -> None:
    audit_key.create()
    audit_key.key_file().chmod(0o640)
    with pytest.raises(AuditKeyError, match="chmod 600"):
        audited(desk)


def test_the_key_is_0600_is_made_once_and_is_shown_nowhere(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    made = audit_key.create()
    path = audit_key.key_file()
    line = path.read_text().splitlines()[1]
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AuditKeyError, match="there already") as e:
        audit_key.create()
    order(desk)
    shown = repr(made) + str(e.value) + "".join(capfd.readouterr()) + json.dumps(audited(desk).document())
    shown += str(desk.rows("SELECT * FROM decisions")) + str(desk.rows("SELECT * FROM config"))
    assert line not in shown and made.ids[0] in shown


def test_the_credential_comes_before_the_file(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd's directory first; a credential cannot be renewed from here, and that is said."""
    made = audit_key.create()
    (tmp_path / audit_key.CREDENTIAL).write_text("A" * 43 + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = audit_key.at_hand()
    assert found is not None and found.ids != made.ids and "systemd" in found.source
    with pytest.raises(AuditKeyError, match="cannot write to the systemd credential"):
        audit_key.add_newest()
