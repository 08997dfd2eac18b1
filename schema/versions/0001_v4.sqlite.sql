-- The schema of riskguard, version 4, as SQLite statements.
-- Generated from riskguard/store/tables, triggers and views.py: `python -m riskguard.store.snapshot`.

CREATE TABLE account_heads (
    account TEXT NOT NULL,
    sequence INTEGER DEFAULT 0 NOT NULL,
    last_hash TEXT DEFAULT '' NOT NULL,
    epoch INTEGER DEFAULT 0 NOT NULL,
    version INTEGER DEFAULT 0 NOT NULL,
    generation INTEGER DEFAULT 0 NOT NULL,
    controls INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_account_heads PRIMARY KEY (account),
    CONSTRAINT ck_account_heads_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_account_heads_sequence CHECK (typeof(sequence) IN ('integer', 'null') AND sequence >= 0),
    CONSTRAINT ck_account_heads_epoch CHECK (typeof(epoch) IN ('integer', 'null') AND epoch >= 0),
    CONSTRAINT ck_account_heads_version CHECK (typeof(version) IN ('integer', 'null') AND version >= 0),
    CONSTRAINT ck_account_heads_generation CHECK (typeof(generation) IN ('integer', 'null') AND generation >= 0),
    CONSTRAINT ck_account_heads_controls CHECK (typeof(controls) IN ('integer', 'null'))
)
 STRICT;

