"""
Every exception of riskguard, cut by what the caller does next.

    RiskGuardError
    ├── InputError                   mend the input and call again; nothing happened
    │   ├── OrderInvalidError        a field of an order is malformed (also a ValueError)
    │   ├── QuoteInvalidError        a pushed quote is malformed (also a ValueError)
    │   ├── RulebookError            a rulebook or limit is malformed; nothing was applied
    │   ├── SettingsError            a setting, URL or profile is malformed
    │   ├── UnknownAccountError      the account is not in the database
    │   ├── RowInvalidError          a value a table does not take; nothing was written
    │   ├── ReportInvalidError       reported positions or a P&L figure are malformed
    │   ├── InstrumentsInvalidError  an instrument master is none, or cut off; the table is as it was
    │   ├── CalendarInvalidError     a list of days is none, or contradicts itself; the file is as it was
    │   ├── BhavcopyInvalidError     a file of closing prices is none, or broken; no price of it was taken
    │   └── TokenInvalidError        what was given is no access token, or one that has expired
    ├── ExtraMissingError            a package of an extra is not installed: `pip install 'riskguard[…]'`
    ├── SecretError                  a stored secret cannot be used; nothing was sent
    │   ├── SecretKeyError           no key at hand, or none that may be used: `riskguard secrets init`
    │   ├── SecretWrongKeyError      made with a key that is not at hand: bring that key back
    │   ├── SecretTamperedError      changed, or carried here from another place: set it anew
    │   └── TokenMissingError        the account has no active token: `riskguard token set`
    ├── StoreError                   do not send; look at the database
    │   ├── StoreUnavailableError    nothing is known to be written: do not send
    │   │   ├── DatabaseMissingError the file is not there or is empty: `riskguard init`
    │   │   ├── SchemaMismatchError  another schema version: `riskguard db upgrade`
    │   │   └── UpgradeError         an old database was not upgraded; it is as it was
    │   ├── RowRefusedError          the database itself refused a row; the write was undone
    │   ├── UpkeepError              a backup, archive or vacuum was not done; no row was lost
    │   └── DecisionUnknownError     our own commit may or may not stand: ask again, same id
    ├── PermitError                  this order may not go to the broker
    │   ├── PermitNotSendableError   void, expired, already sent, or the state changed
    │   └── OrderRefusedError        a limit said no, where the caller wants that raised
    ├── BrokerError                  the broker did not do it, as far as is known
    │   ├── BrokerRefusedError       it said no: nothing rests there
    │   ├── BrokerUnconfirmedError   no answer: it may have acted; reconcile before retrying
    │   └── BrokerUnavailableError   the request never left
    ├── AuditError                   the journal is not proven: keep the database as it is, and look
    │   ├── AuditTamperedError       a row was changed, cut off, put in or moved; the first one is named
    │   ├── AuditKeyError            entries carry macs of a key that is not at hand, or may not be used
    │   └── AnchorError              an anchor could not be kept, or an anchor log cannot be read
    ├── KillNotTakenError            nothing is halted: run `riskguard kill` again, now
    └── ReleaseRefusedError          a precondition of release does not hold

A refusal of an order by a limit is a value, `Decision.rejects`; who likes it raised asks `decision.raise_for_reject()`.
"""

from __future__ import annotations


class RiskGuardError(Exception):
    """Base of everything riskguard raises on purpose. The message names the way out."""


class InputError(RiskGuardError):
    """The caller's input is malformed; nothing was decided and nothing was written."""


class OrderInvalidError(InputError, ValueError):
    """A field of an order is malformed: an order like that cannot exist."""

    def __init__(self, field: str, value: object, problem: str) -> None:
        self.field, self.value_shown, self.problem = field, shown(value), problem
        # An unknown key of somebody's JSON may be anything, line ends and a million characters too.
        named = field if field.isascii() and field.isidentifier() and len(field) <= 60 else shown(field)
        super().__init__(f"`{named}` = {self.value_shown}: {problem}")


class QuoteInvalidError(InputError, ValueError):
    """A pushed quote is malformed; the previous quote stands."""


class RulebookError(InputError):
    """A rulebook or a stored limit is malformed; no limit of it counts as applied."""


class SettingsError(InputError):
    """A setting, database URL or profile is malformed."""


class UnknownAccountError(InputError):
    """The named account is not in the database."""

    def __init__(self, account: str, known: tuple[str, ...] = ()) -> None:
        self.account, self.known = account, known
        listed = ", ".join(f"`{name}`" for name in known) or "none"
        super().__init__(f"no account `{account}` here (known: {listed}); add it with `riskguard init --account`")


class RowInvalidError(InputError):
    """A value that its column does not take: refused before the database was asked."""

    def __init__(self, column: str, problem: str, *, value: object = None, is_secret: bool = False) -> None:
        self.column, self.problem = column, problem
        self.value_shown = "***" if is_secret else shown(value)
        super().__init__(f"`{column}` = `{self.value_shown}`: {problem}")