CREATE TABLE accounts (
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    group_name TEXT DEFAULT '' NOT NULL,
    broker TEXT DEFAULT '' NOT NULL,
    created_at_us INTEGER NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (account),
    CONSTRAINT ck_accounts_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_accounts_role CHECK (trim(role) != ''),
    CONSTRAINT ck_accounts_created_at_us CHECK (typeof(created_at_us) IN ('integer', 'null') AND created_at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE adopted_files (
    digest TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT pk_adopted_files PRIMARY KEY (digest),
    CONSTRAINT ck_adopted_files_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE alert_channels (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    argv TEXT DEFAULT '[]' NOT NULL,
    least TEXT DEFAULT 'info' NOT NULL,
    timeout_ms INTEGER DEFAULT 10000 NOT NULL,
    created_at_us INTEGER NOT NULL,
    CONSTRAINT pk_alert_channels PRIMARY KEY (name),
    CONSTRAINT ck_alert_channels_name CHECK (trim(name) != ''),
    CONSTRAINT ck_alert_channels_kind CHECK (kind IN ('command', 'apprise')),
    CONSTRAINT ck_alert_channels_least CHECK (least IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_alert_channels_timeout_ms CHECK (typeof(timeout_ms) IN ('integer', 'null') AND timeout_ms >= 100),
    CONSTRAINT ck_alert_channels_created_at_us CHECK (typeof(created_at_us) IN ('integer', 'null') AND created_at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE alert_deliveries (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    alert_id INTEGER NOT NULL,
    part INTEGER NOT NULL,
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT DEFAULT 'WAITING' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    token INTEGER DEFAULT 0 NOT NULL,
    next_at_us INTEGER NOT NULL,
    sent_at_us INTEGER,
    last_error TEXT DEFAULT '' NOT NULL,
    CONSTRAINT ck_alert_deliveries_alert_id CHECK (typeof(alert_id) IN ('integer', 'null')),
    CONSTRAINT ck_alert_deliveries_part CHECK (typeof(part) IN ('integer', 'null') AND part >= 1),
    CONSTRAINT ck_alert_deliveries_channel CHECK (trim(channel) != ''),
    CONSTRAINT ck_alert_deliveries_state CHECK (state IN ('WAITING', 'SENDING', 'SENT', 'GIVEN_UP')),
    CONSTRAINT ck_alert_deliveries_attempts CHECK (typeof(attempts) IN ('integer', 'null') AND attempts >= 0),
    CONSTRAINT ck_alert_deliveries_token CHECK (typeof(token) IN ('integer', 'null') AND token >= 0),
    CONSTRAINT ck_alert_deliveries_next_at_us CHECK (typeof(next_at_us) IN ('integer', 'null') AND next_at_us >= 100000000000000),
    CONSTRAINT ck_alert_deliveries_sent_at_us CHECK (typeof(sent_at_us) IN ('integer', 'null') AND sent_at_us >= 100000000000000),
    CONSTRAINT uq_alert_deliveries_alert_id_part_channel UNIQUE (alert_id, part, channel)
)
 STRICT;

CREATE INDEX idx_alert_deliveries_channel ON alert_deliveries (channel, id);

CREATE INDEX idx_alert_deliveries_due ON alert_deliveries (channel, next_at_us) WHERE state IN ('WAITING', 'SENDING');

CREATE TABLE alerts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    severity TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    dedupe_key TEXT NOT NULL,
    once TEXT,
    not_to TEXT DEFAULT '' NOT NULL,
    is_logged INTEGER DEFAULT 0 NOT NULL,
    queued_at_us INTEGER,
    came_again INTEGER DEFAULT 0 NOT NULL,
    untold INTEGER DEFAULT 0 NOT NULL,
    earlier INTEGER DEFAULT 0 NOT NULL,
    parts INTEGER DEFAULT 1 NOT NULL,
    said_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    CONSTRAINT ck_alerts_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_alerts_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_alerts_code CHECK (trim(code) != ''),
    CONSTRAINT ck_alerts_message CHECK (trim(message) != ''),
    CONSTRAINT ck_alerts_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_alerts_dedupe_key CHECK (trim(dedupe_key) != ''),
    CONSTRAINT ck_alerts_is_logged CHECK (typeof(is_logged) IN ('integer', 'null') AND is_logged IN (0, 1)),
    CONSTRAINT ck_alerts_queued_at_us CHECK (typeof(queued_at_us) IN ('integer', 'null') AND queued_at_us >= 100000000000000),
    CONSTRAINT ck_alerts_came_again CHECK (typeof(came_again) IN ('integer', 'null') AND came_again >= 0),
    CONSTRAINT ck_alerts_untold CHECK (typeof(untold) IN ('integer', 'null') AND untold >= 0),
    CONSTRAINT ck_alerts_earlier CHECK (typeof(earlier) IN ('integer', 'null') AND earlier >= 0),
    CONSTRAINT ck_alerts_parts CHECK (typeof(parts) IN ('integer', 'null') AND parts >= 1),
    CONSTRAINT ck_alerts_said_at_us CHECK (typeof(said_at_us) IN ('integer', 'null') AND said_at_us >= 100000000000000),
    CONSTRAINT ck_alerts_last_at_us CHECK (typeof(last_at_us) IN ('integer', 'null') AND last_at_us >= 100000000000000),
    CONSTRAINT uq_alerts_once UNIQUE (once)
)
 STRICT;

CREATE INDEX idx_alerts_at ON alerts (at_us);

CREATE INDEX idx_alerts_key ON alerts (account, dedupe_key, id);

CREATE INDEX idx_alerts_open ON alerts (id) WHERE queued_at_us IS NULL;

CREATE INDEX idx_alerts_untold ON alerts (said_at_us) WHERE untold > 0;

CREATE TABLE audit_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    account_type TEXT NOT NULL,
    module TEXT,
    request_data TEXT,
    response_data TEXT,
    status_code INTEGER,
    error_message TEXT,
    duration_ms INTEGER,
    ts INTEGER NOT NULL,
    CONSTRAINT ck_audit_log_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_audit_log_status_code CHECK (typeof(status_code) IN ('integer', 'null')),
    CONSTRAINT ck_audit_log_duration_ms CHECK (typeof(duration_ms) IN ('integer', 'null')),
    CONSTRAINT ck_audit_log_ts CHECK (typeof(ts) IN ('integer', 'null') AND ts < 100000000000)
);

CREATE INDEX idx_audit_account ON audit_log (account_type, ts);

CREATE INDEX idx_audit_action_ts ON audit_log (action, ts);

CREATE INDEX idx_audit_module ON audit_log (module, ts);

CREATE TABLE auth_tokens (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    access_token TEXT NOT NULL,
    token_type TEXT DEFAULT 'Bearer',
    expires_at INTEGER,
    refresh_token TEXT,
    scope TEXT,
    is_active INTEGER DEFAULT 1,
    last_used_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT ck_auth_tokens_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_auth_tokens_expires_at CHECK (typeof(expires_at) IN ('integer', 'null') AND expires_at < 100000000000),
    CONSTRAINT ck_auth_tokens_is_active CHECK (typeof(is_active) IN ('integer', 'null') AND is_active IN (0, 1)),
    CONSTRAINT ck_auth_tokens_last_used_at CHECK (typeof(last_used_at) IN ('integer', 'null') AND last_used_at < 100000000000),
    CONSTRAINT ck_auth_tokens_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_auth_tokens_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000)
);

CREATE INDEX idx_auth_tokens_account ON auth_tokens (account_type, is_active);

CREATE INDEX idx_auth_tokens_expiry ON auth_tokens (expires_at);

CREATE UNIQUE INDEX uq_auth_tokens_active ON auth_tokens (account_type) WHERE is_active = 1;

CREATE TABLE backstops (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    state TEXT NOT NULL,
    loss_e4 INTEGER,
    products TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT pk_backstops PRIMARY KEY (account, session_date),
    CONSTRAINT ck_backstops_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_backstops_state CHECK (state IN ('ARMED', 'REFUSED', 'UNKNOWN')),
    CONSTRAINT ck_backstops_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE book_differences (
    account TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    product TEXT NOT NULL,
    session_date TEXT NOT NULL,
    ours INTEGER NOT NULL,
    theirs INTEGER NOT NULL,
    reads INTEGER DEFAULT 1 NOT NULL,
    first_at_us INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    CONSTRAINT pk_book_differences PRIMARY KEY (account, exchange_segment, security_id, product),
    CONSTRAINT ck_book_differences_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_book_differences_ours CHECK (typeof(ours) IN ('integer', 'null')),
    CONSTRAINT ck_book_differences_theirs CHECK (typeof(theirs) IN ('integer', 'null')),
    CONSTRAINT ck_book_differences_reads CHECK (typeof(reads) IN ('integer', 'null') AND reads >= 1),
    CONSTRAINT ck_book_differences_first_at_us CHECK (typeof(first_at_us) IN ('integer', 'null') AND first_at_us >= 100000000000000),
    CONSTRAINT ck_book_differences_last_at_us CHECK (typeof(last_at_us) IN ('integer', 'null') AND last_at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE bracket_order_legs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    parent_order_id TEXT NOT NULL,
    leg_order_id TEXT NOT NULL,
    leg_type TEXT NOT NULL,
    account_type TEXT NOT NULL,
    status TEXT DEFAULT 'PENDING',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT ck_bracket_order_legs_leg_type CHECK (leg_type IN ('ENTRY', 'TARGET', 'SL')),
    CONSTRAINT ck_bracket_order_legs_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_bracket_order_legs_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_bracket_order_legs_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT uq_bracket_order_legs_parent_order_id_account_type_leg_order_id UNIQUE (parent_order_id, account_type, leg_order_id)
);

CREATE INDEX idx_bo_legs_account ON bracket_order_legs (account_type);

CREATE INDEX idx_bo_legs_leg ON bracket_order_legs (leg_order_id);

CREATE INDEX idx_bo_legs_type ON bracket_order_legs (leg_type, status);

CREATE TABLE cash_flows (
    account TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    session_date TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_e4 INTEGER NOT NULL,
    particulars TEXT DEFAULT '' NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT pk_cash_flows PRIMARY KEY (account, entry_id),
    CONSTRAINT ck_cash_flows_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_cash_flows_kind CHECK (kind IN ('DEPOSIT', 'PAYOUT')),
    CONSTRAINT ck_cash_flows_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_cash_flows_day ON cash_flows (account, session_date);

CREATE TABLE config (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    data_type TEXT DEFAULT 'string',
    category TEXT,
    description TEXT,
    is_sensitive INTEGER DEFAULT 0,
    updated_at INTEGER NOT NULL,
    CONSTRAINT pk_config PRIMARY KEY ("key"),
    CONSTRAINT ck_config_key CHECK (trim("key") != ''),
    CONSTRAINT ck_config_data_type CHECK (data_type IN ('string', 'integer', 'boolean', 'json')),
    CONSTRAINT ck_config_is_sensitive CHECK (typeof(is_sensitive) IN ('integer', 'null') AND is_sensitive IN (0, 1)),
    CONSTRAINT ck_config_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000)
);

CREATE INDEX idx_config_category ON config (category);

CREATE TABLE control_actions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    os_user TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    kill_ids TEXT DEFAULT '' NOT NULL,
    at_us INTEGER NOT NULL,
    is_open INTEGER DEFAULT 1 NOT NULL,
    sequence INTEGER,
    CONSTRAINT ck_control_actions_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_control_actions_kind CHECK (kind IN ('INIT', 'APPLY', 'RELEASE', 'OVERRIDE', 'SUPERSEDE')),
    CONSTRAINT ck_control_actions_by_whom CHECK (trim(by_whom) != ''),
    CONSTRAINT ck_control_actions_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_control_actions_is_open CHECK (typeof(is_open) IN ('integer', 'null') AND is_open IN (0, 1)),
    CONSTRAINT ck_control_actions_sequence CHECK (typeof(sequence) IN ('integer', 'null'))
)
 STRICT;

CREATE INDEX idx_control_actions_kind ON control_actions (account, kind, sequence);

CREATE UNIQUE INDEX uq_control_actions_open ON control_actions (account) WHERE is_open = 1;

CREATE TABLE control_changes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    what TEXT NOT NULL,
    control_id INTEGER,
    control_type TEXT NOT NULL,
    limit_id TEXT DEFAULT '' NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    old_values TEXT,
    new_values TEXT,
    is_adopted INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT ck_control_changes_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_control_changes_what CHECK (trim(what) != ''),
    CONSTRAINT ck_control_changes_control_id CHECK (typeof(control_id) IN ('integer', 'null')),
    CONSTRAINT ck_control_changes_is_adopted CHECK (typeof(is_adopted) IN ('integer', 'null') AND is_adopted IN (0, 1))
)
 STRICT;

CREATE INDEX idx_control_changes_open ON control_changes (account) WHERE is_adopted = 0;

CREATE TABLE copy_mappings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    leader_order_id TEXT NOT NULL,
    follower_order_id TEXT,
    leader_quantity INTEGER NOT NULL,
    follower_quantity INTEGER NOT NULL,
    sizing_strategy TEXT,
    capital_ratio REAL,
    status TEXT NOT NULL,
    error_message TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    follower_account TEXT DEFAULT '' NOT NULL,
    CONSTRAINT ck_copy_mappings_leader_quantity CHECK (typeof(leader_quantity) IN ('integer', 'null') AND leader_quantity >= 0),
    CONSTRAINT ck_copy_mappings_follower_quantity CHECK (typeof(follower_quantity) IN ('integer', 'null') AND follower_quantity >= 0),
    CONSTRAINT ck_copy_mappings_capital_ratio CHECK (typeof(capital_ratio) IN ('real', 'integer', 'null') AND abs(capital_ratio) < 900000000000000),
    CONSTRAINT ck_copy_mappings_status CHECK (status IN ('pending', 'placed', 'failed', 'cancelled')),
    CONSTRAINT ck_copy_mappings_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_copy_mappings_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT uq_copy_mappings_leader_order_id_follower_account UNIQUE (leader_order_id, follower_account),
    CONSTRAINT uq_copy_mappings_follower_order_id UNIQUE (follower_order_id)
);

CREATE INDEX idx_copy_mappings_status ON copy_mappings (status, created_at);

CREATE TABLE day_baselines (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    source TEXT NOT NULL,
    opening_equity_e4 INTEGER,
    adjustment_e4 INTEGER DEFAULT 0 NOT NULL,
    by_whom TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_day_baselines PRIMARY KEY (account, session_date),
    CONSTRAINT ck_day_baselines_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_baselines_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_day_baselines_source CHECK (trim(source) != '')
)
 STRICT;

CREATE TABLE day_books (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    product TEXT NOT NULL,
    start_quantity INTEGER DEFAULT 0 NOT NULL,
    previous_close_e4 INTEGER,
    filled_quantity INTEGER DEFAULT 0 NOT NULL,
    bought INTEGER DEFAULT 0 NOT NULL,
    sold INTEGER DEFAULT 0 NOT NULL,
    buy_value_e4 INTEGER DEFAULT 0 NOT NULL,
    sell_value_e4 INTEGER DEFAULT 0 NOT NULL,
    fills INTEGER DEFAULT 0 NOT NULL,
    last_fill_us INTEGER,
    base_proven INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_day_books PRIMARY KEY (account, session_date, exchange_segment, security_id, product),
    CONSTRAINT ck_day_books_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_books_start_quantity CHECK (typeof(start_quantity) IN ('integer', 'null')),
    CONSTRAINT ck_day_books_filled_quantity CHECK (typeof(filled_quantity) IN ('integer', 'null')),
    CONSTRAINT ck_day_books_bought CHECK (typeof(bought) IN ('integer', 'null') AND bought >= 0),
    CONSTRAINT ck_day_books_sold CHECK (typeof(sold) IN ('integer', 'null') AND sold >= 0),
    CONSTRAINT ck_day_books_fills CHECK (typeof(fills) IN ('integer', 'null') AND fills >= 0),
    CONSTRAINT ck_day_books_last_fill_us CHECK (typeof(last_fill_us) IN ('integer', 'null') AND last_fill_us >= 100000000000000),
    CONSTRAINT ck_day_books_base_proven CHECK (typeof(base_proven) IN ('integer', 'null') AND base_proven IN (0, 1))
)
 STRICT;

CREATE INDEX idx_day_books_open ON day_books (account, session_date) WHERE start_quantity + filled_quantity <> 0;

CREATE TABLE day_charges (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    fills INTEGER NOT NULL,
    turnover_e4 INTEGER NOT NULL,
    total_e4 INTEGER NOT NULL,
    brokerage_e4 INTEGER NOT NULL,
    exchange_txn_e4 INTEGER NOT NULL,
    sebi_e4 INTEGER NOT NULL,
    ipft_e4 INTEGER NOT NULL,
    stt_e4 INTEGER NOT NULL,
    stamp_e4 INTEGER NOT NULL,
    gst_e4 INTEGER NOT NULL,
    dp_e4 INTEGER DEFAULT 0 NOT NULL,
    is_known INTEGER NOT NULL,
    doubts TEXT DEFAULT '[]' NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT pk_day_charges PRIMARY KEY (account, session_date, exchange_segment),
    CONSTRAINT ck_day_charges_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_charges_fills CHECK (typeof(fills) IN ('integer', 'null') AND fills >= 0),
    CONSTRAINT ck_day_charges_is_known CHECK (typeof(is_known) IN ('integer', 'null') AND is_known IN (0, 1)),
    CONSTRAINT ck_day_charges_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE decisions (
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    client_order_id TEXT,
    kind TEXT NOT NULL,
    approved INTEGER NOT NULL,
    strategy TEXT DEFAULT '' NOT NULL,
    decided_at_us INTEGER NOT NULL,
    body TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    mac TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (account, sequence),
    CONSTRAINT ck_decisions_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_decisions_sequence CHECK (typeof(sequence) IN ('integer', 'null') AND sequence >= 1),
    CONSTRAINT ck_decisions_kind CHECK (kind IN ('ORDER', 'KILL', 'RELEASE', 'APPLY', 'INIT', 'STATE', 'ADOPTED', 'OVERRIDE', 'BASELINE', 'MODIFY')),
    CONSTRAINT ck_decisions_approved CHECK (typeof(approved) IN ('integer', 'null') AND approved IN (0, 1)),
    CONSTRAINT ck_decisions_decided_at_us CHECK (typeof(decided_at_us) IN ('integer', 'null') AND decided_at_us >= 100000000000000)
)
 STRICT;

CREATE UNIQUE INDEX uq_decisions_client_order_id ON decisions (account, client_order_id) WHERE client_order_id IS NOT NULL;

CREATE TABLE edis_transactions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    isin TEXT NOT NULL,
    qty INTEGER NOT NULL,
    exchange TEXT NOT NULL,
    segment TEXT NOT NULL,
    bulk INTEGER DEFAULT 0,
    tpin TEXT,
    status TEXT NOT NULL,
    request_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    authorized_at INTEGER,
    expires_at INTEGER,
    raw_request TEXT,
    raw_response TEXT,
    error_message TEXT,
    CONSTRAINT ck_edis_transactions_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_edis_transactions_qty CHECK (typeof(qty) IN ('integer', 'null') AND qty >= 1),
    CONSTRAINT ck_edis_transactions_bulk CHECK (typeof(bulk) IN ('integer', 'null')),
    CONSTRAINT ck_edis_transactions_status CHECK (trim(status) != ''),
    CONSTRAINT ck_edis_transactions_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_edis_transactions_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_edis_transactions_authorized_at CHECK (typeof(authorized_at) IN ('integer', 'null') AND authorized_at < 100000000000),
    CONSTRAINT ck_edis_transactions_expires_at CHECK (typeof(expires_at) IN ('integer', 'null') AND expires_at < 100000000000)
);

CREATE INDEX idx_edis_account ON edis_transactions (account_type, status);

CREATE INDEX idx_edis_isin ON edis_transactions (isin);

CREATE INDEX idx_edis_request ON edis_transactions (request_id);

CREATE TABLE error_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    error_type TEXT NOT NULL,
    error_code TEXT,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    context TEXT,
    severity TEXT DEFAULT 'ERROR',
    account_type TEXT,
    order_id TEXT,
    occurred_at INTEGER NOT NULL,
    CONSTRAINT ck_error_log_severity CHECK (severity IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
    CONSTRAINT ck_error_log_occurred_at CHECK (typeof(occurred_at) IN ('integer', 'null') AND occurred_at < 100000000000)
);

CREATE INDEX idx_error_log_account ON error_log (account_type, occurred_at);

CREATE INDEX idx_error_log_severity ON error_log (severity, occurred_at);

CREATE INDEX idx_error_log_type ON error_log (error_type, occurred_at);

CREATE TABLE forever_orders (
    id TEXT NOT NULL,
    account_type TEXT NOT NULL,
    correlation_id TEXT,
    status TEXT NOT NULL,
    order_type TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    trading_symbol TEXT,
    trigger_type TEXT,
    trigger_price_above REAL,
    trigger_price_below REAL,
    transaction_type TEXT NOT NULL,
    product TEXT NOT NULL,
    order_type_after_trigger TEXT,
    quantity INTEGER NOT NULL,
    price REAL,
    disclosed_qty INTEGER,
    validity TEXT DEFAULT 'DAY',
    oco_leg_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    triggered_at INTEGER,
    expires_at INTEGER,
    triggered_order_id TEXT,
    raw_request TEXT,
    raw_response TEXT,
    leg_name TEXT,
    trigger_price REAL,
    price1 REAL,
    trigger_price1 REAL,
    quantity1 INTEGER,
    CONSTRAINT pk_forever_orders PRIMARY KEY (id),
    CONSTRAINT ck_forever_orders_id CHECK (trim(id) != ''),
    CONSTRAINT ck_forever_orders_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_forever_orders_status CHECK (trim(status) != ''),
    CONSTRAINT ck_forever_orders_order_type CHECK (order_type IN ('SINGLE', 'OCO')),
    CONSTRAINT ck_forever_orders_trigger_price_above CHECK (typeof(trigger_price_above) IN ('real', 'integer', 'null') AND abs(trigger_price_above) < 900000000000000),
    CONSTRAINT ck_forever_orders_trigger_price_below CHECK (typeof(trigger_price_below) IN ('real', 'integer', 'null') AND abs(trigger_price_below) < 900000000000000),
    CONSTRAINT ck_forever_orders_transaction_type CHECK (transaction_type IN ('BUY', 'SELL')),
    CONSTRAINT ck_forever_orders_quantity CHECK (typeof(quantity) IN ('integer', 'null') AND quantity >= 1),
    CONSTRAINT ck_forever_orders_price CHECK (typeof(price) IN ('real', 'integer', 'null') AND abs(price) < 900000000000000),
    CONSTRAINT ck_forever_orders_disclosed_qty CHECK (typeof(disclosed_qty) IN ('integer', 'null') AND disclosed_qty >= 0),
    CONSTRAINT ck_forever_orders_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_forever_orders_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_forever_orders_triggered_at CHECK (typeof(triggered_at) IN ('integer', 'null') AND triggered_at < 100000000000),
    CONSTRAINT ck_forever_orders_expires_at CHECK (typeof(expires_at) IN ('integer', 'null') AND expires_at < 100000000000),
    CONSTRAINT ck_forever_orders_trigger_price CHECK (typeof(trigger_price) IN ('real', 'integer', 'null') AND abs(trigger_price) < 900000000000000),
    CONSTRAINT ck_forever_orders_price1 CHECK (typeof(price1) IN ('real', 'integer', 'null') AND abs(price1) < 900000000000000),
    CONSTRAINT ck_forever_orders_trigger_price1 CHECK (typeof(trigger_price1) IN ('real', 'integer', 'null') AND abs(trigger_price1) < 900000000000000),
    CONSTRAINT ck_forever_orders_quantity1 CHECK (typeof(quantity1) IN ('integer', 'null') AND quantity1 >= 0)
);

CREATE INDEX idx_forever_orders_account ON forever_orders (account_type, status);

CREATE INDEX idx_forever_orders_correlation ON forever_orders (correlation_id);

CREATE INDEX idx_forever_orders_security ON forever_orders (security_id, exchange_segment);

CREATE INDEX idx_forever_orders_status ON forever_orders (status);

CREATE TABLE funds (
    snapshot_ts INTEGER NOT NULL,
    account_type TEXT NOT NULL,
    available_balance REAL NOT NULL,
    "sodLimit" REAL,
    collateral REAL,
    margin_used REAL,
    margin_available REAL,
    withdrawable_balance REAL,
    blocked_margin REAL,
    raw_data TEXT,
    snapshot_id INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_funds PRIMARY KEY (snapshot_ts, account_type, snapshot_id),
    CONSTRAINT ck_funds_snapshot_ts CHECK (typeof(snapshot_ts) IN ('integer', 'null') AND snapshot_ts < 100000000000),
    CONSTRAINT ck_funds_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_funds_available_balance CHECK (typeof(available_balance) IN ('real', 'integer', 'null') AND abs(available_balance) < 900000000000000),
    CONSTRAINT "ck_funds_sodLimit" CHECK (typeof("sodLimit") IN ('real', 'integer', 'null') AND abs("sodLimit") < 900000000000000),
    CONSTRAINT ck_funds_collateral CHECK (typeof(collateral) IN ('real', 'integer', 'null') AND abs(collateral) < 900000000000000),
    CONSTRAINT ck_funds_margin_used CHECK (typeof(margin_used) IN ('real', 'integer', 'null') AND abs(margin_used) < 900000000000000),
    CONSTRAINT ck_funds_margin_available CHECK (typeof(margin_available) IN ('real', 'integer', 'null') AND abs(margin_available) < 900000000000000),
    CONSTRAINT ck_funds_withdrawable_balance CHECK (typeof(withdrawable_balance) IN ('real', 'integer', 'null') AND abs(withdrawable_balance) < 900000000000000),
    CONSTRAINT ck_funds_blocked_margin CHECK (typeof(blocked_margin) IN ('real', 'integer', 'null') AND abs(blocked_margin) < 900000000000000),
    CONSTRAINT ck_funds_snapshot_id CHECK (typeof(snapshot_id) IN ('integer', 'null') AND snapshot_id >= 0)
);

CREATE INDEX idx_funds_account_ts ON funds (account_type, snapshot_ts);

CREATE INDEX idx_funds_snapshot ON funds (snapshot_id, account_type, snapshot_ts);

CREATE TABLE holdings (
    snapshot_ts INTEGER NOT NULL,
    account_type TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    trading_symbol TEXT,
    isin TEXT,
    total_qty INTEGER NOT NULL,
    dpqty INTEGER DEFAULT 0,
    t1qty INTEGER DEFAULT 0,
    available_qty INTEGER NOT NULL,
    collateral_qty INTEGER DEFAULT 0,
    collateral_update_qty INTEGER DEFAULT 0,
    avg_cost_price REAL,
    ltp REAL,
    realized_pl REAL DEFAULT 0,
    unrealized_pl REAL DEFAULT 0,
    raw_data TEXT,
    snapshot_id INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_holdings PRIMARY KEY (snapshot_ts, account_type, security_id, exchange_segment, snapshot_id),
    CONSTRAINT ck_holdings_snapshot_ts CHECK (typeof(snapshot_ts) IN ('integer', 'null') AND snapshot_ts < 100000000000),
    CONSTRAINT ck_holdings_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_holdings_total_qty CHECK (typeof(total_qty) IN ('integer', 'null') AND total_qty >= 0),
    CONSTRAINT ck_holdings_dpqty CHECK (typeof(dpqty) IN ('integer', 'null')),
    CONSTRAINT ck_holdings_t1qty CHECK (typeof(t1qty) IN ('integer', 'null')),
    CONSTRAINT ck_holdings_available_qty CHECK (typeof(available_qty) IN ('integer', 'null')),
    CONSTRAINT ck_holdings_collateral_qty CHECK (typeof(collateral_qty) IN ('integer', 'null')),
    CONSTRAINT ck_holdings_collateral_update_qty CHECK (typeof(collateral_update_qty) IN ('integer', 'null')),
    CONSTRAINT ck_holdings_avg_cost_price CHECK (typeof(avg_cost_price) IN ('real', 'integer', 'null') AND abs(avg_cost_price) < 900000000000000),
    CONSTRAINT ck_holdings_ltp CHECK (typeof(ltp) IN ('real', 'integer', 'null') AND abs(ltp) < 900000000000000),
    CONSTRAINT ck_holdings_realized_pl CHECK (typeof(realized_pl) IN ('real', 'integer', 'null') AND abs(realized_pl) < 900000000000000),
    CONSTRAINT ck_holdings_unrealized_pl CHECK (typeof(unrealized_pl) IN ('real', 'integer', 'null') AND abs(unrealized_pl) < 900000000000000),
    CONSTRAINT ck_holdings_snapshot_id CHECK (typeof(snapshot_id) IN ('integer', 'null') AND snapshot_id >= 0)
);

CREATE INDEX idx_holdings_account ON holdings (account_type, snapshot_ts);

CREATE INDEX idx_holdings_isin ON holdings (isin);

CREATE INDEX idx_holdings_security ON holdings (security_id);

CREATE INDEX idx_holdings_snapshot ON holdings (snapshot_id, account_type, snapshot_ts);

CREATE TABLE instruments (
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    symbol TEXT NOT NULL,
    trading_symbol TEXT,
    name TEXT,
    instrument_type TEXT,
    expiry_date TEXT,
    strike_price REAL,
    option_type TEXT,
    lot_size INTEGER NOT NULL,
    tick_size REAL NOT NULL,
    underlying_security_id TEXT,
    isin TEXT,
    meta TEXT,
    updated_at INTEGER NOT NULL,
    multiplier INTEGER,
    freeze_quantity INTEGER,
    series TEXT,
    underlying_symbol TEXT,
    lower_band REAL,
    upper_band REAL,
    band_date TEXT,
    CONSTRAINT pk_instruments PRIMARY KEY (security_id, exchange_segment),
    CONSTRAINT ck_instruments_security_id CHECK (trim(security_id) != ''),
    CONSTRAINT ck_instruments_strike_price CHECK (typeof(strike_price) IN ('real', 'integer', 'null') AND abs(strike_price) < 900000000000000),
    CONSTRAINT ck_instruments_lot_size CHECK (typeof(lot_size) IN ('integer', 'null') AND lot_size >= 0),
    CONSTRAINT ck_instruments_tick_size CHECK (typeof(tick_size) IN ('real', 'integer', 'null') AND abs(tick_size) < 900000000000000),
    CONSTRAINT ck_instruments_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_instruments_multiplier CHECK (typeof(multiplier) IN ('integer', 'null') AND multiplier >= 1),
    CONSTRAINT ck_instruments_freeze_quantity CHECK (typeof(freeze_quantity) IN ('integer', 'null') AND freeze_quantity >= 0),
    CONSTRAINT ck_instruments_lower_band CHECK (typeof(lower_band) IN ('real', 'integer', 'null') AND abs(lower_band) < 900000000000000),
    CONSTRAINT ck_instruments_upper_band CHECK (typeof(upper_band) IN ('real', 'integer', 'null') AND abs(upper_band) < 900000000000000)
);

CREATE INDEX idx_instruments_isin ON instruments (isin);

CREATE INDEX idx_instruments_symbol ON instruments (symbol, exchange_segment);

CREATE INDEX idx_instruments_trading_symbol ON instruments (trading_symbol);

CREATE INDEX idx_instruments_type ON instruments (instrument_type, exchange_segment);

CREATE INDEX idx_instruments_underlying ON instruments (underlying_security_id, expiry_date);

CREATE TABLE kill_runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kill_id TEXT NOT NULL,
    account TEXT NOT NULL,
    scope TEXT NOT NULL,
    kill_plan TEXT NOT NULL,
    state TEXT NOT NULL,
    step TEXT DEFAULT 'CANCEL' NOT NULL,
    cause TEXT DEFAULT 'MANUAL' NOT NULL,
    by_whom TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    holder TEXT DEFAULT '' NOT NULL,
    token INTEGER DEFAULT 0 NOT NULL,
    lease_until_us INTEGER,
    started_at_us INTEGER NOT NULL,
    deadline_us INTEGER NOT NULL,
    clean_at_us INTEGER,
    ended_at_us INTEGER,
    halts INTEGER DEFAULT 1 NOT NULL,
    limit_id TEXT DEFAULT '' NOT NULL,
    blocked_by TEXT DEFAULT '' NOT NULL,
    retry_at_us INTEGER,
    reruns INTEGER DEFAULT 0 NOT NULL,
    locked INTEGER DEFAULT 0 NOT NULL,
    watch_until_us INTEGER,
    held TEXT DEFAULT '{}' NOT NULL,
    told_at_us INTEGER,
    CONSTRAINT ck_kill_runs_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_kill_runs_scope CHECK (trim(scope) != ''),
    CONSTRAINT ck_kill_runs_kill_plan CHECK (kill_plan IN ('halt', 'cancel', 'flatten', 'broker')),
    CONSTRAINT ck_kill_runs_state CHECK (state IN ('OPEN', 'DONE', 'BLOCKED')),
    CONSTRAINT ck_kill_runs_token CHECK (typeof(token) IN ('integer', 'null') AND token >= 0),
    CONSTRAINT ck_kill_runs_lease_until_us CHECK (typeof(lease_until_us) IN ('integer', 'null') AND lease_until_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_started_at_us CHECK (typeof(started_at_us) IN ('integer', 'null') AND started_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_deadline_us CHECK (typeof(deadline_us) IN ('integer', 'null') AND deadline_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_clean_at_us CHECK (typeof(clean_at_us) IN ('integer', 'null') AND clean_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_ended_at_us CHECK (typeof(ended_at_us) IN ('integer', 'null') AND ended_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_halts CHECK (typeof(halts) IN ('integer', 'null') AND halts IN (0, 1)),
    CONSTRAINT ck_kill_runs_retry_at_us CHECK (typeof(retry_at_us) IN ('integer', 'null') AND retry_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_reruns CHECK (typeof(reruns) IN ('integer', 'null') AND reruns >= 0),
    CONSTRAINT ck_kill_runs_locked CHECK (typeof(locked) IN ('integer', 'null') AND locked IN (0, 1)),
    CONSTRAINT ck_kill_runs_watch_until_us CHECK (typeof(watch_until_us) IN ('integer', 'null') AND watch_until_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_told_at_us CHECK (typeof(told_at_us) IN ('integer', 'null') AND told_at_us >= 100000000000000),
    CONSTRAINT uq_kill_runs_kill_id_account UNIQUE (kill_id, account)
)
 STRICT;

CREATE INDEX idx_kill_runs_open ON kill_runs (account) WHERE state <> 'DONE';

CREATE INDEX idx_kill_runs_watched ON kill_runs (account) WHERE watch_until_us IS NOT NULL;

CREATE TABLE kill_steps (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL,
    step TEXT NOT NULL,
    round INTEGER NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    client_order_id TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    at_us INTEGER NOT NULL,
    answered_at_us INTEGER,
    token INTEGER DEFAULT 0 NOT NULL,
    contents TEXT DEFAULT '' NOT NULL,
    read_back TEXT DEFAULT '' NOT NULL,
    CONSTRAINT ck_kill_steps_run_id CHECK (typeof(run_id) IN ('integer', 'null')),
    CONSTRAINT ck_kill_steps_step CHECK (trim(step) != ''),
    CONSTRAINT ck_kill_steps_round CHECK (typeof(round) IN ('integer', 'null') AND round >= 1),
    CONSTRAINT ck_kill_steps_state CHECK (state IN ('INTENDED', 'SENT', 'DONE', 'FAILED', 'UNKNOWN')),
    CONSTRAINT ck_kill_steps_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_kill_steps_answered_at_us CHECK (typeof(answered_at_us) IN ('integer', 'null') AND answered_at_us >= 100000000000000),
    CONSTRAINT ck_kill_steps_token CHECK (typeof(token) IN ('integer', 'null') AND token >= 0),
    CONSTRAINT uq_kill_steps_run_id_step_round_target UNIQUE (run_id, step, round, target)
)
 STRICT;

CREATE TABLE leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (name),
    CONSTRAINT ck_leases_token CHECK (typeof(token) IN ('integer', 'null') AND token >= 1),
    CONSTRAINT ck_leases_until_us CHECK (typeof(until_us) IN ('integer', 'null') AND until_us >= 100000000000000)
)
 STRICT;

CREATE TABLE ledger_entries (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    entry_date TEXT NOT NULL,
    particulars TEXT,
    "voucherNo" TEXT,
    "voucherDate" TEXT,
    debit REAL DEFAULT 0,
    credit REAL DEFAULT 0,
    balance REAL,
    created_at INTEGER NOT NULL,
    digest TEXT,
    kind TEXT,
    CONSTRAINT ck_ledger_entries_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_ledger_entries_debit CHECK (typeof(debit) IN ('real', 'integer', 'null') AND abs(debit) < 900000000000000),
    CONSTRAINT ck_ledger_entries_credit CHECK (typeof(credit) IN ('real', 'integer', 'null') AND abs(credit) < 900000000000000),
    CONSTRAINT ck_ledger_entries_balance CHECK (typeof(balance) IN ('real', 'integer', 'null') AND abs(balance) < 900000000000000),
    CONSTRAINT ck_ledger_entries_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000)
);

CREATE INDEX idx_ledger_account_date ON ledger_entries (account_type, entry_date);

CREATE INDEX idx_ledger_date ON ledger_entries (entry_date);

CREATE UNIQUE INDEX uq_ledger_entries_digest ON ledger_entries (digest) WHERE digest IS NOT NULL;

CREATE TABLE limit_days (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    limit_id TEXT NOT NULL,
    check_name TEXT NOT NULL,
    approved INTEGER DEFAULT 0 NOT NULL,
    near_misses INTEGER DEFAULT 0 NOT NULL,
    peak_pct_e2 INTEGER DEFAULT 0 NOT NULL,
    peak TEXT DEFAULT '' NOT NULL,
    warned_pct INTEGER DEFAULT 0 NOT NULL,
    to_sequence INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_limit_days PRIMARY KEY (account, session_date, limit_id),
    CONSTRAINT ck_limit_days_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_limit_days_check_name CHECK (trim(check_name) != ''),
    CONSTRAINT ck_limit_days_approved CHECK (typeof(approved) IN ('integer', 'null') AND approved >= 0),
    CONSTRAINT ck_limit_days_near_misses CHECK (typeof(near_misses) IN ('integer', 'null') AND near_misses >= 0),
    CONSTRAINT ck_limit_days_peak_pct_e2 CHECK (typeof(peak_pct_e2) IN ('integer', 'null') AND peak_pct_e2 >= 0),
    CONSTRAINT ck_limit_days_warned_pct CHECK (typeof(warned_pct) IN ('integer', 'null') AND warned_pct >= 0),
    CONSTRAINT ck_limit_days_to_sequence CHECK (typeof(to_sequence) IN ('integer', 'null') AND to_sequence >= 0)
)
 STRICT;

CREATE TABLE limit_sets (
    digest TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT pk_limit_sets PRIMARY KEY (digest)
)
 STRICT;

CREATE TABLE live_watches (
    account TEXT NOT NULL,
    limit_id TEXT NOT NULL,
    period TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '{}' NOT NULL,
    updated_at_us INTEGER NOT NULL,
    written INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_live_watches PRIMARY KEY (account, limit_id, period),
    CONSTRAINT ck_live_watches_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_live_watches_updated_at_us CHECK (typeof(updated_at_us) IN ('integer', 'null') AND updated_at_us >= 100000000000000),
    CONSTRAINT ck_live_watches_written CHECK (typeof(written) IN ('integer', 'null') AND written >= 0)
)
 STRICT;

CREATE TABLE margin_requirements (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    order_id TEXT,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price REAL,
    product TEXT NOT NULL,
    total_margin REAL NOT NULL,
    span_margin REAL,
    exposure_margin REAL,
    var_margin REAL,
    calculated_at INTEGER NOT NULL,
    side TEXT,
    leg_set TEXT,
    CONSTRAINT ck_margin_requirements_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_margin_requirements_quantity CHECK (typeof(quantity) IN ('integer', 'null') AND quantity >= 1),
    CONSTRAINT ck_margin_requirements_price CHECK (typeof(price) IN ('real', 'integer', 'null') AND abs(price) < 900000000000000),
    CONSTRAINT ck_margin_requirements_total_margin CHECK (typeof(total_margin) IN ('real', 'integer', 'null') AND abs(total_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_span_margin CHECK (typeof(span_margin) IN ('real', 'integer', 'null') AND abs(span_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_exposure_margin CHECK (typeof(exposure_margin) IN ('real', 'integer', 'null') AND abs(exposure_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_var_margin CHECK (typeof(var_margin) IN ('real', 'integer', 'null') AND abs(var_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_calculated_at CHECK (typeof(calculated_at) IN ('integer', 'null') AND calculated_at < 100000000000)
);

CREATE INDEX idx_margin_requirements_account ON margin_requirements (account_type);

CREATE INDEX idx_margin_requirements_leg ON margin_requirements (account_type, security_id, calculated_at);

CREATE INDEX idx_margin_requirements_order ON margin_requirements (order_id);

CREATE TABLE marks (
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    ltp_e4 INTEGER,
    bid_e4 INTEGER,
    ask_e4 INTEGER,
    at_us INTEGER NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    lower_band_e4 INTEGER,
    upper_band_e4 INTEGER,
    ltp_at_us INTEGER,
    is_indicative INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_marks PRIMARY KEY (exchange_segment, security_id),
    CONSTRAINT ck_marks_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_marks_ltp_at_us CHECK (typeof(ltp_at_us) IN ('integer', 'null') AND ltp_at_us >= 100000000000000),
    CONSTRAINT ck_marks_is_indicative CHECK (typeof(is_indicative) IN ('integer', 'null') AND is_indicative IN (0, 1))
)
 STRICT;

CREATE TABLE order_events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_source TEXT,
    event_data TEXT,
    event_ts INTEGER NOT NULL,
    sequence INTEGER,
    digest TEXT,
    CONSTRAINT ck_order_events_event_ts CHECK (typeof(event_ts) IN ('integer', 'null') AND event_ts < 100000000000),
    CONSTRAINT ck_order_events_sequence CHECK (typeof(sequence) IN ('integer', 'null')),
    CONSTRAINT uq_order_events_order_id_sequence UNIQUE (order_id, sequence)
);

CREATE INDEX idx_order_events_order_ts ON order_events (order_id, event_ts);

CREATE INDEX idx_order_events_source ON order_events (event_source, event_ts);

CREATE INDEX idx_order_events_type ON order_events (event_type, event_ts);

CREATE UNIQUE INDEX uq_order_events_digest ON order_events (digest) WHERE digest IS NOT NULL;

CREATE TABLE order_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    client_order_id TEXT DEFAULT '' NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT ck_order_messages_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_order_messages_kind CHECK (kind IN ('NEW', 'MODIFY', 'CANCEL')),
    CONSTRAINT ck_order_messages_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_order_messages_account ON order_messages (account, at_us);

CREATE TABLE order_modifications (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL,
    modification_type TEXT NOT NULL,
    old_value TEXT,
    new_value TEXT,
    status TEXT,
    error_message TEXT,
    modified_at INTEGER NOT NULL,
    CONSTRAINT ck_order_modifications_modified_at CHECK (typeof(modified_at) IN ('integer', 'null') AND modified_at < 100000000000)
);

CREATE INDEX idx_order_modifications_order ON order_modifications (order_id, modified_at);

CREATE TABLE orders (
    id TEXT NOT NULL,
    account_type TEXT NOT NULL,
    correlation_id TEXT,
    status TEXT NOT NULL,
    order_status TEXT,
    side TEXT NOT NULL,
    product TEXT NOT NULL,
    order_type TEXT NOT NULL,
    validity TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    trading_symbol TEXT,
    quantity INTEGER NOT NULL,
    disclosed_qty INTEGER,
    price REAL,
    trigger_price REAL,
    traded_qty INTEGER DEFAULT 0,
    remaining_qty INTEGER,
    avg_price REAL,
    co_stop_loss_value REAL,
    co_trigger_price REAL,
    bo_profit_value REAL,
    bo_stop_loss_value REAL,
    bo_order_type TEXT,
    parent_order_id TEXT,
    leg_type TEXT,
    is_sliced_order INTEGER DEFAULT 0,
    slice_order_id TEXT,
    slice_index INTEGER,
    total_slice_quantity INTEGER,
    after_market_order INTEGER DEFAULT 0,
    amo_time TEXT,
    exchange_order_id TEXT,
    exchange_time INTEGER,
    algo_id TEXT,
    drv_expiry_date INTEGER,
    drv_option_type TEXT,
    drv_strike_price REAL,
    oms_error_code TEXT,
    oms_error_description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    raw_request TEXT,
    raw_response TEXT,
    client_order_id TEXT,
    source TEXT,
    exit_group TEXT,
    CONSTRAINT pk_orders PRIMARY KEY (id),
    CONSTRAINT ck_orders_id CHECK (trim(id) != ''),
    CONSTRAINT ck_orders_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_orders_status CHECK (trim(status) != ''),
    CONSTRAINT ck_orders_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT ck_orders_order_type CHECK (trim(order_type) != ''),
    CONSTRAINT ck_orders_validity CHECK (trim(validity) != ''),
    CONSTRAINT ck_orders_quantity CHECK (typeof(quantity) IN ('integer', 'null') AND quantity >= 1),
    CONSTRAINT ck_orders_disclosed_qty CHECK (typeof(disclosed_qty) IN ('integer', 'null') AND disclosed_qty >= 0),
    CONSTRAINT ck_orders_price CHECK (typeof(price) IN ('real', 'integer', 'null') AND abs(price) < 900000000000000),
    CONSTRAINT ck_orders_trigger_price CHECK (typeof(trigger_price) IN ('real', 'integer', 'null') AND abs(trigger_price) < 900000000000000),
    CONSTRAINT ck_orders_traded_qty CHECK (typeof(traded_qty) IN ('integer', 'null') AND traded_qty >= 0),
    CONSTRAINT ck_orders_remaining_qty CHECK (typeof(remaining_qty) IN ('integer', 'null') AND remaining_qty >= 0),
    CONSTRAINT ck_orders_avg_price CHECK (typeof(avg_price) IN ('real', 'integer', 'null') AND abs(avg_price) < 900000000000000),
    CONSTRAINT ck_orders_co_stop_loss_value CHECK (typeof(co_stop_loss_value) IN ('real', 'integer', 'null') AND abs(co_stop_loss_value) < 900000000000000),
    CONSTRAINT ck_orders_co_trigger_price CHECK (typeof(co_trigger_price) IN ('real', 'integer', 'null') AND abs(co_trigger_price) < 900000000000000),
    CONSTRAINT ck_orders_bo_profit_value CHECK (typeof(bo_profit_value) IN ('real', 'integer', 'null') AND abs(bo_profit_value) < 900000000000000),
    CONSTRAINT ck_orders_bo_stop_loss_value CHECK (typeof(bo_stop_loss_value) IN ('real', 'integer', 'null') AND abs(bo_stop_loss_value) < 900000000000000),
    CONSTRAINT ck_orders_leg_type CHECK (leg_type IN ('ENTRY', 'TARGET', 'SL')),
    CONSTRAINT ck_orders_is_sliced_order CHECK (typeof(is_sliced_order) IN ('integer', 'null') AND is_sliced_order IN (0, 1)),
    CONSTRAINT ck_orders_slice_index CHECK (typeof(slice_index) IN ('integer', 'null')),
    CONSTRAINT ck_orders_total_slice_quantity CHECK (typeof(total_slice_quantity) IN ('integer', 'null') AND total_slice_quantity >= 0),
    CONSTRAINT ck_orders_after_market_order CHECK (typeof(after_market_order) IN ('integer', 'null') AND after_market_order IN (0, 1)),
    CONSTRAINT ck_orders_exchange_time CHECK (typeof(exchange_time) IN ('integer', 'null') AND exchange_time < 100000000000),
    CONSTRAINT ck_orders_drv_expiry_date CHECK (typeof(drv_expiry_date) IN ('integer', 'null') AND drv_expiry_date < 100000000000),
    CONSTRAINT ck_orders_drv_option_type CHECK (drv_option_type IN ('CALL', 'PUT')),
    CONSTRAINT ck_orders_drv_strike_price CHECK (typeof(drv_strike_price) IN ('real', 'integer', 'null') AND abs(drv_strike_price) < 900000000000000),
    CONSTRAINT ck_orders_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_orders_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_orders_completed_at CHECK (typeof(completed_at) IN ('integer', 'null') AND completed_at < 100000000000)
);

CREATE INDEX idx_orders_account ON orders (account_type, created_at);

CREATE INDEX idx_orders_client ON orders (account_type, client_order_id) WHERE client_order_id IS NOT NULL;

CREATE INDEX idx_orders_correlation ON orders (correlation_id);

CREATE INDEX idx_orders_exchange ON orders (exchange_order_id);

CREATE INDEX idx_orders_leg_type ON orders (leg_type);

CREATE INDEX idx_orders_live ON orders (account_type, created_at) WHERE (upper(status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED'));

CREATE INDEX idx_orders_parent ON orders (parent_order_id);

CREATE INDEX idx_orders_security ON orders (security_id, exchange_segment);

CREATE INDEX idx_orders_slice ON orders (slice_order_id, slice_index);

CREATE INDEX idx_orders_status ON orders (status);

CREATE TABLE permits (
    account TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state TEXT NOT NULL,
    direction TEXT NOT NULL,
    emergency_by TEXT DEFAULT '' NOT NULL,
    correlation_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    side TEXT NOT NULL,
    product TEXT NOT NULL,
    order_type TEXT NOT NULL,
    strategy TEXT DEFAULT '' NOT NULL,
    exit_group TEXT DEFAULT '' NOT NULL,
    quantity INTEGER NOT NULL,
    filled_quantity INTEGER DEFAULT 0 NOT NULL,
    price_e4 INTEGER,
    trigger_price_e4 INTEGER,
    risk_price_e4 INTEGER,
    reference_e4 INTEGER,
    cancel_first TEXT DEFAULT '[]' NOT NULL,
    order_id TEXT,
    granted_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    sent_at_us INTEGER,
    ended_at_us INTEGER,
    detail TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT 'NEW' NOT NULL,
    changes_order TEXT DEFAULT '' NOT NULL,
    becomes TEXT DEFAULT '' NOT NULL,
    basket TEXT DEFAULT '' NOT NULL,
    leg INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_permits PRIMARY KEY (account, client_order_id),
    CONSTRAINT ck_permits_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_permits_sequence CHECK (typeof(sequence) IN ('integer', 'null') AND sequence >= 1),
    CONSTRAINT ck_permits_state CHECK (state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN', 'REFUSED', 'FILLED', 'CANCELLED', 'EXPIRED', 'VOID', 'RELEASED', 'MERGED')),
    CONSTRAINT ck_permits_quantity CHECK (typeof(quantity) IN ('integer', 'null') AND quantity >= 0),
    CONSTRAINT ck_permits_filled_quantity CHECK (typeof(filled_quantity) IN ('integer', 'null') AND filled_quantity >= 0),
    CONSTRAINT ck_permits_granted_at_us CHECK (typeof(granted_at_us) IN ('integer', 'null') AND granted_at_us >= 100000000000000),
    CONSTRAINT ck_permits_expires_at_us CHECK (typeof(expires_at_us) IN ('integer', 'null') AND expires_at_us >= 100000000000000),
    CONSTRAINT ck_permits_sent_at_us CHECK (typeof(sent_at_us) IN ('integer', 'null') AND sent_at_us >= 100000000000000),
    CONSTRAINT ck_permits_ended_at_us CHECK (typeof(ended_at_us) IN ('integer', 'null') AND ended_at_us >= 100000000000000),
    CONSTRAINT ck_permits_kind CHECK (kind IN ('NEW', 'MODIFY')),
    CONSTRAINT ck_permits_leg CHECK (typeof(leg) IN ('integer', 'null') AND leg >= 0),
    CONSTRAINT uq_permits_correlation_id UNIQUE (correlation_id),
    CONSTRAINT ck_permits_filled CHECK (filled_quantity <= quantity)
)
 STRICT;

CREATE INDEX idx_permits_basket ON permits (account, basket) WHERE basket <> '';

CREATE INDEX idx_permits_changes ON permits (account, changes_order) WHERE changes_order <> '';

CREATE INDEX idx_permits_filled ON permits (account, strategy, exchange_segment, security_id, side, granted_at_us) WHERE filled_quantity > 0;

CREATE INDEX idx_permits_granted ON permits (account, granted_at_us);

CREATE INDEX idx_permits_live ON permits (account, state) WHERE state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN');

CREATE INDEX idx_permits_order ON permits (account, order_id) WHERE order_id IS NOT NULL;

CREATE TABLE pnl_readings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    day_pnl_e4 INTEGER,
    charges_e4 INTEGER,
    fresh_marks INTEGER NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    realised_e4 INTEGER,
    unrealised_e4 INTEGER,
    broker_pnl_e4 INTEGER,
    equity_pnl_e4 INTEGER,
    CONSTRAINT ck_pnl_readings_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_pnl_readings_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000),
    CONSTRAINT ck_pnl_readings_fresh_marks CHECK (typeof(fresh_marks) IN ('integer', 'null') AND fresh_marks IN (0, 1))
)
 STRICT;

CREATE INDEX idx_pnl_readings_account ON pnl_readings (account, session_date, at_us);

CREATE TABLE positions (
    snapshot_ts INTEGER NOT NULL,
    account_type TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    product TEXT DEFAULT '' NOT NULL ON CONFLICT REPLACE,
    position_type TEXT,
    buy_qty INTEGER DEFAULT 0,
    sell_qty INTEGER DEFAULT 0,
    net_qty INTEGER NOT NULL,
    buy_avg REAL DEFAULT 0,
    sell_avg REAL DEFAULT 0,
    realized_pl REAL DEFAULT 0,
    unrealized_pl REAL DEFAULT 0,
    total_pl REAL DEFAULT 0,
    ltp REAL,
    close_price REAL,
    multiplier REAL,
    margin_required REAL,
    raw_data TEXT,
    snapshot_id INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_positions PRIMARY KEY (snapshot_ts, account_type, security_id, exchange_segment, product, snapshot_id),
    CONSTRAINT ck_positions_snapshot_ts CHECK (typeof(snapshot_ts) IN ('integer', 'null') AND snapshot_ts < 100000000000),
    CONSTRAINT ck_positions_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_positions_buy_qty CHECK (typeof(buy_qty) IN ('integer', 'null') AND buy_qty >= 0),
    CONSTRAINT ck_positions_sell_qty CHECK (typeof(sell_qty) IN ('integer', 'null') AND sell_qty >= 0),
    CONSTRAINT ck_positions_net_qty CHECK (typeof(net_qty) IN ('integer', 'null')),
    CONSTRAINT ck_positions_buy_avg CHECK (typeof(buy_avg) IN ('real', 'integer', 'null') AND abs(buy_avg) < 900000000000000),
    CONSTRAINT ck_positions_sell_avg CHECK (typeof(sell_avg) IN ('real', 'integer', 'null') AND abs(sell_avg) < 900000000000000),
    CONSTRAINT ck_positions_realized_pl CHECK (typeof(realized_pl) IN ('real', 'integer', 'null') AND abs(realized_pl) < 900000000000000),
    CONSTRAINT ck_positions_unrealized_pl CHECK (typeof(unrealized_pl) IN ('real', 'integer', 'null') AND abs(unrealized_pl) < 900000000000000),
    CONSTRAINT ck_positions_total_pl CHECK (typeof(total_pl) IN ('real', 'integer', 'null') AND abs(total_pl) < 900000000000000),
    CONSTRAINT ck_positions_ltp CHECK (typeof(ltp) IN ('real', 'integer', 'null') AND abs(ltp) < 900000000000000),
    CONSTRAINT ck_positions_close_price CHECK (typeof(close_price) IN ('real', 'integer', 'null') AND abs(close_price) < 900000000000000),
    CONSTRAINT ck_positions_multiplier CHECK (typeof(multiplier) IN ('real', 'integer', 'null') AND abs(multiplier) < 900000000000000),
    CONSTRAINT ck_positions_margin_required CHECK (typeof(margin_required) IN ('real', 'integer', 'null') AND abs(margin_required) < 900000000000000),
    CONSTRAINT ck_positions_snapshot_id CHECK (typeof(snapshot_id) IN ('integer', 'null') AND snapshot_id >= 0)
);

CREATE INDEX idx_positions_account ON positions (account_type, snapshot_ts);

CREATE INDEX idx_positions_security ON positions (security_id);

CREATE INDEX idx_positions_snapshot ON positions (snapshot_id, account_type, snapshot_ts);

CREATE INDEX idx_positions_ts ON positions (snapshot_ts);

CREATE TABLE postback_configs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    webhook_url TEXT NOT NULL,
    webhook_secret TEXT,
    event_types TEXT,
    is_active INTEGER DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_triggered_at INTEGER,
    CONSTRAINT ck_postback_configs_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_postback_configs_is_active CHECK (typeof(is_active) IN ('integer', 'null') AND is_active IN (0, 1)),
    CONSTRAINT ck_postback_configs_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_postback_configs_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_postback_configs_last_triggered_at CHECK (typeof(last_triggered_at) IN ('integer', 'null') AND last_triggered_at < 100000000000)
);

CREATE INDEX idx_postback_configs_account ON postback_configs (account_type, is_active);

CREATE TABLE postback_events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    event_type TEXT NOT NULL,
    order_id TEXT,
    payload TEXT NOT NULL,
    signature TEXT,
    is_verified INTEGER,
    is_processed INTEGER DEFAULT 0,
    processed_at INTEGER,
    error_message TEXT,
    received_at INTEGER NOT NULL,
    digest TEXT,
    CONSTRAINT ck_postback_events_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_postback_events_is_verified CHECK (typeof(is_verified) IN ('integer', 'null') AND is_verified IN (0, 1)),
    CONSTRAINT ck_postback_events_is_processed CHECK (typeof(is_processed) IN ('integer', 'null') AND is_processed IN (0, 1)),
    CONSTRAINT ck_postback_events_processed_at CHECK (typeof(processed_at) IN ('integer', 'null') AND processed_at < 100000000000),
    CONSTRAINT ck_postback_events_received_at CHECK (typeof(received_at) IN ('integer', 'null') AND received_at < 100000000000)
);

CREATE INDEX idx_postback_events_account ON postback_events (account_type, received_at);

CREATE INDEX idx_postback_events_order ON postback_events (order_id);

CREATE INDEX idx_postback_events_processed ON postback_events (is_processed, received_at);

CREATE UNIQUE INDEX uq_postback_events_digest ON postback_events (digest) WHERE digest IS NOT NULL;

CREATE TABLE postback_ids (
    account TEXT NOT NULL,
    message_id TEXT NOT NULL,
    seen_at_us INTEGER NOT NULL,
    CONSTRAINT pk_postback_ids PRIMARY KEY (account, message_id),
    CONSTRAINT ck_postback_ids_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_postback_ids_message_id CHECK (trim(message_id) != ''),
    CONSTRAINT ck_postback_ids_seen_at_us CHECK (typeof(seen_at_us) IN ('integer', 'null') AND seen_at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_postback_ids_seen ON postback_ids (seen_at_us);

CREATE TABLE quarantine (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    source_table TEXT NOT NULL,
    source_version INTEGER NOT NULL,
    source_rowid INTEGER,
    reason TEXT NOT NULL,
    raw TEXT NOT NULL,
    in_table INTEGER DEFAULT 0 NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT ck_quarantine_source_table CHECK (trim(source_table) != ''),
    CONSTRAINT ck_quarantine_source_version CHECK (typeof(source_version) IN ('integer', 'null') AND source_version >= 1),
    CONSTRAINT ck_quarantine_source_rowid CHECK (typeof(source_rowid) IN ('integer', 'null')),
    CONSTRAINT ck_quarantine_reason CHECK (trim(reason) != ''),
    CONSTRAINT ck_quarantine_in_table CHECK (typeof(in_table) IN ('integer', 'null') AND in_table IN (0, 1)),
    CONSTRAINT ck_quarantine_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE rate_limit_tracking (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    request_count INTEGER DEFAULT 0,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    last_request_at INTEGER,
    created_at INTEGER NOT NULL,
    superseded INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT ck_rate_limit_tracking_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_rate_limit_tracking_request_count CHECK (typeof(request_count) IN ('integer', 'null') AND request_count >= 0),
    CONSTRAINT ck_rate_limit_tracking_window_start CHECK (typeof(window_start) IN ('integer', 'null') AND window_start < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_window_end CHECK (typeof(window_end) IN ('integer', 'null') AND window_end < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_last_request_at CHECK (typeof(last_request_at) IN ('integer', 'null') AND last_request_at < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_superseded CHECK (typeof(superseded) IN ('integer', 'null') AND superseded IN (0, 1))
);

CREATE INDEX idx_rate_limit_account_endpoint ON rate_limit_tracking (account_type, endpoint, window_end);

CREATE UNIQUE INDEX uq_rate_limit_tracking_window ON rate_limit_tracking (account_type, endpoint, window_start) WHERE superseded = 0;

CREATE TABLE refusal_repeats (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    violation_id INTEGER NOT NULL,
    strategy TEXT DEFAULT '' NOT NULL,
    repeats INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    CONSTRAINT ck_refusal_repeats_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_refusal_repeats_violation_id CHECK (typeof(violation_id) IN ('integer', 'null')),
    CONSTRAINT ck_refusal_repeats_repeats CHECK (typeof(repeats) IN ('integer', 'null') AND repeats >= 1),
    CONSTRAINT ck_refusal_repeats_at_us CHECK (typeof(at_us) IN ('integer', 'null') AND at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_refusal_repeats_account ON refusal_repeats (account, at_us);

CREATE TABLE risk_violations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    violation_type TEXT NOT NULL,
    limit_value REAL NOT NULL,
    actual_value REAL NOT NULL,
    order_id TEXT,
    security_id TEXT,
    action_taken TEXT,
    violated_at INTEGER NOT NULL,
    violated_at_us INTEGER,
    code TEXT,
    check_name TEXT,
    limit_id TEXT,
    scope TEXT,
    unit TEXT,
    measured TEXT,
    limit_text TEXT,
    detail TEXT,
    client_order_id TEXT,
    sequence INTEGER,
    strategy TEXT,
    exchange_segment TEXT,
    side TEXT,
    product TEXT,
    order_type TEXT,
    quantity INTEGER,
    price TEXT,
    control_id INTEGER,
    CONSTRAINT ck_risk_violations_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_risk_violations_violation_type CHECK (trim(violation_type) != ''),
    CONSTRAINT ck_risk_violations_limit_value CHECK (typeof(limit_value) IN ('real', 'integer', 'null') AND abs(limit_value) < 900000000000000),
    CONSTRAINT ck_risk_violations_actual_value CHECK (typeof(actual_value) IN ('real', 'integer', 'null') AND abs(actual_value) < 900000000000000),
    CONSTRAINT ck_risk_violations_violated_at CHECK (typeof(violated_at) IN ('integer', 'null') AND violated_at < 100000000000),
    CONSTRAINT ck_risk_violations_violated_at_us CHECK (typeof(violated_at_us) IN ('integer', 'null') AND violated_at_us >= 100000000000000),
    CONSTRAINT ck_risk_violations_sequence CHECK (typeof(sequence) IN ('integer', 'null')),
    CONSTRAINT ck_risk_violations_quantity CHECK (typeof(quantity) IN ('integer', 'null')),
    CONSTRAINT ck_risk_violations_control_id CHECK (typeof(control_id) IN ('integer', 'null'))
);

CREATE INDEX idx_risk_violations_account ON risk_violations (account_type, violated_at);

CREATE INDEX idx_risk_violations_type ON risk_violations (violation_type);

CREATE TABLE settlement_prices (
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    session_date TEXT NOT NULL,
    price_e4 INTEGER NOT NULL,
    underlying_e4 INTEGER,
    source TEXT NOT NULL,
    imported_at_us INTEGER NOT NULL,
    CONSTRAINT pk_settlement_prices PRIMARY KEY (exchange_segment, security_id, session_date),
    CONSTRAINT ck_settlement_prices_source CHECK (trim(source) != ''),
    CONSTRAINT ck_settlement_prices_imported_at_us CHECK (typeof(imported_at_us) IN ('integer', 'null') AND imported_at_us >= 100000000000000)
)
 STRICT;

CREATE TABLE snapshots (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    fetched_at_us INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT ck_snapshots_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_snapshots_kind CHECK (kind IN ('positions', 'holdings', 'funds', 'orders', 'trades')),
    CONSTRAINT ck_snapshots_fetched_at_us CHECK (typeof(fetched_at_us) IN ('integer', 'null') AND fetched_at_us >= 100000000000000),
    CONSTRAINT ck_snapshots_complete CHECK (typeof(complete) IN ('integer', 'null') AND complete IN (0, 1)),
    CONSTRAINT ck_snapshots_row_count CHECK (typeof(row_count) IN ('integer', 'null') AND row_count >= 0),
    CONSTRAINT ck_snapshots_source CHECK (trim(source) != '')
)
 STRICT;

CREATE INDEX idx_snapshots_latest ON snapshots (account, kind, fetched_at_us, id) WHERE complete = 1;

CREATE TABLE state_causes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    by_whom TEXT DEFAULT '' NOT NULL,
    is_soft INTEGER DEFAULT 0 NOT NULL,
    raised_at_us INTEGER NOT NULL,
    cleared_at_us INTEGER,
    action_id INTEGER,
    limit_id TEXT DEFAULT '' NOT NULL,
    CONSTRAINT ck_state_causes_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_state_causes_state CHECK (state IN ('REDUCE_ONLY', 'HALTED')),
    CONSTRAINT ck_state_causes_code CHECK (trim(code) != ''),
    CONSTRAINT ck_state_causes_is_soft CHECK (typeof(is_soft) IN ('integer', 'null') AND is_soft IN (0, 1)),
    CONSTRAINT ck_state_causes_raised_at_us CHECK (typeof(raised_at_us) IN ('integer', 'null') AND raised_at_us >= 100000000000000),
    CONSTRAINT ck_state_causes_cleared_at_us CHECK (typeof(cleared_at_us) IN ('integer', 'null') AND cleared_at_us >= 100000000000000),
    CONSTRAINT ck_state_causes_action_id CHECK (typeof(action_id) IN ('integer', 'null'))
)
 STRICT;

CREATE INDEX idx_state_causes_standing ON state_causes (account) WHERE cleared_at_us IS NULL;

CREATE TABLE sweeps (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    slot INTEGER NOT NULL,
    interval_us INTEGER NOT NULL,
    started_at_us INTEGER NOT NULL,
    finished_at_us INTEGER,
    holder TEXT DEFAULT '' NOT NULL,
    findings TEXT DEFAULT '[]' NOT NULL,
    CONSTRAINT pk_sweeps PRIMARY KEY (account, kind, slot),
    CONSTRAINT ck_sweeps_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_sweeps_kind CHECK (kind IN ('daily_loss', 'book', 'funds', 'holdings', 'profile', 'ledger', 'rollover', 'end_of_day', 'schedule')),
    CONSTRAINT ck_sweeps_slot CHECK (typeof(slot) IN ('integer', 'null')),
    CONSTRAINT ck_sweeps_interval_us CHECK (typeof(interval_us) IN ('integer', 'null') AND interval_us >= 1),
    CONSTRAINT ck_sweeps_started_at_us CHECK (typeof(started_at_us) IN ('integer', 'null') AND started_at_us >= 100000000000000),
    CONSTRAINT ck_sweeps_finished_at_us CHECK (typeof(finished_at_us) IN ('integer', 'null') AND finished_at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_sweeps_finished ON sweeps (account, kind, finished_at_us);

CREATE TABLE traders_control (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    control_type TEXT NOT NULL,
    kill_switch_status TEXT,
    daily_loss_limit REAL,
    position_size_limit REAL,
    order_value_limit REAL,
    is_active INTEGER DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    activated_at INTEGER,
    deactivated_at INTEGER,
    activated_by TEXT,
    reason TEXT,
    limit_id TEXT,
    check_name TEXT,
    parameters TEXT,
    scope TEXT,
    on_breach TEXT,
    mode TEXT,
    kill_plan TEXT,
    source TEXT,
    rulebook_digest TEXT,
    action_id INTEGER,
    CONSTRAINT ck_traders_control_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_traders_control_control_type CHECK (control_type IN ('KILL_SWITCH', 'RISK_LIMIT', 'POSITION_LIMIT')),
    CONSTRAINT ck_traders_control_daily_loss_limit CHECK (typeof(daily_loss_limit) IN ('real', 'integer', 'null') AND abs(daily_loss_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_daily_loss_limit_positive CHECK (daily_loss_limit > 0),
    CONSTRAINT ck_traders_control_position_size_limit CHECK (typeof(position_size_limit) IN ('real', 'integer', 'null') AND abs(position_size_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_position_size_limit_positive CHECK (position_size_limit > 0),
    CONSTRAINT ck_traders_control_order_value_limit CHECK (typeof(order_value_limit) IN ('real', 'integer', 'null') AND abs(order_value_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_order_value_limit_positive CHECK (order_value_limit > 0),
    CONSTRAINT ck_traders_control_is_active CHECK (typeof(is_active) IN ('integer', 'null') AND is_active IN (0, 1)),
    CONSTRAINT ck_traders_control_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_traders_control_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_traders_control_activated_at CHECK (typeof(activated_at) IN ('integer', 'null') AND activated_at < 100000000000),
    CONSTRAINT ck_traders_control_deactivated_at CHECK (typeof(deactivated_at) IN ('integer', 'null') AND deactivated_at < 100000000000),
    CONSTRAINT ck_traders_control_on_breach CHECK (on_breach IN ('warn', 'reject', 'reduce_only', 'halt', 'kill')),
    CONSTRAINT ck_traders_control_mode CHECK (mode IN ('enforce', 'shadow')),
    CONSTRAINT ck_traders_control_kill_plan CHECK (kill_plan IN ('halt', 'cancel', 'flatten', 'broker')),
    CONSTRAINT ck_traders_control_action_id CHECK (typeof(action_id) IN ('integer', 'null'))
);

CREATE INDEX idx_traders_control_account ON traders_control (account_type, is_active);

CREATE INDEX idx_traders_control_type ON traders_control (control_type, is_active);

CREATE UNIQUE INDEX uq_traders_control_active ON traders_control (account_type, control_type, coalesce(limit_id, ''), coalesce(scope, '')) WHERE is_active = 1;

CREATE TABLE trades (
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    account_type TEXT NOT NULL,
    exchange_order_id TEXT,
    exchange_trade_id TEXT,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    trading_symbol TEXT,
    side TEXT NOT NULL,
    product TEXT NOT NULL,
    order_type TEXT,
    quantity INTEGER NOT NULL,
    price REAL NOT NULL,
    trade_value REAL,
    brokerage REAL DEFAULT 0,
    exchange_charges REAL DEFAULT 0,
    clearing_charges REAL DEFAULT 0,
    stt REAL DEFAULT 0,
    stamp_duty REAL DEFAULT 0,
    transaction_charges REAL DEFAULT 0,
    gst REAL DEFAULT 0,
    total_charges REAL DEFAULT 0,
    net_amount REAL,
    trade_ts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    exchange_time INTEGER,
    drv_expiry_date INTEGER,
    drv_option_type TEXT,
    drv_strike_price REAL,
    raw_data TEXT,
    client_order_id TEXT,
    booked_at_us INTEGER,
    session_date TEXT,
    CONSTRAINT pk_trades PRIMARY KEY (id),
    CONSTRAINT ck_trades_id CHECK (trim(id) != ''),
    CONSTRAINT ck_trades_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_trades_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT ck_trades_quantity CHECK (typeof(quantity) IN ('integer', 'null') AND quantity >= 1),
    CONSTRAINT ck_trades_price CHECK (typeof(price) IN ('real', 'integer', 'null') AND abs(price) < 900000000000000),
    CONSTRAINT ck_trades_trade_value CHECK (typeof(trade_value) IN ('real', 'integer', 'null') AND abs(trade_value) < 900000000000000),
    CONSTRAINT ck_trades_brokerage CHECK (typeof(brokerage) IN ('real', 'integer', 'null') AND abs(brokerage) < 900000000000000),
    CONSTRAINT ck_trades_exchange_charges CHECK (typeof(exchange_charges) IN ('real', 'integer', 'null') AND abs(exchange_charges) < 900000000000000),
    CONSTRAINT ck_trades_clearing_charges CHECK (typeof(clearing_charges) IN ('real', 'integer', 'null') AND abs(clearing_charges) < 900000000000000),
    CONSTRAINT ck_trades_stt CHECK (typeof(stt) IN ('real', 'integer', 'null') AND abs(stt) < 900000000000000),
    CONSTRAINT ck_trades_stamp_duty CHECK (typeof(stamp_duty) IN ('real', 'integer', 'null') AND abs(stamp_duty) < 900000000000000),
    CONSTRAINT ck_trades_transaction_charges CHECK (typeof(transaction_charges) IN ('real', 'integer', 'null') AND abs(transaction_charges) < 900000000000000),
    CONSTRAINT ck_trades_gst CHECK (typeof(gst) IN ('real', 'integer', 'null') AND abs(gst) < 900000000000000),
    CONSTRAINT ck_trades_total_charges CHECK (typeof(total_charges) IN ('real', 'integer', 'null') AND abs(total_charges) < 900000000000000),
    CONSTRAINT ck_trades_net_amount CHECK (typeof(net_amount) IN ('real', 'integer', 'null') AND abs(net_amount) < 900000000000000),
    CONSTRAINT ck_trades_trade_ts CHECK (typeof(trade_ts) IN ('integer', 'null') AND trade_ts < 100000000000),
    CONSTRAINT ck_trades_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_trades_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_trades_exchange_time CHECK (typeof(exchange_time) IN ('integer', 'null') AND exchange_time < 100000000000),
    CONSTRAINT ck_trades_drv_expiry_date CHECK (typeof(drv_expiry_date) IN ('integer', 'null') AND drv_expiry_date < 100000000000),
    CONSTRAINT ck_trades_drv_option_type CHECK (drv_option_type IN ('CALL', 'PUT')),
    CONSTRAINT ck_trades_drv_strike_price CHECK (typeof(drv_strike_price) IN ('real', 'integer', 'null') AND abs(drv_strike_price) < 900000000000000),
    CONSTRAINT ck_trades_booked_at_us CHECK (typeof(booked_at_us) IN ('integer', 'null') AND booked_at_us >= 100000000000000)
);

CREATE INDEX idx_trades_account_ts ON trades (account_type, trade_ts);

CREATE INDEX idx_trades_exchange ON trades (exchange_order_id);

CREATE INDEX idx_trades_exchange_trade ON trades (exchange_trade_id);

CREATE INDEX idx_trades_order ON trades (order_id);

CREATE INDEX idx_trades_security ON trades (security_id, exchange_segment);

CREATE INDEX idx_trades_unbooked ON trades (account_type, trade_ts) WHERE booked_at_us IS NULL;

CREATE UNIQUE INDEX uq_trades_fill ON trades (account_type, exchange_segment, session_date, exchange_trade_id, order_id) WHERE session_date IS NOT NULL AND exchange_trade_id IS NOT NULL;

CREATE TABLE unsolicited_orders (
    account TEXT NOT NULL,
    order_id TEXT NOT NULL,
    session_date TEXT NOT NULL,
    origin TEXT NOT NULL,
    correlation_id TEXT DEFAULT '' NOT NULL,
    parent TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    found_at_us INTEGER NOT NULL,
    CONSTRAINT pk_unsolicited_orders PRIMARY KEY (account, order_id),
    CONSTRAINT ck_unsolicited_orders_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_unsolicited_orders_order_id CHECK (trim(order_id) != ''),
    CONSTRAINT ck_unsolicited_orders_origin CHECK (origin IN ('OTHER', 'CHILD', 'SQUARE_OFF')),
    CONSTRAINT ck_unsolicited_orders_found_at_us CHECK (typeof(found_at_us) IN ('integer', 'null') AND found_at_us >= 100000000000000)
)
 STRICT;

CREATE INDEX idx_unsolicited_orders_day ON unsolicited_orders (account, session_date, found_at_us);

CREATE TABLE upkeep_runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    slot TEXT NOT NULL,
    attempts INTEGER DEFAULT 1 NOT NULL,
    holder TEXT DEFAULT '' NOT NULL,
    started_at_us INTEGER NOT NULL,
    finished_at_us INTEGER,
    outcome TEXT,
    detail TEXT DEFAULT '{}' NOT NULL,
    CONSTRAINT ck_upkeep_runs_kind CHECK (kind IN ('backup', 'archive', 'vacuum', 'anchor')),
    CONSTRAINT ck_upkeep_runs_slot CHECK (trim(slot) != ''),
    CONSTRAINT ck_upkeep_runs_attempts CHECK (typeof(attempts) IN ('integer', 'null') AND attempts >= 1),
    CONSTRAINT ck_upkeep_runs_started_at_us CHECK (typeof(started_at_us) IN ('integer', 'null') AND started_at_us >= 100000000000000),
    CONSTRAINT ck_upkeep_runs_finished_at_us CHECK (typeof(finished_at_us) IN ('integer', 'null') AND finished_at_us >= 100000000000000),
    CONSTRAINT ck_upkeep_runs_outcome CHECK (outcome IN ('DONE', 'FAILED')),
    CONSTRAINT uq_upkeep_runs_kind_slot UNIQUE (kind, slot)
)
 STRICT;

CREATE INDEX idx_upkeep_runs_kind ON upkeep_runs (kind, finished_at_us);

CREATE TABLE websocket_connections (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_type TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    ws_url TEXT NOT NULL,
    status TEXT NOT NULL,
    subscribed_events TEXT,
    connect_attempts INTEGER DEFAULT 0,
    last_heartbeat_at INTEGER,
    connected_at INTEGER,
    disconnected_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    superseded INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT ck_websocket_connections_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_websocket_connections_status CHECK (status IN ('CONNECTING', 'CONNECTED', 'DISCONNECTED', 'ERROR')),
    CONSTRAINT ck_websocket_connections_connect_attempts CHECK (typeof(connect_attempts) IN ('integer', 'null') AND connect_attempts >= 0),
    CONSTRAINT ck_websocket_connections_last_heartbeat_at CHECK (typeof(last_heartbeat_at) IN ('integer', 'null') AND last_heartbeat_at < 100000000000),
    CONSTRAINT ck_websocket_connections_connected_at CHECK (typeof(connected_at) IN ('integer', 'null') AND connected_at < 100000000000),
    CONSTRAINT ck_websocket_connections_disconnected_at CHECK (typeof(disconnected_at) IN ('integer', 'null') AND disconnected_at < 100000000000),
    CONSTRAINT ck_websocket_connections_created_at CHECK (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000),
    CONSTRAINT ck_websocket_connections_updated_at CHECK (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000),
    CONSTRAINT ck_websocket_connections_superseded CHECK (typeof(superseded) IN ('integer', 'null') AND superseded IN (0, 1))
);

CREATE INDEX idx_ws_connections_account ON websocket_connections (account_type, status);

CREATE INDEX idx_ws_connections_status ON websocket_connections (status);

CREATE UNIQUE INDEX uq_websocket_connections_connection_id ON websocket_connections (connection_id) WHERE superseded = 0;

CREATE TABLE websocket_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    connection_id TEXT NOT NULL,
    account_type TEXT NOT NULL,
    message_type TEXT NOT NULL,
    order_id TEXT,
    payload TEXT NOT NULL,
    sequence_number INTEGER,
    is_processed INTEGER DEFAULT 0,
    processed_at INTEGER,
    received_at INTEGER NOT NULL,
    digest TEXT,
    error_message TEXT,
    CONSTRAINT ck_websocket_messages_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_websocket_messages_sequence_number CHECK (typeof(sequence_number) IN ('integer', 'null')),
    CONSTRAINT ck_websocket_messages_is_processed CHECK (typeof(is_processed) IN ('integer', 'null') AND is_processed IN (0, 1)),
    CONSTRAINT ck_websocket_messages_processed_at CHECK (typeof(processed_at) IN ('integer', 'null') AND processed_at < 100000000000),
    CONSTRAINT ck_websocket_messages_received_at CHECK (typeof(received_at) IN ('integer', 'null') AND received_at < 100000000000)
);

CREATE INDEX idx_ws_messages_account ON websocket_messages (account_type, received_at);

CREATE INDEX idx_ws_messages_connection ON websocket_messages (connection_id, received_at);

CREATE INDEX idx_ws_messages_order ON websocket_messages (order_id);

CREATE INDEX idx_ws_messages_processed ON websocket_messages (is_processed, received_at);

CREATE INDEX idx_ws_messages_sequence ON websocket_messages (connection_id, sequence_number);

CREATE UNIQUE INDEX uq_websocket_messages_digest ON websocket_messages (digest) WHERE digest IS NOT NULL;

CREATE TRIGGER accounts_insert_bumps AFTER INSERT ON accounts BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER accounts_update_bumps AFTER UPDATE ON accounts BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER accounts_delete_bumps AFTER DELETE ON accounts BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER traders_control_insert_bumps AFTER INSERT ON traders_control BEGIN UPDATE account_heads SET version = version + 1, controls = random() WHERE account = NEW.account_type; END;

CREATE TRIGGER traders_control_update_bumps AFTER UPDATE ON traders_control BEGIN UPDATE account_heads SET version = version + 1, controls = random() WHERE account = NEW.account_type; UPDATE account_heads SET version = version + 1, controls = random() WHERE account = OLD.account_type AND OLD.account_type <> NEW.account_type; END;

CREATE TRIGGER traders_control_delete_bumps AFTER DELETE ON traders_control BEGIN UPDATE account_heads SET version = version + 1, controls = random() WHERE account = OLD.account_type; END;

CREATE TRIGGER permits_insert_bumps AFTER INSERT ON permits BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER permits_update_bumps AFTER UPDATE ON permits BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER permits_delete_bumps AFTER DELETE ON permits BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER order_messages_insert_bumps AFTER INSERT ON order_messages BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER order_messages_update_bumps AFTER UPDATE ON order_messages BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER order_messages_delete_bumps AFTER DELETE ON order_messages BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER refusal_repeats_insert_bumps AFTER INSERT ON refusal_repeats BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER refusal_repeats_update_bumps AFTER UPDATE ON refusal_repeats BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER refusal_repeats_delete_bumps AFTER DELETE ON refusal_repeats BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER day_baselines_insert_bumps AFTER INSERT ON day_baselines BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER day_baselines_update_bumps AFTER UPDATE ON day_baselines BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER day_baselines_delete_bumps AFTER DELETE ON day_baselines BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER day_books_insert_bumps AFTER INSERT ON day_books BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER day_books_update_bumps AFTER UPDATE ON day_books BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER day_books_delete_bumps AFTER DELETE ON day_books BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER snapshots_insert_bumps AFTER INSERT ON snapshots BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER snapshots_update_bumps AFTER UPDATE ON snapshots BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER snapshots_delete_bumps AFTER DELETE ON snapshots BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER orders_insert_bumps AFTER INSERT ON orders BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account_type; END;

CREATE TRIGGER orders_update_bumps AFTER UPDATE ON orders BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account_type; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account_type AND OLD.account_type <> NEW.account_type; END;

CREATE TRIGGER orders_delete_bumps AFTER DELETE ON orders BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account_type; END;

CREATE TRIGGER trades_insert_bumps AFTER INSERT ON trades BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account_type; END;

CREATE TRIGGER trades_update_bumps AFTER UPDATE ON trades BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account_type; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account_type AND OLD.account_type <> NEW.account_type; END;

CREATE TRIGGER trades_delete_bumps AFTER DELETE ON trades BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account_type; END;

CREATE TRIGGER pnl_readings_insert_bumps AFTER INSERT ON pnl_readings BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER pnl_readings_update_bumps AFTER UPDATE ON pnl_readings BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER pnl_readings_delete_bumps AFTER DELETE ON pnl_readings BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER state_causes_insert_bumps AFTER INSERT ON state_causes BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER state_causes_update_bumps AFTER UPDATE ON state_causes BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER state_causes_delete_bumps AFTER DELETE ON state_causes BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER sweeps_insert_bumps AFTER INSERT ON sweeps BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER sweeps_update_bumps AFTER UPDATE ON sweeps BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER sweeps_delete_bumps AFTER DELETE ON sweeps BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER control_actions_insert_bumps AFTER INSERT ON control_actions BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; END;

CREATE TRIGGER control_actions_update_bumps AFTER UPDATE ON control_actions BEGIN UPDATE account_heads SET version = version + 1 WHERE account = NEW.account; UPDATE account_heads SET version = version + 1 WHERE account = OLD.account AND OLD.account <> NEW.account; END;

CREATE TRIGGER control_actions_delete_bumps AFTER DELETE ON control_actions BEGIN UPDATE account_heads SET version = version + 1 WHERE account = OLD.account; END;

CREATE TRIGGER instruments_insert_bumps AFTER INSERT ON instruments BEGIN UPDATE account_heads SET version = version + 1 WHERE account = 'GLOBAL'; END;

CREATE TRIGGER instruments_update_bumps AFTER UPDATE ON instruments BEGIN UPDATE account_heads SET version = version + 1 WHERE account = 'GLOBAL'; END;

CREATE TRIGGER instruments_delete_bumps AFTER DELETE ON instruments BEGIN UPDATE account_heads SET version = version + 1 WHERE account = 'GLOBAL'; END;

CREATE TRIGGER positions_insert_bumps AFTER INSERT ON positions WHEN NEW.snapshot_id = 0 BEGIN UPDATE account_heads SET version = version + 1 WHERE account IN (NEW.account_type); END;

CREATE TRIGGER positions_update_bumps AFTER UPDATE ON positions WHEN NEW.snapshot_id = 0 OR OLD.snapshot_id = 0 BEGIN UPDATE account_heads SET version = version + 1 WHERE account IN (NEW.account_type, OLD.account_type); END;

CREATE TRIGGER positions_delete_bumps AFTER DELETE ON positions WHEN OLD.snapshot_id = 0 BEGIN UPDATE account_heads SET version = version + 1 WHERE account IN (OLD.account_type); END;

CREATE TRIGGER orders_keeps_ours BEFORE INSERT ON orders WHEN NEW.client_order_id IS NULL AND NEW.source IS NULL AND NEW.exit_group IS NULL AND EXISTS (SELECT 1 FROM orders WHERE id = NEW.id AND (client_order_id IS NOT NULL OR source IS NOT NULL OR exit_group IS NOT NULL)) BEGIN UPDATE orders SET id = NEW.id, account_type = NEW.account_type, correlation_id = NEW.correlation_id, status = NEW.status, order_status = NEW.order_status, side = NEW.side, product = NEW.product, order_type = NEW.order_type, validity = NEW.validity, security_id = NEW.security_id, exchange_segment = NEW.exchange_segment, trading_symbol = NEW.trading_symbol, quantity = NEW.quantity, disclosed_qty = NEW.disclosed_qty, price = NEW.price, trigger_price = NEW.trigger_price, traded_qty = NEW.traded_qty, remaining_qty = NEW.remaining_qty, avg_price = NEW.avg_price, co_stop_loss_value = NEW.co_stop_loss_value, co_trigger_price = NEW.co_trigger_price, bo_profit_value = NEW.bo_profit_value, bo_stop_loss_value = NEW.bo_stop_loss_value, bo_order_type = NEW.bo_order_type, parent_order_id = NEW.parent_order_id, leg_type = NEW.leg_type, is_sliced_order = NEW.is_sliced_order, slice_order_id = NEW.slice_order_id, slice_index = NEW.slice_index, total_slice_quantity = NEW.total_slice_quantity, after_market_order = NEW.after_market_order, amo_time = NEW.amo_time, exchange_order_id = NEW.exchange_order_id, exchange_time = NEW.exchange_time, algo_id = NEW.algo_id, drv_expiry_date = NEW.drv_expiry_date, drv_option_type = NEW.drv_option_type, drv_strike_price = NEW.drv_strike_price, oms_error_code = NEW.oms_error_code, oms_error_description = NEW.oms_error_description, created_at = NEW.created_at, updated_at = NEW.updated_at, completed_at = NEW.completed_at, raw_request = NEW.raw_request, raw_response = NEW.raw_response WHERE id = NEW.id; SELECT RAISE(IGNORE); END;

CREATE TRIGGER trades_keeps_ours BEFORE INSERT ON trades WHEN NEW.client_order_id IS NULL AND NEW.booked_at_us IS NULL AND NEW.session_date IS NULL AND EXISTS (SELECT 1 FROM trades WHERE id = NEW.id AND (client_order_id IS NOT NULL OR booked_at_us IS NOT NULL OR session_date IS NOT NULL)) BEGIN UPDATE trades SET id = NEW.id, order_id = NEW.order_id, account_type = NEW.account_type, exchange_order_id = NEW.exchange_order_id, exchange_trade_id = NEW.exchange_trade_id, security_id = NEW.security_id, exchange_segment = NEW.exchange_segment, trading_symbol = NEW.trading_symbol, side = NEW.side, product = NEW.product, order_type = NEW.order_type, quantity = NEW.quantity, price = NEW.price, trade_value = NEW.trade_value, brokerage = NEW.brokerage, exchange_charges = NEW.exchange_charges, clearing_charges = NEW.clearing_charges, stt = NEW.stt, stamp_duty = NEW.stamp_duty, transaction_charges = NEW.transaction_charges, gst = NEW.gst, total_charges = NEW.total_charges, net_amount = NEW.net_amount, trade_ts = NEW.trade_ts, created_at = NEW.created_at, updated_at = NEW.updated_at, exchange_time = NEW.exchange_time, drv_expiry_date = NEW.drv_expiry_date, drv_option_type = NEW.drv_option_type, drv_strike_price = NEW.drv_strike_price, raw_data = NEW.raw_data WHERE id = NEW.id; SELECT RAISE(IGNORE); END;

CREATE TRIGGER instruments_keeps_ours BEFORE INSERT ON instruments WHEN NEW.multiplier IS NULL AND NEW.freeze_quantity IS NULL AND NEW.series IS NULL AND NEW.underlying_symbol IS NULL AND NEW.lower_band IS NULL AND NEW.upper_band IS NULL AND NEW.band_date IS NULL AND EXISTS (SELECT 1 FROM instruments WHERE security_id = NEW.security_id AND exchange_segment = NEW.exchange_segment AND (multiplier IS NOT NULL OR freeze_quantity IS NOT NULL OR series IS NOT NULL OR underlying_symbol IS NOT NULL OR lower_band IS NOT NULL OR upper_band IS NOT NULL OR band_date IS NOT NULL)) BEGIN UPDATE instruments SET security_id = NEW.security_id, exchange_segment = NEW.exchange_segment, symbol = NEW.symbol, trading_symbol = NEW.trading_symbol, name = NEW.name, instrument_type = NEW.instrument_type, expiry_date = NEW.expiry_date, strike_price = NEW.strike_price, option_type = NEW.option_type, lot_size = NEW.lot_size, tick_size = NEW.tick_size, underlying_security_id = NEW.underlying_security_id, isin = NEW.isin, meta = NEW.meta, updated_at = NEW.updated_at WHERE security_id = NEW.security_id AND exchange_segment = NEW.exchange_segment; SELECT RAISE(IGNORE); END;

CREATE TRIGGER decisions_update_refused BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only: it is the evidence'); END;

CREATE TRIGGER decisions_delete_refused BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only: it is the evidence'); END;

CREATE TRIGGER decisions_replace_refused BEFORE INSERT ON decisions WHEN EXISTS (SELECT 1 FROM decisions was WHERE was.account = NEW.account AND was.sequence = NEW.sequence) OR EXISTS (SELECT 1 FROM decisions was WHERE was.account = NEW.account AND was.client_order_id = NEW.client_order_id) BEGIN SELECT RAISE(ABORT, 'decisions is append-only: it is the evidence'); END;

CREATE TRIGGER limit_sets_update_refused BEFORE UPDATE ON limit_sets BEGIN SELECT RAISE(ABORT, 'limit_sets is append-only: it is the evidence'); END;

CREATE TRIGGER limit_sets_delete_refused BEFORE DELETE ON limit_sets BEGIN SELECT RAISE(ABORT, 'limit_sets is append-only: it is the evidence'); END;

CREATE TRIGGER limit_sets_replace_refused BEFORE INSERT ON limit_sets WHEN EXISTS (SELECT 1 FROM limit_sets was WHERE was.digest = NEW.digest AND was.body IS NOT NEW.body) BEGIN SELECT RAISE(ABORT, 'limit_sets is append-only: it is the evidence'); END;

CREATE TRIGGER traders_control_latch_holds BEFORE UPDATE ON traders_control WHEN (OLD.is_active = 1 AND OLD.control_type = 'KILL_SWITCH' AND upper(coalesce(OLD.kill_switch_status, '')) NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND (NEW.is_active = 1 AND NEW.control_type = 'KILL_SWITCH' AND upper(coalesce(NEW.kill_switch_status, '')) NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND NEW.account_type = OLD.account_type) IS NOT TRUE) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account_type, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'the kill switch is released with `riskguard release`, not with SQL'); END;

CREATE TRIGGER traders_control_limit_holds BEFORE UPDATE ON traders_control WHEN (OLD.is_active = 1 AND OLD.control_type <> 'KILL_SWITCH' AND (NEW.is_active IS NOT 1 OR (OLD.daily_loss_limit IS NOT NULL AND (NEW.daily_loss_limit IS NULL OR NEW.daily_loss_limit > OLD.daily_loss_limit)) OR (OLD.position_size_limit IS NOT NULL AND (NEW.position_size_limit IS NULL OR NEW.position_size_limit > OLD.position_size_limit)) OR (OLD.order_value_limit IS NOT NULL AND (NEW.order_value_limit IS NULL OR NEW.order_value_limit > OLD.order_value_limit)) OR NEW.control_type IS NOT OLD.control_type OR NEW.account_type IS NOT OLD.account_type OR NEW.limit_id IS NOT OLD.limit_id OR NEW.check_name IS NOT OLD.check_name OR NEW.parameters IS NOT OLD.parameters OR NEW.scope IS NOT OLD.scope OR NEW.on_breach IS NOT OLD.on_breach OR NEW.mode IS NOT OLD.mode OR NEW.kill_plan IS NOT OLD.kill_plan)) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account_type, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'SQL may tighten a limit, not loosen it: use `riskguard limits apply`'); END;

CREATE TRIGGER traders_control_place_is_taken BEFORE UPDATE ON traders_control WHEN EXISTS (SELECT 1 FROM traders_control was WHERE was.id <> OLD.id AND (was.id = NEW.id OR (NEW.is_active = 1 AND was.is_active = 1 AND was.account_type = NEW.account_type AND was.control_type = NEW.control_type AND coalesce(was.limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(was.scope, '') = coalesce(NEW.scope, '')))) BEGIN SELECT RAISE(ABORT, 'another row is in force in this place: write a new row, it supersedes'); END;

CREATE TRIGGER traders_control_row_stays BEFORE DELETE ON traders_control WHEN OLD.is_active = 1 AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account_type, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'a limit or kill in force is not deleted: use `riskguard limits apply` or `riskguard release`'); END;

CREATE TRIGGER traders_control_id_counts AFTER INSERT ON traders_control WHEN NEW.id < 1 BEGIN SELECT RAISE(ABORT, 'ids of traders_control count from 1: leave the id out'); END;

CREATE TRIGGER traders_control_id_stays BEFORE UPDATE ON traders_control WHEN NEW.id < 1 BEGIN SELECT RAISE(ABORT, 'ids of traders_control count from 1: leave the id alone'); END;

CREATE TRIGGER traders_control_supersedes BEFORE INSERT ON traders_control BEGIN SELECT RAISE(ABORT, 'the kill switch is released with `riskguard release`, not with SQL') FROM traders_control was WHERE (was.id = NEW.id OR (NEW.is_active = 1 AND NEW.control_type = 'KILL_SWITCH' AND was.account_type = NEW.account_type)) AND (was.is_active = 1 AND was.control_type = 'KILL_SWITCH' AND upper(coalesce(was.kill_switch_status, '')) NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND (NEW.is_active = 1 AND NEW.control_type = 'KILL_SWITCH' AND upper(coalesce(NEW.kill_switch_status, '')) NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND NEW.account_type = was.account_type) IS NOT TRUE) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')); SELECT RAISE(ABORT, 'SQL may tighten a limit, not loosen it: use `riskguard limits apply`') FROM traders_control was WHERE was.id = NEW.id AND (was.is_active = 1 AND was.control_type <> 'KILL_SWITCH' AND (NEW.is_active IS NOT 1 OR (was.daily_loss_limit IS NOT NULL AND (NEW.daily_loss_limit IS NULL OR NEW.daily_loss_limit > was.daily_loss_limit)) OR (was.position_size_limit IS NOT NULL AND (NEW.position_size_limit IS NULL OR NEW.position_size_limit > was.position_size_limit)) OR (was.order_value_limit IS NOT NULL AND (NEW.order_value_limit IS NULL OR NEW.order_value_limit > was.order_value_limit)) OR NEW.control_type IS NOT was.control_type OR NEW.account_type IS NOT was.account_type OR NEW.limit_id IS NOT was.limit_id OR NEW.check_name IS NOT was.check_name OR NEW.parameters IS NOT was.parameters OR NEW.scope IS NOT was.scope OR NEW.on_breach IS NOT was.on_breach OR NEW.mode IS NOT was.mode OR NEW.kill_plan IS NOT was.kill_plan)) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')); SELECT RAISE(ABORT, 'SQL may tighten a limit, not loosen it: use `riskguard limits apply`') FROM traders_control was WHERE NEW.is_active = 1 AND was.is_active = 1 AND was.control_type <> 'KILL_SWITCH' AND was.account_type = NEW.account_type AND was.control_type = NEW.control_type AND coalesce(was.limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(was.scope, '') = coalesce(NEW.scope, '') AND (NEW.control_type IS NOT was.control_type OR NEW.account_type IS NOT was.account_type OR NEW.limit_id IS NOT was.limit_id OR NEW.check_name IS NOT was.check_name OR NEW.parameters IS NOT was.parameters OR NEW.scope IS NOT was.scope OR NEW.on_breach IS NOT was.on_breach OR NEW.mode IS NOT was.mode OR NEW.kill_plan IS NOT was.kill_plan) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')); SELECT RAISE(ABORT, 'a row that supersedes another must be whole and new: see the checks of traders_control') FROM traders_control was WHERE NEW.is_active = 1 AND was.is_active = 1 AND was.account_type = NEW.account_type AND was.control_type = NEW.control_type AND coalesce(was.limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(was.scope, '') = coalesce(NEW.scope, '') AND was.id <> NEW.id AND (EXISTS (SELECT 1 FROM traders_control c WHERE c.id = NEW.id) OR EXISTS (SELECT 1 FROM (SELECT NEW.account_type AS account_type, NEW.control_type AS control_type, NEW.kill_switch_status AS kill_switch_status, NEW.daily_loss_limit AS daily_loss_limit, NEW.position_size_limit AS position_size_limit, NEW.order_value_limit AS order_value_limit, NEW.is_active AS is_active, NEW.created_at AS created_at, NEW.updated_at AS updated_at, NEW.activated_at AS activated_at, NEW.deactivated_at AS deactivated_at, NEW.activated_by AS activated_by, NEW.reason AS reason, NEW.limit_id AS limit_id, NEW.check_name AS check_name, NEW.parameters AS parameters, NEW.scope AS scope, NEW.on_breach AS on_breach, NEW.mode AS mode, NEW.kill_plan AS kill_plan, NEW.source AS source, NEW.rulebook_digest AS rulebook_digest, NEW.action_id AS action_id) WHERE account_type IS NULL OR control_type IS NULL OR created_at IS NULL OR updated_at IS NULL OR NOT (control_type IN ('KILL_SWITCH', 'RISK_LIMIT', 'POSITION_LIMIT')) OR NOT (daily_loss_limit > 0) OR NOT (kill_plan IN ('halt', 'cancel', 'flatten', 'broker')) OR NOT (mode IN ('enforce', 'shadow')) OR NOT (on_breach IN ('warn', 'reject', 'reduce_only', 'halt', 'kill')) OR NOT (order_value_limit > 0) OR NOT (position_size_limit > 0) OR NOT (trim(account_type) != '' AND length(account_type) <= 64) OR NOT (typeof(action_id) IN ('integer', 'null')) OR NOT (typeof(activated_at) IN ('integer', 'null') AND activated_at < 100000000000) OR NOT (typeof(created_at) IN ('integer', 'null') AND created_at < 100000000000) OR NOT (typeof(daily_loss_limit) IN ('real', 'integer', 'null') AND abs(daily_loss_limit) < 900000000000000) OR NOT (typeof(deactivated_at) IN ('integer', 'null') AND deactivated_at < 100000000000) OR NOT (typeof(is_active) IN ('integer', 'null') AND is_active IN (0, 1)) OR NOT (typeof(order_value_limit) IN ('real', 'integer', 'null') AND abs(order_value_limit) < 900000000000000) OR NOT (typeof(position_size_limit) IN ('real', 'integer', 'null') AND abs(position_size_limit) < 900000000000000) OR NOT (typeof(updated_at) IN ('integer', 'null') AND updated_at < 100000000000))); INSERT INTO control_changes (account, what, control_id, control_type, limit_id, scope, old_values, new_values)  SELECT account_type, 'SUPERSEDED', id, control_type, coalesce(limit_id, ''), coalesce(scope, ''), json_object('daily_loss_limit', traders_control.daily_loss_limit, 'position_size_limit', traders_control.position_size_limit, 'order_value_limit', traders_control.order_value_limit, 'kill_switch_status', traders_control.kill_switch_status, 'parameters', traders_control.parameters, 'is_active', traders_control.is_active), NULL FROM traders_control WHERE NEW.is_active = 1 AND is_active = 1 AND account_type = NEW.account_type AND control_type = NEW.control_type AND coalesce(limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(scope, '') = coalesce(NEW.scope, ''); INSERT INTO control_actions (account, kind, by_whom, at_us) SELECT NEW.account_type, 'SUPERSEDE', 'trigger', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) WHERE NEW.is_active = 1 AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')); UPDATE traders_control SET is_active = 0, deactivated_at = NEW.created_at, updated_at = NEW.updated_at WHERE NEW.is_active = 1 AND id <> NEW.id AND is_active = 1 AND account_type = NEW.account_type AND control_type = NEW.control_type AND coalesce(limit_id, '') = coalesce(NEW.limit_id, '') AND coalesce(scope, '') = coalesce(NEW.scope, ''); DELETE FROM control_actions WHERE kind = 'SUPERSEDE' AND account = NEW.account_type; END;

CREATE TRIGGER traders_control_keeps_tighter AFTER INSERT ON traders_control WHEN NEW.is_active = 1 AND NEW.control_type <> 'KILL_SWITCH' AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')) AND EXISTS (SELECT 1 FROM control_changes c WHERE c.what = 'SUPERSEDED' AND c.is_adopted = 0 AND c.account = NEW.account_type AND c.control_type = NEW.control_type AND c.limit_id = coalesce(NEW.limit_id, '') AND c.scope = coalesce(NEW.scope, '')) BEGIN UPDATE traders_control SET daily_loss_limit = (SELECT min(v) FROM (SELECT NEW.daily_loss_limit AS v UNION ALL SELECT json_extract(ch.old_values, '$.daily_loss_limit') FROM control_changes ch WHERE ch.what = 'SUPERSEDED' AND ch.is_adopted = 0 AND ch.account = NEW.account_type AND ch.control_type = NEW.control_type AND ch.limit_id = coalesce(NEW.limit_id, '') AND ch.scope = coalesce(NEW.scope, '')) WHERE v IS NOT NULL), position_size_limit = (SELECT min(v) FROM (SELECT NEW.position_size_limit AS v UNION ALL SELECT json_extract(ch.old_values, '$.position_size_limit') FROM control_changes ch WHERE ch.what = 'SUPERSEDED' AND ch.is_adopted = 0 AND ch.account = NEW.account_type AND ch.control_type = NEW.control_type AND ch.limit_id = coalesce(NEW.limit_id, '') AND ch.scope = coalesce(NEW.scope, '')) WHERE v IS NOT NULL), order_value_limit = (SELECT min(v) FROM (SELECT NEW.order_value_limit AS v UNION ALL SELECT json_extract(ch.old_values, '$.order_value_limit') FROM control_changes ch WHERE ch.what = 'SUPERSEDED' AND ch.is_adopted = 0 AND ch.account = NEW.account_type AND ch.control_type = NEW.control_type AND ch.limit_id = coalesce(NEW.limit_id, '') AND ch.scope = coalesce(NEW.scope, '')) WHERE v IS NOT NULL) WHERE id = NEW.id; END;

CREATE TRIGGER traders_control_insert_kept AFTER INSERT ON traders_control WHEN NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')) BEGIN INSERT INTO control_changes (account, what, control_id, control_type, limit_id, scope, old_values, new_values)  VALUES (NEW.account_type, 'INSERTED', NEW.id, NEW.control_type, coalesce(NEW.limit_id, ''), coalesce(NEW.scope, ''), NULL, json_object('daily_loss_limit', NEW.daily_loss_limit, 'position_size_limit', NEW.position_size_limit, 'order_value_limit', NEW.order_value_limit, 'kill_switch_status', NEW.kill_switch_status, 'parameters', NEW.parameters, 'is_active', NEW.is_active)); END;

CREATE TRIGGER traders_control_update_kept AFTER UPDATE ON traders_control WHEN NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')) BEGIN INSERT INTO control_changes (account, what, control_id, control_type, limit_id, scope, old_values, new_values)  VALUES (NEW.account_type, 'UPDATED', NEW.id, NEW.control_type, coalesce(NEW.limit_id, ''), coalesce(NEW.scope, ''), json_object('daily_loss_limit', OLD.daily_loss_limit, 'position_size_limit', OLD.position_size_limit, 'order_value_limit', OLD.order_value_limit, 'kill_switch_status', OLD.kill_switch_status, 'parameters', OLD.parameters, 'is_active', OLD.is_active), json_object('daily_loss_limit', NEW.daily_loss_limit, 'position_size_limit', NEW.position_size_limit, 'order_value_limit', NEW.order_value_limit, 'kill_switch_status', NEW.kill_switch_status, 'parameters', NEW.parameters, 'is_active', NEW.is_active)); END;

CREATE TRIGGER day_baselines_stays BEFORE DELETE ON day_baselines BEGIN SELECT RAISE(ABORT, 'a day is not forgotten: its baseline, sums and charges stay'); END;

CREATE TRIGGER day_baselines_once BEFORE INSERT ON day_baselines WHEN EXISTS (SELECT 1 FROM day_baselines was WHERE was.account = NEW.account AND was.session_date = NEW.session_date) BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER day_baselines_holds BEFORE UPDATE ON day_baselines WHEN NEW.account IS NOT OLD.account OR NEW.session_date IS NOT OLD.session_date OR NEW.adjustment_e4 > OLD.adjustment_e4 OR NEW.source IS NOT OLD.source OR (OLD.opening_equity_e4 IS NOT NULL AND (NEW.opening_equity_e4 IS NULL OR NEW.opening_equity_e4 > OLD.opening_equity_e4)) BEGIN SELECT RAISE(ABORT, 'a day is never re-based: its baseline only goes down, its sums only grow'); END;

CREATE TRIGGER day_books_stays BEFORE DELETE ON day_books BEGIN SELECT RAISE(ABORT, 'a day is not forgotten: its baseline, sums and charges stay'); END;

CREATE TRIGGER day_books_once BEFORE INSERT ON day_books WHEN EXISTS (SELECT 1 FROM day_books was WHERE was.account = NEW.account AND was.session_date = NEW.session_date AND was.exchange_segment = NEW.exchange_segment AND was.security_id = NEW.security_id AND was.product = NEW.product) BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER day_books_holds BEFORE UPDATE ON day_books WHEN NEW.account IS NOT OLD.account OR NEW.session_date IS NOT OLD.session_date OR NEW.exchange_segment IS NOT OLD.exchange_segment OR NEW.security_id IS NOT OLD.security_id OR NEW.product IS NOT OLD.product OR NEW.fills < OLD.fills - 1 OR (NEW.fills >= OLD.fills AND (NEW.bought < OLD.bought OR NEW.sold < OLD.sold OR NEW.buy_value_e4 < OLD.buy_value_e4 OR NEW.sell_value_e4 < OLD.sell_value_e4)) OR (NEW.fills = OLD.fills - 1 AND NOT (NEW.bought < OLD.bought AND NEW.sold = OLD.sold AND NEW.sell_value_e4 = OLD.sell_value_e4) AND NOT (NEW.sold < OLD.sold AND NEW.bought = OLD.bought AND NEW.buy_value_e4 = OLD.buy_value_e4)) OR (EXISTS (SELECT 1 FROM day_baselines b WHERE b.account = OLD.account AND b.session_date = OLD.session_date) AND (NEW.start_quantity IS NOT OLD.start_quantity OR (OLD.previous_close_e4 IS NOT NULL AND NEW.previous_close_e4 IS NOT OLD.previous_close_e4))) BEGIN SELECT RAISE(ABORT, 'a day is never re-based: its baseline only goes down, its sums only grow'); END;

CREATE TRIGGER day_charges_stays BEFORE DELETE ON day_charges BEGIN SELECT RAISE(ABORT, 'a day is not forgotten: its baseline, sums and charges stay'); END;

CREATE TRIGGER day_charges_once BEFORE INSERT ON day_charges WHEN EXISTS (SELECT 1 FROM day_charges was WHERE was.account = NEW.account AND was.session_date = NEW.session_date AND was.exchange_segment = NEW.exchange_segment) BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER day_charges_holds BEFORE UPDATE ON day_charges WHEN NEW.account IS NOT OLD.account OR NEW.session_date IS NOT OLD.session_date OR NEW.exchange_segment IS NOT OLD.exchange_segment OR NEW.fills < OLD.fills OR (NEW.fills = OLD.fills AND NEW.turnover_e4 = OLD.turnover_e4 AND NEW.total_e4 < OLD.total_e4) BEGIN SELECT RAISE(ABORT, 'a day is never re-based: its baseline only goes down, its sums only grow'); END;

CREATE TRIGGER trades_stay BEFORE DELETE ON trades WHEN OLD.booked_at_us IS NOT NULL AND OLD.id NOT LIKE '%:told' AND OLD.session_date >= (SELECT max(b.session_date) FROM day_baselines b WHERE b.account = OLD.account_type) BEGIN SELECT RAISE(ABORT, 'a fill of the running session is in the book: its row stays'); END;

CREATE TRIGGER live_watches_memory_kept BEFORE DELETE ON live_watches WHEN (OLD.period = '' OR OLD.updated_at_us > CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) - 32 * 86400000000) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'a limit does not forget: a row of live_watches goes 32 days after its period was last looked at'); END;

CREATE TRIGGER live_watches_memory_counts BEFORE UPDATE ON live_watches WHEN (NEW.account IS NOT OLD.account OR NEW.limit_id IS NOT OLD.limit_id OR NEW.period IS NOT OLD.period OR NEW.written <= OLD.written) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'a limit remembers what riskguard writes: an UPDATE of live_watches must count `written` on'); END;

CREATE TRIGGER live_watches_memory_replaced BEFORE INSERT ON live_watches WHEN EXISTS (SELECT 1 FROM live_watches was WHERE was.account = NEW.account AND was.limit_id = NEW.limit_id AND was.period = NEW.period AND coalesce(NEW.written, 0) <= was.written) AND NOT EXISTS (SELECT 1 FROM control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account, 'GLOBAL')) BEGIN SELECT RAISE(ABORT, 'a limit remembers what riskguard writes: an UPDATE of live_watches must count `written` on'); END;

CREATE VIEW v_active_orders (id, account_type, correlation_id, status, order_status, side, product, order_type, validity, security_id, exchange_segment, trading_symbol, quantity, disclosed_qty, price, trigger_price, traded_qty, remaining_qty, avg_price, co_stop_loss_value, co_trigger_price, bo_profit_value, bo_stop_loss_value, bo_order_type, parent_order_id, leg_type, is_sliced_order, slice_order_id, slice_index, total_slice_quantity, after_market_order, amo_time, exchange_order_id, exchange_time, algo_id, drv_expiry_date, drv_option_type, drv_strike_price, oms_error_code, oms_error_description, created_at, updated_at, completed_at, raw_request, raw_response, follower_order_id, sizing_strategy) AS
SELECT o.id, o.account_type, o.correlation_id, o.status, o.order_status, o.side, o.product, o.order_type, o.validity, o.security_id, o.exchange_segment, o.trading_symbol, o.quantity, o.disclosed_qty, o.price, o.trigger_price, o.traded_qty, o.remaining_qty, o.avg_price, o.co_stop_loss_value, o.co_trigger_price, o.bo_profit_value, o.bo_stop_loss_value, o.bo_order_type, o.parent_order_id, o.leg_type, o.is_sliced_order, o.slice_order_id, o.slice_index, o.total_slice_quantity, o.after_market_order, o.amo_time, o.exchange_order_id, o.exchange_time, o.algo_id, o.drv_expiry_date, o.drv_option_type, o.drv_strike_price, o.oms_error_code, o.oms_error_description, o.created_at, o.updated_at, o.completed_at, o.raw_request, o.raw_response, c.follower_order_id, c.sizing_strategy 
FROM orders AS o LEFT OUTER JOIN copy_mappings AS c ON c.id = coalesce((SELECT min(m.id) AS min_1 
FROM copy_mappings AS m 
WHERE m.leader_order_id = o.id), (SELECT min(m.id) AS min_2 
FROM copy_mappings AS m 
WHERE m.follower_order_id = o.id)) 
WHERE (upper(o.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED')) ORDER BY o.created_at DESC;

CREATE VIEW v_latest_positions (snapshot_ts, account_type, security_id, exchange_segment, product, position_type, buy_qty, sell_qty, net_qty, buy_avg, sell_avg, realized_pl, unrealized_pl, total_pl, ltp, close_price, multiplier, margin_required, raw_data) AS
WITH header AS 
(SELECT newest.account AS account, newest.fetched_at_us AS fetched_at_us, (SELECT max(n.id) AS max_1 
FROM snapshots AS n 
WHERE n.account = newest.account AND n.kind = 'positions' AND n.complete = 1 AND n.fetched_at_us = newest.fetched_at_us) AS id 
FROM (SELECT s.account AS account, max(s.fetched_at_us) AS fetched_at_us 
FROM snapshots AS s 
WHERE s.kind = 'positions' AND s.complete = 1 GROUP BY s.account) AS newest), 
bare AS 
(SELECT positions.account_type AS account_type, max(positions.snapshot_ts) AS snapshot_ts 
FROM positions 
WHERE positions.snapshot_id = 0 GROUP BY positions.account_type)
 SELECT r.snapshot_ts, r.account_type, r.security_id, r.exchange_segment, r.product, r.position_type, r.buy_qty, r.sell_qty, r.net_qty, r.buy_avg, r.sell_avg, r.realized_pl, r.unrealized_pl, r.total_pl, r.ltp, r.close_price, r.multiplier, r.margin_required, r.raw_data 
FROM positions AS r JOIN header ON r.snapshot_id = header.id AND r.account_type = header.account 
WHERE NOT (EXISTS (SELECT * 
FROM bare 
WHERE bare.account_type = header.account AND bare.snapshot_ts * 1000000 > header.fetched_at_us)) UNION ALL SELECT r.snapshot_ts, r.account_type, r.security_id, r.exchange_segment, r.product, r.position_type, r.buy_qty, r.sell_qty, r.net_qty, r.buy_avg, r.sell_avg, r.realized_pl, r.unrealized_pl, r.total_pl, r.ltp, r.close_price, r.multiplier, r.margin_required, r.raw_data 
FROM positions AS r JOIN bare ON r.snapshot_id = 0 AND r.account_type = bare.account_type AND r.snapshot_ts = bare.snapshot_ts 
WHERE NOT (EXISTS (SELECT * 
FROM header 
WHERE header.account = bare.account_type AND header.fetched_at_us >= bare.snapshot_ts * 1000000));

CREATE VIEW v_latest_holdings (snapshot_ts, account_type, security_id, exchange_segment, trading_symbol, isin, total_qty, dpqty, t1qty, available_qty, collateral_qty, collateral_update_qty, avg_cost_price, ltp, realized_pl, unrealized_pl, raw_data) AS
WITH header AS 
(SELECT newest.account AS account, newest.fetched_at_us AS fetched_at_us, (SELECT max(n.id) AS max_1 
FROM snapshots AS n 
WHERE n.account = newest.account AND n.kind = 'holdings' AND n.complete = 1 AND n.fetched_at_us = newest.fetched_at_us) AS id 
FROM (SELECT s.account AS account, max(s.fetched_at_us) AS fetched_at_us 
FROM snapshots AS s 
WHERE s.kind = 'holdings' AND s.complete = 1 GROUP BY s.account) AS newest), 
bare AS 
(SELECT holdings.account_type AS account_type, max(holdings.snapshot_ts) AS snapshot_ts 
FROM holdings 
WHERE holdings.snapshot_id = 0 GROUP BY holdings.account_type)
 SELECT r.snapshot_ts, r.account_type, r.security_id, r.exchange_segment, r.trading_symbol, r.isin, r.total_qty, r.dpqty, r.t1qty, r.available_qty, r.collateral_qty, r.collateral_update_qty, r.avg_cost_price, r.ltp, r.realized_pl, r.unrealized_pl, r.raw_data 
FROM holdings AS r JOIN header ON r.snapshot_id = header.id AND r.account_type = header.account 
WHERE NOT (EXISTS (SELECT * 
FROM bare 
WHERE bare.account_type = header.account AND bare.snapshot_ts * 1000000 > header.fetched_at_us)) UNION ALL SELECT r.snapshot_ts, r.account_type, r.security_id, r.exchange_segment, r.trading_symbol, r.isin, r.total_qty, r.dpqty, r.t1qty, r.available_qty, r.collateral_qty, r.collateral_update_qty, r.avg_cost_price, r.ltp, r.realized_pl, r.unrealized_pl, r.raw_data 
FROM holdings AS r JOIN bare ON r.snapshot_id = 0 AND r.account_type = bare.account_type AND r.snapshot_ts = bare.snapshot_ts 
WHERE NOT (EXISTS (SELECT * 
FROM header 
WHERE header.account = bare.account_type AND header.fetched_at_us >= bare.snapshot_ts * 1000000));

CREATE VIEW v_latest_funds (snapshot_ts, account_type, available_balance, "sodLimit", collateral, margin_used, margin_available, withdrawable_balance, blocked_margin, raw_data) AS
WITH header AS 
(SELECT newest.account AS account, newest.fetched_at_us AS fetched_at_us, (SELECT max(n.id) AS max_1 
FROM snapshots AS n 
WHERE n.account = newest.account AND n.kind = 'funds' AND n.complete = 1 AND n.fetched_at_us = newest.fetched_at_us) AS id 
FROM (SELECT s.account AS account, max(s.fetched_at_us) AS fetched_at_us 
FROM snapshots AS s 
WHERE s.kind = 'funds' AND s.complete = 1 GROUP BY s.account) AS newest), 
bare AS 
(SELECT funds.account_type AS account_type, max(funds.snapshot_ts) AS snapshot_ts 
FROM funds 
WHERE funds.snapshot_id = 0 GROUP BY funds.account_type)
 SELECT r.snapshot_ts, r.account_type, r.available_balance, r."sodLimit", r.collateral, r.margin_used, r.margin_available, r.withdrawable_balance, r.blocked_margin, r.raw_data 
FROM funds AS r JOIN header ON r.snapshot_id = header.id AND r.account_type = header.account 
WHERE NOT (EXISTS (SELECT * 
FROM bare 
WHERE bare.account_type = header.account AND bare.snapshot_ts * 1000000 > header.fetched_at_us)) UNION ALL SELECT r.snapshot_ts, r.account_type, r.available_balance, r."sodLimit", r.collateral, r.margin_used, r.margin_available, r.withdrawable_balance, r.blocked_margin, r.raw_data 
FROM funds AS r JOIN bare ON r.snapshot_id = 0 AND r.account_type = bare.account_type AND r.snapshot_ts = bare.snapshot_ts 
WHERE NOT (EXISTS (SELECT * 
FROM header 
WHERE header.account = bare.account_type AND header.fetched_at_us >= bare.snapshot_ts * 1000000));

CREATE VIEW v_active_forever_orders (id, account_type, correlation_id, status, order_type, security_id, exchange_segment, trading_symbol, trigger_type, trigger_price_above, trigger_price_below, transaction_type, product, order_type_after_trigger, quantity, price, disclosed_qty, validity, oco_leg_id, created_at, updated_at, triggered_at, expires_at, triggered_order_id, raw_request, raw_response, replicated_forever_order_id) AS
SELECT f.id, f.account_type, f.correlation_id, f.status, f.order_type, f.security_id, f.exchange_segment, f.trading_symbol, f.trigger_type, f.trigger_price_above, f.trigger_price_below, f.transaction_type, f.product, f.order_type_after_trigger, f.quantity, f.price, f.disclosed_qty, f.validity, f.oco_leg_id, f.created_at, f.updated_at, f.triggered_at, f.expires_at, f.triggered_order_id, f.raw_request, f.raw_response, c.follower_order_id AS replicated_forever_order_id 
FROM forever_orders AS f LEFT OUTER JOIN copy_mappings AS c ON c.id = (SELECT min(m.id) AS min_1 
FROM copy_mappings AS m 
WHERE m.leader_order_id = f.id) 
WHERE (upper(f.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED', 'TRIGGERED')) ORDER BY f.created_at DESC;

CREATE VIEW v_active_bracket_orders (parent_order_id, account_type, security_id, exchange_segment, bo_profit_value, bo_stop_loss_value, entry_leg_id, target_leg_id, sl_leg_id, status, created_at) AS
SELECT o.id AS parent_order_id, o.account_type, o.security_id, o.exchange_segment, o.bo_profit_value, o.bo_stop_loss_value, (SELECT leg_entry.leg_order_id 
FROM bracket_order_legs AS leg_entry 
WHERE leg_entry.parent_order_id = o.id AND leg_entry.account_type = o.account_type AND leg_entry.leg_type = 'ENTRY' ORDER BY leg_entry.created_at DESC, leg_entry.id DESC
 LIMIT 1 OFFSET 0) AS entry_leg_id, (SELECT leg_target.leg_order_id 
FROM bracket_order_legs AS leg_target 
WHERE leg_target.parent_order_id = o.id AND leg_target.account_type = o.account_type AND leg_target.leg_type = 'TARGET' ORDER BY leg_target.created_at DESC, leg_target.id DESC
 LIMIT 1 OFFSET 0) AS target_leg_id, (SELECT leg_sl.leg_order_id 
FROM bracket_order_legs AS leg_sl 
WHERE leg_sl.parent_order_id = o.id AND leg_sl.account_type = o.account_type AND leg_sl.leg_type = 'SL' ORDER BY leg_sl.created_at DESC, leg_sl.id DESC
 LIMIT 1 OFFSET 0) AS sl_leg_id, o.status, o.created_at 
FROM orders AS o 
WHERE (o.bo_profit_value IS NOT NULL OR o.bo_stop_loss_value IS NOT NULL) AND ((upper(o.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED')) OR (upper(o.status) NOT IN ('REJECTED', 'CLOSED')) AND ((EXISTS (SELECT * 
FROM bracket_order_legs AS l LEFT OUTER JOIN orders AS lo ON lo.id = l.leg_order_id AND lo.id != o.id 
WHERE l.parent_order_id = o.id AND l.account_type = o.account_type AND l.leg_type IN ('TARGET', 'SL') AND (upper(coalesce(lo.status, l.status, '')) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED')))) OR (EXISTS (SELECT * 
FROM orders AS child 
WHERE child.parent_order_id = o.id AND child.leg_type IN ('TARGET', 'SL') AND (upper(child.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED')))))) ORDER BY o.created_at DESC;

CREATE VIEW v_cover_orders (id, account_type, correlation_id, status, order_status, side, product, order_type, validity, security_id, exchange_segment, trading_symbol, quantity, disclosed_qty, price, trigger_price, traded_qty, remaining_qty, avg_price, co_stop_loss_value, co_trigger_price, bo_profit_value, bo_stop_loss_value, bo_order_type, parent_order_id, leg_type, is_sliced_order, slice_order_id, slice_index, total_slice_quantity, after_market_order, amo_time, exchange_order_id, exchange_time, algo_id, drv_expiry_date, drv_option_type, drv_strike_price, oms_error_code, oms_error_description, created_at, updated_at, completed_at, raw_request, raw_response) AS
SELECT o.id, o.account_type, o.correlation_id, o.status, o.order_status, o.side, o.product, o.order_type, o.validity, o.security_id, o.exchange_segment, o.trading_symbol, o.quantity, o.disclosed_qty, o.price, o.trigger_price, o.traded_qty, o.remaining_qty, o.avg_price, o.co_stop_loss_value, o.co_trigger_price, o.bo_profit_value, o.bo_stop_loss_value, o.bo_order_type, o.parent_order_id, o.leg_type, o.is_sliced_order, o.slice_order_id, o.slice_index, o.total_slice_quantity, o.after_market_order, o.amo_time, o.exchange_order_id, o.exchange_time, o.algo_id, o.drv_expiry_date, o.drv_option_type, o.drv_strike_price, o.oms_error_code, o.oms_error_description, o.created_at, o.updated_at, o.completed_at, o.raw_request, o.raw_response 
FROM orders AS o 
WHERE o.co_stop_loss_value IS NOT NULL ORDER BY o.created_at DESC;

CREATE VIEW v_recent_trades (id, order_id, account_type, exchange_order_id, exchange_trade_id, security_id, exchange_segment, trading_symbol, side, product, order_type, quantity, price, trade_value, brokerage, exchange_charges, clearing_charges, stt, stamp_duty, transaction_charges, gst, total_charges, net_amount, trade_ts, created_at, updated_at, exchange_time, drv_expiry_date, drv_option_type, drv_strike_price, raw_data, order_status, order_product, net_price) AS
SELECT t.id, t.order_id, t.account_type, t.exchange_order_id, t.exchange_trade_id, t.security_id, t.exchange_segment, t.trading_symbol, t.side, t.product, t.order_type, t.quantity, t.price, t.trade_value, t.brokerage, t.exchange_charges, t.clearing_charges, t.stt, t.stamp_duty, t.transaction_charges, t.gst, t.total_charges, t.net_amount, t.trade_ts, t.created_at, t.updated_at, t.exchange_time, t.drv_expiry_date, t.drv_option_type, t.drv_strike_price, t.raw_data, o.status AS order_status, o.product AS order_product, t.price + (CASE WHEN (t.side = 'BUY') THEN 1.0 ELSE -1.0 END * coalesce(nullif(t.total_charges, 0.0), 0.0 + coalesce(t.brokerage, 0.0) + coalesce(t.exchange_charges, 0.0) + coalesce(t.clearing_charges, 0.0) + coalesce(t.stt, 0.0) + coalesce(t.stamp_duty, 0.0) + coalesce(t.transaction_charges, 0.0) + coalesce(t.gst, 0.0))) / (t.quantity + 0.0) AS net_price 
FROM trades AS t LEFT OUTER JOIN orders AS o ON o.id = t.order_id ORDER BY t.trade_ts DESC, t.id DESC
 LIMIT 100 OFFSET 0;

CREATE VIEW v_active_websocket_connections (id, account_type, connection_id, ws_url, status, subscribed_events, connect_attempts, last_heartbeat_at, connected_at, disconnected_at, created_at, updated_at, seconds_since_heartbeat) AS
SELECT w.id, w.account_type, w.connection_id, w.ws_url, w.status, w.subscribed_events, w.connect_attempts, w.last_heartbeat_at, w.connected_at, w.disconnected_at, w.created_at, w.updated_at, CAST(strftime('%s', 'now') AS INTEGER) - coalesce(w.last_heartbeat_at, w.connected_at, w.created_at) AS seconds_since_heartbeat 
FROM websocket_connections AS w 
WHERE w.status = 'CONNECTED' AND w.superseded = 0 ORDER BY w.connected_at DESC;

CREATE VIEW v_recent_errors (error_type, severity, error_count, last_occurred, affected_accounts) AS
SELECT e.error_type, e.severity, count(*) AS error_count, max(e.occurred_at) AS last_occurred, group_concat(DISTINCT e.account_type) AS affected_accounts 
FROM error_log AS e 
WHERE e.occurred_at > CAST(strftime('%s', 'now') AS INTEGER) - 86400 GROUP BY e.error_type, e.severity ORDER BY max(e.occurred_at) DESC;

CREATE VIEW v_sliced_orders (slice_order_id, slice_count, total_quantity, original_quantity, security_id, exchange_segment, side, product, order_type, first_order_time, last_order_time, order_details, executed_count, pending_count, failed_count) AS
SELECT o.slice_order_id, count(*) AS slice_count, sum(o.quantity) AS total_quantity, max(o.total_slice_quantity) AS original_quantity, min(o.security_id) AS security_id, min(o.exchange_segment) AS exchange_segment, min(o.side) AS side, min(o.product) AS product, min(o.order_type) AS order_type, min(o.created_at) AS first_order_time, max(o.created_at) AS last_order_time, group_concat(o.id || ':' || CAST(o.quantity AS TEXT)) AS order_details, sum(CASE WHEN (upper(o.status) IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED') AND (upper(o.status) NOT IN ('CANCELLED', 'REJECTED', 'EXPIRED'))) THEN 1 ELSE 0 END) AS executed_count, sum(CASE WHEN ((upper(o.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED'))) THEN 1 ELSE 0 END) AS pending_count, sum(CASE WHEN (upper(o.status) IN ('CANCELLED', 'REJECTED', 'EXPIRED')) THEN 1 ELSE 0 END) AS failed_count 
FROM orders AS o 
WHERE o.is_sliced_order = 1 GROUP BY o.slice_order_id;

CREATE VIEW v3_v_active_orders (id, account_type, correlation_id, status, order_status, side, product, order_type, validity, security_id, exchange_segment, trading_symbol, quantity, disclosed_qty, price, trigger_price, traded_qty, remaining_qty, avg_price, co_stop_loss_value, co_trigger_price, bo_profit_value, bo_stop_loss_value, bo_order_type, parent_order_id, leg_type, is_sliced_order, slice_order_id, slice_index, total_slice_quantity, after_market_order, amo_time, exchange_order_id, exchange_time, algo_id, drv_expiry_date, drv_option_type, drv_strike_price, oms_error_code, oms_error_description, created_at, updated_at, completed_at, raw_request, raw_response, follower_order_id, sizing_strategy) AS
SELECT o.id, o.account_type, o.correlation_id, o.status, o.order_status, o.side, o.product, o.order_type, o.validity, o.security_id, o.exchange_segment, o.trading_symbol, o.quantity, o.disclosed_qty, o.price, o.trigger_price, o.traded_qty, o.remaining_qty, o.avg_price, o.co_stop_loss_value, o.co_trigger_price, o.bo_profit_value, o.bo_stop_loss_value, o.bo_order_type, o.parent_order_id, o.leg_type, o.is_sliced_order, o.slice_order_id, o.slice_index, o.total_slice_quantity, o.after_market_order, o.amo_time, o.exchange_order_id, o.exchange_time, o.algo_id, o.drv_expiry_date, o.drv_option_type, o.drv_strike_price, o.oms_error_code, o.oms_error_description, o.created_at, o.updated_at, o.completed_at, o.raw_request, o.raw_response, m.follower_order_id, m.sizing_strategy 
FROM orders AS o LEFT OUTER JOIN copy_mappings AS m ON m.leader_order_id = o.id 
WHERE o.status IN ('PENDING', 'TRANSIT', 'OPEN', 'PARTIAL') ORDER BY o.created_at DESC;

CREATE VIEW v3_v_latest_positions (snapshot_ts, account_type, security_id, exchange_segment, product, position_type, buy_qty, sell_qty, net_qty, buy_avg, sell_avg, realized_pl, unrealized_pl, total_pl, ltp, close_price, multiplier, margin_required, raw_data) AS
SELECT ranked.snapshot_ts, ranked.account_type, ranked.security_id, ranked.exchange_segment, ranked.product, ranked.position_type, ranked.buy_qty, ranked.sell_qty, ranked.net_qty, ranked.buy_avg, ranked.sell_avg, ranked.realized_pl, ranked.unrealized_pl, ranked.total_pl, ranked.ltp, ranked.close_price, ranked.multiplier, ranked.margin_required, ranked.raw_data 
FROM (SELECT positions.snapshot_ts AS snapshot_ts, positions.account_type AS account_type, positions.security_id AS security_id, positions.exchange_segment AS exchange_segment, positions.product AS product, positions.position_type AS position_type, positions.buy_qty AS buy_qty, positions.sell_qty AS sell_qty, positions.net_qty AS net_qty, positions.buy_avg AS buy_avg, positions.sell_avg AS sell_avg, positions.realized_pl AS realized_pl, positions.unrealized_pl AS unrealized_pl, positions.total_pl AS total_pl, positions.ltp AS ltp, positions.close_price AS close_price, positions.multiplier AS multiplier, positions.margin_required AS margin_required, positions.raw_data AS raw_data, positions.snapshot_id AS snapshot_id, row_number() OVER (PARTITION BY positions.account_type, positions.security_id, positions.exchange_segment, positions.product ORDER BY positions.snapshot_ts DESC, positions.snapshot_id DESC) AS place 
FROM positions) AS ranked 
WHERE ranked.place = 1;

CREATE VIEW v3_v_latest_holdings (snapshot_ts, account_type, security_id, exchange_segment, trading_symbol, isin, total_qty, dpqty, t1qty, available_qty, collateral_qty, collateral_update_qty, avg_cost_price, ltp, realized_pl, unrealized_pl, raw_data) AS
SELECT ranked.snapshot_ts, ranked.account_type, ranked.security_id, ranked.exchange_segment, ranked.trading_symbol, ranked.isin, ranked.total_qty, ranked.dpqty, ranked.t1qty, ranked.available_qty, ranked.collateral_qty, ranked.collateral_update_qty, ranked.avg_cost_price, ranked.ltp, ranked.realized_pl, ranked.unrealized_pl, ranked.raw_data 
FROM (SELECT holdings.snapshot_ts AS snapshot_ts, holdings.account_type AS account_type, holdings.security_id AS security_id, holdings.exchange_segment AS exchange_segment, holdings.trading_symbol AS trading_symbol, holdings.isin AS isin, holdings.total_qty AS total_qty, holdings.dpqty AS dpqty, holdings.t1qty AS t1qty, holdings.available_qty AS available_qty, holdings.collateral_qty AS collateral_qty, holdings.collateral_update_qty AS collateral_update_qty, holdings.avg_cost_price AS avg_cost_price, holdings.ltp AS ltp, holdings.realized_pl AS realized_pl, holdings.unrealized_pl AS unrealized_pl, holdings.raw_data AS raw_data, holdings.snapshot_id AS snapshot_id, row_number() OVER (PARTITION BY holdings.account_type, holdings.security_id ORDER BY holdings.snapshot_ts DESC, holdings.snapshot_id DESC) AS place 
FROM holdings) AS ranked 
WHERE ranked.place = 1;

CREATE VIEW v3_v_active_forever_orders (id, account_type, correlation_id, status, order_type, security_id, exchange_segment, trading_symbol, trigger_type, trigger_price_above, trigger_price_below, transaction_type, product, order_type_after_trigger, quantity, price, disclosed_qty, validity, oco_leg_id, created_at, updated_at, triggered_at, expires_at, triggered_order_id, raw_request, raw_response, replicated_forever_order_id) AS
SELECT f.id, f.account_type, f.correlation_id, f.status, f.order_type, f.security_id, f.exchange_segment, f.trading_symbol, f.trigger_type, f.trigger_price_above, f.trigger_price_below, f.transaction_type, f.product, f.order_type_after_trigger, f.quantity, f.price, f.disclosed_qty, f.validity, f.oco_leg_id, f.created_at, f.updated_at, f.triggered_at, f.expires_at, f.triggered_order_id, f.raw_request, f.raw_response, m.follower_order_id AS replicated_forever_order_id 
FROM forever_orders AS f LEFT OUTER JOIN copy_mappings AS m ON m.leader_order_id = f.id 
WHERE f.status IN ('PENDING', 'ACTIVE') ORDER BY f.created_at DESC;

CREATE VIEW v3_v_active_bracket_orders (parent_order_id, account_type, security_id, exchange_segment, bo_profit_value, bo_stop_loss_value, entry_leg_id, target_leg_id, sl_leg_id, status, created_at) AS
SELECT o.id AS parent_order_id, o.account_type, o.security_id, o.exchange_segment, o.bo_profit_value, o.bo_stop_loss_value, (SELECT leg_entry.leg_order_id 
FROM bracket_order_legs AS leg_entry 
WHERE leg_entry.parent_order_id = o.id AND leg_entry.account_type = o.account_type AND leg_entry.leg_type = 'ENTRY' ORDER BY leg_entry.created_at, leg_entry.id
 LIMIT 1 OFFSET 0) AS entry_leg_id, (SELECT leg_target.leg_order_id 
FROM bracket_order_legs AS leg_target 
WHERE leg_target.parent_order_id = o.id AND leg_target.account_type = o.account_type AND leg_target.leg_type = 'TARGET' ORDER BY leg_target.created_at, leg_target.id
 LIMIT 1 OFFSET 0) AS target_leg_id, (SELECT leg_sl.leg_order_id 
FROM bracket_order_legs AS leg_sl 
WHERE leg_sl.parent_order_id = o.id AND leg_sl.account_type = o.account_type AND leg_sl.leg_type = 'SL' ORDER BY leg_sl.created_at, leg_sl.id
 LIMIT 1 OFFSET 0) AS sl_leg_id, o.status, o.created_at 
FROM orders AS o 
WHERE (o.bo_profit_value IS NOT NULL OR o.bo_stop_loss_value IS NOT NULL) AND o.status IN ('PENDING', 'TRANSIT', 'OPEN', 'PARTIAL') ORDER BY o.created_at DESC;

CREATE VIEW v3_v_recent_trades (id, order_id, account_type, exchange_order_id, exchange_trade_id, security_id, exchange_segment, trading_symbol, side, product, order_type, quantity, price, trade_value, brokerage, exchange_charges, clearing_charges, stt, stamp_duty, transaction_charges, gst, total_charges, net_amount, trade_ts, created_at, updated_at, exchange_time, drv_expiry_date, drv_option_type, drv_strike_price, raw_data, order_status, "product:1", net_price) AS
SELECT t.id, t.order_id, t.account_type, t.exchange_order_id, t.exchange_trade_id, t.security_id, t.exchange_segment, t.trading_symbol, t.side, t.product, t.order_type, t.quantity, t.price, t.trade_value, t.brokerage, t.exchange_charges, t.clearing_charges, t.stt, t.stamp_duty, t.transaction_charges, t.gst, t.total_charges, t.net_amount, t.trade_ts, t.created_at, t.updated_at, t.exchange_time, t.drv_expiry_date, t.drv_option_type, t.drv_strike_price, t.raw_data, o.status AS order_status, o.product AS "product:1", (t.price - t.brokerage) - t.total_charges AS net_price 
FROM trades AS t LEFT OUTER JOIN orders AS o ON o.id = t.order_id ORDER BY t.trade_ts DESC, t.id DESC
 LIMIT 100 OFFSET 0;

CREATE VIEW v3_v_active_websocket_connections (id, account_type, connection_id, ws_url, status, subscribed_events, connect_attempts, last_heartbeat_at, connected_at, disconnected_at, created_at, updated_at, seconds_since_heartbeat) AS
SELECT w.id, w.account_type, w.connection_id, w.ws_url, w.status, w.subscribed_events, w.connect_attempts, w.last_heartbeat_at, w.connected_at, w.disconnected_at, w.created_at, w.updated_at, CAST(strftime('%s', 'now') AS INTEGER) - w.last_heartbeat_at AS seconds_since_heartbeat 
FROM websocket_connections AS w 
WHERE w.status = 'CONNECTED' AND w.superseded = 0 ORDER BY w.connected_at DESC;

CREATE VIEW v3_v_sliced_orders (slice_order_id, slice_count, total_quantity, original_quantity, security_id, exchange_segment, side, product, order_type, first_order_time, last_order_time, order_details, executed_count, pending_count, failed_count) AS
SELECT o.slice_order_id, count(*) AS slice_count, sum(o.quantity) AS total_quantity, max(o.total_slice_quantity) AS original_quantity, min(o.security_id) AS security_id, min(o.exchange_segment) AS exchange_segment, min(o.side) AS side, min(o.product) AS product, min(o.order_type) AS order_type, min(o.created_at) AS first_order_time, max(o.created_at) AS last_order_time, group_concat(o.id || ':' || CAST(o.quantity AS TEXT)) AS order_details, sum(CASE WHEN (o.status = 'EXECUTED') THEN 1 ELSE 0 END) AS executed_count, sum(CASE WHEN (o.status IN ('PENDING', 'TRANSIT', 'OPEN')) THEN 1 ELSE 0 END) AS pending_count, sum(CASE WHEN (o.status IN ('CANCELLED', 'REJECTED')) THEN 1 ELSE 0 END) AS failed_count 
FROM orders AS o 
WHERE o.is_sliced_order = 1 GROUP BY o.slice_order_id;