class ReportInvalidError(InputError):
    """Reported positions, or a figure a person gave, are malformed; nothing was taken over."""


class InstrumentsInvalidError(InputError):
    """What was given is no instrument master, or it is cut off or mostly broken; the table is as it was."""


class CalendarInvalidError(InputError):
    """What was given is no list of trading days, or contradicts itself; the calendar is as it was."""


class BhavcopyInvalidError(InputError):
    """What was given is no file of closing prices of an exchange, or a broken one; no price of it was taken."""


class TokenInvalidError(InputError):
    """What was given is no access token, or one that has expired. The message never holds it."""


class ExtraMissingError(RiskGuardError):
    """A package is not installed that only some users need."""

    def __init__(self, extra: str, package: str, needed_for: str) -> None:
        self.extra, self.package = extra, package
        super().__init__(f"`{package}` is not installed, {needed_for} need it: `pip install 'riskguard[{extra}]'`")


class SecretError(RiskGuardError):
    """A stored secret cannot be used. Never the same as "there is none", except where it says so."""


class SecretKeyError(SecretError):
    """There is no key at hand, or the one that is there may not be used."""


class SecretWrongKeyError(SecretError):
    """The value was made with a key that is not at hand; it is whole, and readable once the key is back."""

    def __init__(self, place: str, key_id: str, having: tuple[str, ...], source: str) -> None:
        self.place, self.key_id, self.having = place, key_id, having
        listed = ", ".join(f"`{each}`" for each in having)
        super().__init__(
            f"{place} was made with key `{key_id}`, which is not at hand ({source} has {listed}): bring that key back, "
            "or set the value anew"
        )


class SecretTamperedError(SecretError):
    """The value does not open: it was changed, cut, or belongs to another row, column or table."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"{place} does not open: {why}; find out who wrote it, then set it anew")


class TokenMissingError(SecretError):
    """The account has no active access token."""

    def __init__(self, account: str) -> None:
        self.account = account
        super().__init__(f"`{account}` has no active access token, set one with `riskguard token set {account}`")


class StoreError(RiskGuardError):
    """The database could not do what was asked."""


class StoreUnavailableError(StoreError):
    """Nothing is known to be written. Do not send the order."""


class DatabaseMissingError(StoreUnavailableError):
    """The database file is absent or empty; riskguard never creates one outside `init`."""


class SchemaMismatchError(StoreUnavailableError):
    """The database has another schema version than this code."""


class UpgradeError(StoreUnavailableError):
    """An old database was not upgraded; the file is as it was."""


class RowRefusedError(StoreError):
    """A constraint or trigger of the database refused a row; what the block wrote was undone."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the database refused the row ({why}); nothing of it was written: mend the row")


class UpkeepError(StoreError):
    """A backup, archive or vacuum was not done, or not to its end; no row was lost and it can be run again."""


class DecisionUnknownError(StoreError):
    """The commit of a decision was interrupted: it may or may not stand. Ask again with the same id."""

    def __init__(self, client_order_id: str, cause: str) -> None:
        self.client_order_id = client_order_id
        super().__init__(
            f"the decision on `{client_order_id}` may or may not be recorded ({cause}); "
            "do not send: ask again with the same client order id"
        )


class PermitError(RiskGuardError):
    """The order of this permit may not go to the broker."""


class PermitNotSendableError(PermitError):
    """The permit is void, expired, already sent, or the trading state no longer admits it."""

    def __init__(self, client_order_id: str, why: str) -> None:
        self.client_order_id, self.why = client_order_id, why
        super().__init__(f"`{client_order_id}` may not be sent: {why}")


class OrderRefusedError(PermitError):
    """A limit refused the order; `decision` is the whole answer."""

    def __init__(self, decision: object, said: str) -> None:
        self.decision = decision
        super().__init__(said.replace("\n", "; "))


class BrokerError(RiskGuardError):
    """The broker did not do what was asked, as far as is known."""


class BrokerRefusedError(BrokerError):
    """The broker said no: nothing of this request rests there."""


class BrokerUnconfirmedError(BrokerError):
    """No usable answer: the broker may or may not have acted. Reconcile before retrying."""


class BrokerUnavailableError(BrokerError):
    """The request never left this host."""


class AuditError(RiskGuardError):
    """The journal is not proven. Never the same as "verified"."""


class AuditTamperedError(AuditError):
    """A row was changed, cut off, put in or moved. Keep the database as it is."""


class AuditKeyError(AuditError):
    """Macs cannot be judged: no key at hand, another key than they were made with, or one that may not be used."""


class AnchorError(AuditError):
    """An anchor could not be kept, or an anchor log cannot be read."""


class KillNotTakenError(RiskGuardError):
    """No flag file could be written and the database took no row: nothing is halted."""


class ReleaseRefusedError(RiskGuardError):
    """A precondition of release does not hold; the scope stays halted."""


def shown(value: object, characters_max: int = 60) -> str:
    """Return *value* fit for a one-line message: escaped, bounded, never raising."""
    try:
        text = ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a very large integer"
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= characters_max else text[:characters_max] + "…"
