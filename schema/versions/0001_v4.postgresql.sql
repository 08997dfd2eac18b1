-- The schema of riskguard, version 4, as PostgreSQL statements.
-- Generated from riskguard/store/tables, triggers and views.py: `python -m riskguard.store.snapshot`.
-- A statement ends with a semicolon at a line's end, outside $body$ … $body$.

CREATE TABLE account_heads (
    account TEXT NOT NULL,
    sequence BIGINT DEFAULT 0 NOT NULL,
    last_hash TEXT DEFAULT '' NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    version BIGINT DEFAULT 0 NOT NULL,
    generation BIGINT DEFAULT 0 NOT NULL,
    controls BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_account_heads PRIMARY KEY (account),
    CONSTRAINT ck_account_heads_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_account_heads_sequence CHECK (sequence >= 0),
    CONSTRAINT ck_account_heads_epoch CHECK (epoch >= 0),
    CONSTRAINT ck_account_heads_version CHECK (version >= 0),
    CONSTRAINT ck_account_heads_generation CHECK (generation >= 0)
);

CREATE TABLE accounts (
    account TEXT NOT NULL,
    role TEXT NOT NULL,
    group_name TEXT DEFAULT '' NOT NULL,
    broker TEXT DEFAULT '' NOT NULL,
    created_at_us BIGINT NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (account),
    CONSTRAINT ck_accounts_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_accounts_role CHECK (trim(role) != ''),
    CONSTRAINT ck_accounts_created_at_us CHECK (created_at_us >= 100000000000000)
);

CREATE TABLE adopted_files (
    digest TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_adopted_files PRIMARY KEY (digest),
    CONSTRAINT ck_adopted_files_at_us CHECK (at_us >= 100000000000000)
);

CREATE TABLE alert_channels (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    argv TEXT DEFAULT '[]' NOT NULL,
    least TEXT DEFAULT 'info' NOT NULL,
    timeout_ms BIGINT DEFAULT 10000 NOT NULL,
    created_at_us BIGINT NOT NULL,
    CONSTRAINT pk_alert_channels PRIMARY KEY (name),
    CONSTRAINT ck_alert_channels_name CHECK (trim(name) != ''),
    CONSTRAINT ck_alert_channels_kind CHECK (kind IN ('command', 'apprise')),
    CONSTRAINT ck_alert_channels_least CHECK (least IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_alert_channels_timeout_ms CHECK (timeout_ms >= 100),
    CONSTRAINT ck_alert_channels_created_at_us CHECK (created_at_us >= 100000000000000)
);

CREATE TABLE alert_deliveries (
    id BIGSERIAL NOT NULL,
    alert_id BIGINT NOT NULL,
    part BIGINT NOT NULL,
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT DEFAULT 'WAITING' NOT NULL,
    attempts BIGINT DEFAULT 0 NOT NULL,
    token BIGINT DEFAULT 0 NOT NULL,
    next_at_us BIGINT NOT NULL,
    sent_at_us BIGINT,
    last_error TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_alert_deliveries PRIMARY KEY (id),
    CONSTRAINT ck_alert_deliveries_part CHECK (part >= 1),
    CONSTRAINT ck_alert_deliveries_channel CHECK (trim(channel) != ''),
    CONSTRAINT ck_alert_deliveries_state CHECK (state IN ('WAITING', 'SENDING', 'SENT', 'GIVEN_UP')),
    CONSTRAINT ck_alert_deliveries_attempts CHECK (attempts >= 0),
    CONSTRAINT ck_alert_deliveries_token CHECK (token >= 0),
    CONSTRAINT ck_alert_deliveries_next_at_us CHECK (next_at_us >= 100000000000000),
    CONSTRAINT ck_alert_deliveries_sent_at_us CHECK (sent_at_us >= 100000000000000),
    CONSTRAINT uq_alert_deliveries_alert_id_part_channel UNIQUE (alert_id, part, channel)
);

CREATE INDEX idx_alert_deliveries_channel ON alert_deliveries (channel, id);

CREATE INDEX idx_alert_deliveries_due ON alert_deliveries (channel, next_at_us) WHERE state IN ('WAITING', 'SENDING');

CREATE TABLE alerts (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    severity TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    dedupe_key TEXT NOT NULL,
    once TEXT,
    not_to TEXT DEFAULT '' NOT NULL,
    is_logged BIGINT DEFAULT 0 NOT NULL,
    queued_at_us BIGINT,
    came_again BIGINT DEFAULT 0 NOT NULL,
    untold BIGINT DEFAULT 0 NOT NULL,
    earlier BIGINT DEFAULT 0 NOT NULL,
    parts BIGINT DEFAULT 1 NOT NULL,
    said_at_us BIGINT NOT NULL,
    last_at_us BIGINT NOT NULL,
    CONSTRAINT pk_alerts PRIMARY KEY (id),
    CONSTRAINT ck_alerts_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_alerts_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_alerts_code CHECK (trim(code) != ''),
    CONSTRAINT ck_alerts_message CHECK (trim(message) != ''),
    CONSTRAINT ck_alerts_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_alerts_dedupe_key CHECK (trim(dedupe_key) != ''),
    CONSTRAINT ck_alerts_is_logged CHECK (is_logged IN (0, 1)),
    CONSTRAINT ck_alerts_queued_at_us CHECK (queued_at_us >= 100000000000000),
    CONSTRAINT ck_alerts_came_again CHECK (came_again >= 0),
    CONSTRAINT ck_alerts_untold CHECK (untold >= 0),
    CONSTRAINT ck_alerts_earlier CHECK (earlier >= 0),
    CONSTRAINT ck_alerts_parts CHECK (parts >= 1),
    CONSTRAINT ck_alerts_said_at_us CHECK (said_at_us >= 100000000000000),
    CONSTRAINT ck_alerts_last_at_us CHECK (last_at_us >= 100000000000000),
    CONSTRAINT uq_alerts_once UNIQUE (once)
);

CREATE INDEX idx_alerts_at ON alerts (at_us);

CREATE INDEX idx_alerts_key ON alerts (account, dedupe_key, id);

CREATE INDEX idx_alerts_open ON alerts (id) WHERE queued_at_us IS NULL;

CREATE INDEX idx_alerts_untold ON alerts (said_at_us) WHERE untold > 0;

CREATE TABLE audit_log (
    id BIGSERIAL NOT NULL,
    action TEXT NOT NULL,
    account_type TEXT NOT NULL,
    module TEXT,
    request_data TEXT,
    response_data TEXT,
    status_code BIGINT,
    error_message TEXT,
    duration_ms BIGINT,
    ts BIGINT NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id),
    CONSTRAINT ck_audit_log_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_audit_log_ts CHECK (ts < 100000000000)
);

CREATE INDEX idx_audit_account ON audit_log (account_type, ts);

CREATE INDEX idx_audit_action_ts ON audit_log (action, ts);

CREATE INDEX idx_audit_module ON audit_log (module, ts);

CREATE TABLE auth_tokens (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    access_token TEXT NOT NULL,
    token_type TEXT DEFAULT 'Bearer',
    expires_at BIGINT,
    refresh_token TEXT,
    scope TEXT,
    is_active BIGINT DEFAULT 1,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_auth_tokens PRIMARY KEY (id),
    CONSTRAINT ck_auth_tokens_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_auth_tokens_expires_at CHECK (expires_at < 100000000000),
    CONSTRAINT ck_auth_tokens_is_active CHECK (is_active IN (0, 1)),
    CONSTRAINT ck_auth_tokens_last_used_at CHECK (last_used_at < 100000000000),
    CONSTRAINT ck_auth_tokens_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_auth_tokens_updated_at CHECK (updated_at < 100000000000)
);

CREATE INDEX idx_auth_tokens_account ON auth_tokens (account_type, is_active);

CREATE INDEX idx_auth_tokens_expiry ON auth_tokens (expires_at);

CREATE UNIQUE INDEX uq_auth_tokens_active ON auth_tokens (account_type) WHERE is_active = 1;

CREATE TABLE backstops (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    state TEXT NOT NULL,
    loss_e4 BIGINT,
    products TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_backstops PRIMARY KEY (account, session_date),
    CONSTRAINT ck_backstops_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_backstops_state CHECK (state IN ('ARMED', 'REFUSED', 'UNKNOWN')),
    CONSTRAINT ck_backstops_at_us CHECK (at_us >= 100000000000000)
);

CREATE TABLE book_differences (
    account TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    product TEXT NOT NULL,
    session_date TEXT NOT NULL,
    ours BIGINT NOT NULL,
    theirs BIGINT NOT NULL,
    reads BIGINT DEFAULT 1 NOT NULL,
    first_at_us BIGINT NOT NULL,
    last_at_us BIGINT NOT NULL,
    CONSTRAINT pk_book_differences PRIMARY KEY (account, exchange_segment, security_id, product),
    CONSTRAINT ck_book_differences_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_book_differences_reads CHECK (reads >= 1),
    CONSTRAINT ck_book_differences_first_at_us CHECK (first_at_us >= 100000000000000),
    CONSTRAINT ck_book_differences_last_at_us CHECK (last_at_us >= 100000000000000)
);

CREATE TABLE bracket_order_legs (
    id BIGSERIAL NOT NULL,
    parent_order_id TEXT NOT NULL,
    leg_order_id TEXT NOT NULL,
    leg_type TEXT NOT NULL,
    account_type TEXT NOT NULL,
    status TEXT DEFAULT 'PENDING',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_bracket_order_legs PRIMARY KEY (id),
    CONSTRAINT ck_bracket_order_legs_leg_type CHECK (leg_type IN ('ENTRY', 'TARGET', 'SL')),
    CONSTRAINT ck_bracket_order_legs_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_bracket_order_legs_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_bracket_order_legs_updated_at CHECK (updated_at < 100000000000),
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
    amount_e4 BIGINT NOT NULL,
    particulars TEXT DEFAULT '' NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_cash_flows PRIMARY KEY (account, entry_id),
    CONSTRAINT ck_cash_flows_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_cash_flows_kind CHECK (kind IN ('DEPOSIT', 'PAYOUT')),
    CONSTRAINT ck_cash_flows_at_us CHECK (at_us >= 100000000000000)
);

CREATE INDEX idx_cash_flows_day ON cash_flows (account, session_date);

CREATE TABLE config (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    data_type TEXT DEFAULT 'string',
    category TEXT,
    description TEXT,
    is_sensitive BIGINT DEFAULT 0,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_config PRIMARY KEY (key),
    CONSTRAINT ck_config_key CHECK (trim(key) != ''),
    CONSTRAINT ck_config_data_type CHECK (data_type IN ('string', 'integer', 'boolean', 'json')),
    CONSTRAINT ck_config_is_sensitive CHECK (is_sensitive IN (0, 1)),
    CONSTRAINT ck_config_updated_at CHECK (updated_at < 100000000000)
);

CREATE INDEX idx_config_category ON config (category);

CREATE TABLE control_actions (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    os_user TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    kill_ids TEXT DEFAULT '' NOT NULL,
    at_us BIGINT NOT NULL,
    is_open BIGINT DEFAULT 1 NOT NULL,
    sequence BIGINT,
    CONSTRAINT pk_control_actions PRIMARY KEY (id),
    CONSTRAINT ck_control_actions_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_control_actions_kind CHECK (kind IN ('INIT', 'APPLY', 'RELEASE', 'OVERRIDE', 'SUPERSEDE')),
    CONSTRAINT ck_control_actions_by_whom CHECK (trim(by_whom) != ''),
    CONSTRAINT ck_control_actions_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_control_actions_is_open CHECK (is_open IN (0, 1))
);

CREATE INDEX idx_control_actions_kind ON control_actions (account, kind, sequence);

CREATE UNIQUE INDEX uq_control_actions_open ON control_actions (account) WHERE is_open = 1;

CREATE TABLE control_changes (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    what TEXT NOT NULL,
    control_id BIGINT,
    control_type TEXT NOT NULL,
    limit_id TEXT DEFAULT '' NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    old_values TEXT,
    new_values TEXT,
    is_adopted BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_control_changes PRIMARY KEY (id),
    CONSTRAINT ck_control_changes_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_control_changes_what CHECK (trim(what) != ''),
    CONSTRAINT ck_control_changes_is_adopted CHECK (is_adopted IN (0, 1))
);

CREATE INDEX idx_control_changes_open ON control_changes (account) WHERE is_adopted = 0;

CREATE TABLE copy_mappings (
    id BIGSERIAL NOT NULL,
    leader_order_id TEXT NOT NULL,
    follower_order_id TEXT,
    leader_quantity BIGINT NOT NULL,
    follower_quantity BIGINT NOT NULL,
    sizing_strategy TEXT,
    capital_ratio DOUBLE PRECISION,
    status TEXT NOT NULL,
    error_message TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    follower_account TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_copy_mappings PRIMARY KEY (id),
    CONSTRAINT ck_copy_mappings_leader_quantity CHECK (leader_quantity >= 0),
    CONSTRAINT ck_copy_mappings_follower_quantity CHECK (follower_quantity >= 0),
    CONSTRAINT ck_copy_mappings_capital_ratio CHECK (abs(capital_ratio) < 900000000000000),
    CONSTRAINT ck_copy_mappings_status CHECK (status IN ('pending', 'placed', 'failed', 'cancelled')),
    CONSTRAINT ck_copy_mappings_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_copy_mappings_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT uq_copy_mappings_leader_order_id_follower_account UNIQUE (leader_order_id, follower_account),
    CONSTRAINT uq_copy_mappings_follower_order_id UNIQUE (follower_order_id)
);

CREATE INDEX idx_copy_mappings_status ON copy_mappings (status, created_at);

CREATE TABLE day_baselines (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    source TEXT NOT NULL,
    opening_equity_e4 BIGINT,
    adjustment_e4 BIGINT DEFAULT 0 NOT NULL,
    by_whom TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_day_baselines PRIMARY KEY (account, session_date),
    CONSTRAINT ck_day_baselines_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_baselines_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_day_baselines_source CHECK (trim(source) != '')
);

CREATE TABLE day_books (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    product TEXT NOT NULL,
    start_quantity BIGINT DEFAULT 0 NOT NULL,
    previous_close_e4 BIGINT,
    filled_quantity BIGINT DEFAULT 0 NOT NULL,
    bought BIGINT DEFAULT 0 NOT NULL,
    sold BIGINT DEFAULT 0 NOT NULL,
    buy_value_e4 BIGINT DEFAULT 0 NOT NULL,
    sell_value_e4 BIGINT DEFAULT 0 NOT NULL,
    fills BIGINT DEFAULT 0 NOT NULL,
    last_fill_us BIGINT,
    base_proven BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_day_books PRIMARY KEY (account, session_date, exchange_segment, security_id, product),
    CONSTRAINT ck_day_books_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_books_bought CHECK (bought >= 0),
    CONSTRAINT ck_day_books_sold CHECK (sold >= 0),
    CONSTRAINT ck_day_books_fills CHECK (fills >= 0),
    CONSTRAINT ck_day_books_last_fill_us CHECK (last_fill_us >= 100000000000000),
    CONSTRAINT ck_day_books_base_proven CHECK (base_proven IN (0, 1))
);

CREATE INDEX idx_day_books_open ON day_books (account, session_date) WHERE start_quantity + filled_quantity <> 0;

CREATE TABLE day_charges (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    fills BIGINT NOT NULL,
    turnover_e4 BIGINT NOT NULL,
    total_e4 BIGINT NOT NULL,
    brokerage_e4 BIGINT NOT NULL,
    exchange_txn_e4 BIGINT NOT NULL,
    sebi_e4 BIGINT NOT NULL,
    ipft_e4 BIGINT NOT NULL,
    stt_e4 BIGINT NOT NULL,
    stamp_e4 BIGINT NOT NULL,
    gst_e4 BIGINT NOT NULL,
    dp_e4 BIGINT DEFAULT 0 NOT NULL,
    is_known BIGINT NOT NULL,
    doubts TEXT DEFAULT '[]' NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_day_charges PRIMARY KEY (account, session_date, exchange_segment),
    CONSTRAINT ck_day_charges_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_day_charges_fills CHECK (fills >= 0),
    CONSTRAINT ck_day_charges_is_known CHECK (is_known IN (0, 1)),
    CONSTRAINT ck_day_charges_at_us CHECK (at_us >= 100000000000000)
);

CREATE TABLE decisions (
    account TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    client_order_id TEXT,
    kind TEXT NOT NULL,
    approved BIGINT NOT NULL,
    strategy TEXT DEFAULT '' NOT NULL,
    decided_at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    mac TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (account, sequence),
    CONSTRAINT ck_decisions_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_decisions_sequence CHECK (sequence >= 1),
    CONSTRAINT ck_decisions_kind CHECK (kind IN ('ORDER', 'KILL', 'RELEASE', 'APPLY', 'INIT', 'STATE', 'ADOPTED', 'OVERRIDE', 'BASELINE', 'MODIFY')),
    CONSTRAINT ck_decisions_approved CHECK (approved IN (0, 1)),
    CONSTRAINT ck_decisions_decided_at_us CHECK (decided_at_us >= 100000000000000)
);

CREATE UNIQUE INDEX uq_decisions_client_order_id ON decisions (account, client_order_id) WHERE client_order_id IS NOT NULL;

CREATE TABLE edis_transactions (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    isin TEXT NOT NULL,
    qty BIGINT NOT NULL,
    exchange TEXT NOT NULL,
    segment TEXT NOT NULL,
    bulk BIGINT DEFAULT 0,
    tpin TEXT,
    status TEXT NOT NULL,
    request_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    authorized_at BIGINT,
    expires_at BIGINT,
    raw_request TEXT,
    raw_response TEXT,
    error_message TEXT,
    CONSTRAINT pk_edis_transactions PRIMARY KEY (id),
    CONSTRAINT ck_edis_transactions_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_edis_transactions_qty CHECK (qty >= 1),
    CONSTRAINT ck_edis_transactions_status CHECK (trim(status) != ''),
    CONSTRAINT ck_edis_transactions_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_edis_transactions_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_edis_transactions_authorized_at CHECK (authorized_at < 100000000000),
    CONSTRAINT ck_edis_transactions_expires_at CHECK (expires_at < 100000000000)
);

CREATE INDEX idx_edis_account ON edis_transactions (account_type, status);

CREATE INDEX idx_edis_isin ON edis_transactions (isin);

CREATE INDEX idx_edis_request ON edis_transactions (request_id);

CREATE TABLE error_log (
    id BIGSERIAL NOT NULL,
    error_type TEXT NOT NULL,
    error_code TEXT,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    context TEXT,
    severity TEXT DEFAULT 'ERROR',
    account_type TEXT,
    order_id TEXT,
    occurred_at BIGINT NOT NULL,
    CONSTRAINT pk_error_log PRIMARY KEY (id),
    CONSTRAINT ck_error_log_severity CHECK (severity IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
    CONSTRAINT ck_error_log_occurred_at CHECK (occurred_at < 100000000000)
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
    trigger_price_above DOUBLE PRECISION,
    trigger_price_below DOUBLE PRECISION,
    transaction_type TEXT NOT NULL,
    product TEXT NOT NULL,
    order_type_after_trigger TEXT,
    quantity BIGINT NOT NULL,
    price DOUBLE PRECISION,
    disclosed_qty BIGINT,
    validity TEXT DEFAULT 'DAY',
    oco_leg_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    triggered_at BIGINT,
    expires_at BIGINT,
    triggered_order_id TEXT,
    raw_request TEXT,
    raw_response TEXT,
    leg_name TEXT,
    trigger_price DOUBLE PRECISION,
    price1 DOUBLE PRECISION,
    trigger_price1 DOUBLE PRECISION,
    quantity1 BIGINT,
    CONSTRAINT pk_forever_orders PRIMARY KEY (id),
    CONSTRAINT ck_forever_orders_id CHECK (trim(id) != ''),
    CONSTRAINT ck_forever_orders_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_forever_orders_status CHECK (trim(status) != ''),
    CONSTRAINT ck_forever_orders_order_type CHECK (order_type IN ('SINGLE', 'OCO')),
    CONSTRAINT ck_forever_orders_trigger_price_above CHECK (abs(trigger_price_above) < 900000000000000),
    CONSTRAINT ck_forever_orders_trigger_price_below CHECK (abs(trigger_price_below) < 900000000000000),
    CONSTRAINT ck_forever_orders_transaction_type CHECK (transaction_type IN ('BUY', 'SELL')),
    CONSTRAINT ck_forever_orders_quantity CHECK (quantity >= 1),
    CONSTRAINT ck_forever_orders_price CHECK (abs(price) < 900000000000000),
    CONSTRAINT ck_forever_orders_disclosed_qty CHECK (disclosed_qty >= 0),
    CONSTRAINT ck_forever_orders_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_forever_orders_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_forever_orders_triggered_at CHECK (triggered_at < 100000000000),
    CONSTRAINT ck_forever_orders_expires_at CHECK (expires_at < 100000000000),
    CONSTRAINT ck_forever_orders_trigger_price CHECK (abs(trigger_price) < 900000000000000),
    CONSTRAINT ck_forever_orders_price1 CHECK (abs(price1) < 900000000000000),
    CONSTRAINT ck_forever_orders_trigger_price1 CHECK (abs(trigger_price1) < 900000000000000),
    CONSTRAINT ck_forever_orders_quantity1 CHECK (quantity1 >= 0)
);

CREATE INDEX idx_forever_orders_account ON forever_orders (account_type, status);

CREATE INDEX idx_forever_orders_correlation ON forever_orders (correlation_id);

CREATE INDEX idx_forever_orders_security ON forever_orders (security_id, exchange_segment);

CREATE INDEX idx_forever_orders_status ON forever_orders (status);

CREATE TABLE funds (
    snapshot_ts BIGINT NOT NULL,
    account_type TEXT NOT NULL,
    available_balance DOUBLE PRECISION NOT NULL,
    "sodLimit" DOUBLE PRECISION,
    collateral DOUBLE PRECISION,
    margin_used DOUBLE PRECISION,
    margin_available DOUBLE PRECISION,
    withdrawable_balance DOUBLE PRECISION,
    blocked_margin DOUBLE PRECISION,
    raw_data TEXT,
    snapshot_id BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_funds PRIMARY KEY (snapshot_ts, account_type, snapshot_id),
    CONSTRAINT ck_funds_snapshot_ts CHECK (snapshot_ts < 100000000000),
    CONSTRAINT ck_funds_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_funds_available_balance CHECK (abs(available_balance) < 900000000000000),
    CONSTRAINT "ck_funds_sodLimit" CHECK (abs("sodLimit") < 900000000000000),
    CONSTRAINT ck_funds_collateral CHECK (abs(collateral) < 900000000000000),
    CONSTRAINT ck_funds_margin_used CHECK (abs(margin_used) < 900000000000000),
    CONSTRAINT ck_funds_margin_available CHECK (abs(margin_available) < 900000000000000),
    CONSTRAINT ck_funds_withdrawable_balance CHECK (abs(withdrawable_balance) < 900000000000000),
    CONSTRAINT ck_funds_blocked_margin CHECK (abs(blocked_margin) < 900000000000000),
    CONSTRAINT ck_funds_snapshot_id CHECK (snapshot_id >= 0)
);

CREATE INDEX idx_funds_account_ts ON funds (account_type, snapshot_ts);

CREATE INDEX idx_funds_snapshot ON funds (snapshot_id, account_type, snapshot_ts);

CREATE TABLE holdings (
    snapshot_ts BIGINT NOT NULL,
    account_type TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    trading_symbol TEXT,
    isin TEXT,
    total_qty BIGINT NOT NULL,
    dpqty BIGINT DEFAULT 0,
    t1qty BIGINT DEFAULT 0,
    available_qty BIGINT NOT NULL,
    collateral_qty BIGINT DEFAULT 0,
    collateral_update_qty BIGINT DEFAULT 0,
    avg_cost_price DOUBLE PRECISION,
    ltp DOUBLE PRECISION,
    realized_pl DOUBLE PRECISION DEFAULT 0,
    unrealized_pl DOUBLE PRECISION DEFAULT 0,
    raw_data TEXT,
    snapshot_id BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_holdings PRIMARY KEY (snapshot_ts, account_type, security_id, exchange_segment, snapshot_id),
    CONSTRAINT ck_holdings_snapshot_ts CHECK (snapshot_ts < 100000000000),
    CONSTRAINT ck_holdings_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_holdings_total_qty CHECK (total_qty >= 0),
    CONSTRAINT ck_holdings_avg_cost_price CHECK (abs(avg_cost_price) < 900000000000000),
    CONSTRAINT ck_holdings_ltp CHECK (abs(ltp) < 900000000000000),
    CONSTRAINT ck_holdings_realized_pl CHECK (abs(realized_pl) < 900000000000000),
    CONSTRAINT ck_holdings_unrealized_pl CHECK (abs(unrealized_pl) < 900000000000000),
    CONSTRAINT ck_holdings_snapshot_id CHECK (snapshot_id >= 0)
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
    strike_price DOUBLE PRECISION,
    option_type TEXT,
    lot_size BIGINT NOT NULL,
    tick_size DOUBLE PRECISION NOT NULL,
    underlying_security_id TEXT,
    isin TEXT,
    meta TEXT,
    updated_at BIGINT NOT NULL,
    multiplier BIGINT,
    freeze_quantity BIGINT,
    series TEXT,
    underlying_symbol TEXT,
    lower_band DOUBLE PRECISION,
    upper_band DOUBLE PRECISION,
    band_date TEXT,
    CONSTRAINT pk_instruments PRIMARY KEY (security_id, exchange_segment),
    CONSTRAINT ck_instruments_security_id CHECK (trim(security_id) != ''),
    CONSTRAINT ck_instruments_strike_price CHECK (abs(strike_price) < 900000000000000),
    CONSTRAINT ck_instruments_lot_size CHECK (lot_size >= 0),
    CONSTRAINT ck_instruments_tick_size CHECK (abs(tick_size) < 900000000000000),
    CONSTRAINT ck_instruments_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_instruments_multiplier CHECK (multiplier >= 1),
    CONSTRAINT ck_instruments_freeze_quantity CHECK (freeze_quantity >= 0),
    CONSTRAINT ck_instruments_lower_band CHECK (abs(lower_band) < 900000000000000),
    CONSTRAINT ck_instruments_upper_band CHECK (abs(upper_band) < 900000000000000)
);

CREATE INDEX idx_instruments_isin ON instruments (isin);

CREATE INDEX idx_instruments_symbol ON instruments (symbol, exchange_segment);

CREATE INDEX idx_instruments_trading_symbol ON instruments (trading_symbol);

CREATE INDEX idx_instruments_type ON instruments (instrument_type, exchange_segment);

CREATE INDEX idx_instruments_underlying ON instruments (underlying_security_id, expiry_date);

CREATE TABLE kill_runs (
    id BIGSERIAL NOT NULL,
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
    token BIGINT DEFAULT 0 NOT NULL,
    lease_until_us BIGINT,
    started_at_us BIGINT NOT NULL,
    deadline_us BIGINT NOT NULL,
    clean_at_us BIGINT,
    ended_at_us BIGINT,
    halts BIGINT DEFAULT 1 NOT NULL,
    limit_id TEXT DEFAULT '' NOT NULL,
    blocked_by TEXT DEFAULT '' NOT NULL,
    retry_at_us BIGINT,
    reruns BIGINT DEFAULT 0 NOT NULL,
    locked BIGINT DEFAULT 0 NOT NULL,
    watch_until_us BIGINT,
    held TEXT DEFAULT '{}' NOT NULL,
    told_at_us BIGINT,
    CONSTRAINT pk_kill_runs PRIMARY KEY (id),
    CONSTRAINT ck_kill_runs_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_kill_runs_scope CHECK (trim(scope) != ''),
    CONSTRAINT ck_kill_runs_kill_plan CHECK (kill_plan IN ('halt', 'cancel', 'flatten', 'broker')),
    CONSTRAINT ck_kill_runs_state CHECK (state IN ('OPEN', 'DONE', 'BLOCKED')),
    CONSTRAINT ck_kill_runs_token CHECK (token >= 0),
    CONSTRAINT ck_kill_runs_lease_until_us CHECK (lease_until_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_started_at_us CHECK (started_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_deadline_us CHECK (deadline_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_clean_at_us CHECK (clean_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_ended_at_us CHECK (ended_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_halts CHECK (halts IN (0, 1)),
    CONSTRAINT ck_kill_runs_retry_at_us CHECK (retry_at_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_reruns CHECK (reruns >= 0),
    CONSTRAINT ck_kill_runs_locked CHECK (locked IN (0, 1)),
    CONSTRAINT ck_kill_runs_watch_until_us CHECK (watch_until_us >= 100000000000000),
    CONSTRAINT ck_kill_runs_told_at_us CHECK (told_at_us >= 100000000000000),
    CONSTRAINT uq_kill_runs_kill_id_account UNIQUE (kill_id, account)
);

CREATE INDEX idx_kill_runs_open ON kill_runs (account) WHERE state <> 'DONE';

CREATE INDEX idx_kill_runs_watched ON kill_runs (account) WHERE watch_until_us IS NOT NULL;

CREATE TABLE kill_steps (
    id BIGSERIAL NOT NULL,
    run_id BIGINT NOT NULL,
    step TEXT NOT NULL,
    round BIGINT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    client_order_id TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    at_us BIGINT NOT NULL,
    answered_at_us BIGINT,
    token BIGINT DEFAULT 0 NOT NULL,
    contents TEXT DEFAULT '' NOT NULL,
    read_back TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_kill_steps PRIMARY KEY (id),
    CONSTRAINT ck_kill_steps_step CHECK (trim(step) != ''),
    CONSTRAINT ck_kill_steps_round CHECK (round >= 1),
    CONSTRAINT ck_kill_steps_state CHECK (state IN ('INTENDED', 'SENT', 'DONE', 'FAILED', 'UNKNOWN')),
    CONSTRAINT ck_kill_steps_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_kill_steps_answered_at_us CHECK (answered_at_us >= 100000000000000),
    CONSTRAINT ck_kill_steps_token CHECK (token >= 0),
    CONSTRAINT uq_kill_steps_run_id_step_round_target UNIQUE (run_id, step, round, target)
);

CREATE TABLE leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    token BIGINT NOT NULL,
    until_us BIGINT NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (name),
    CONSTRAINT ck_leases_token CHECK (token >= 1),
    CONSTRAINT ck_leases_until_us CHECK (until_us >= 100000000000000)
);

CREATE TABLE ledger_entries (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    entry_date TEXT NOT NULL,
    particulars TEXT,
    "voucherNo" TEXT,
    "voucherDate" TEXT,
    debit DOUBLE PRECISION DEFAULT 0,
    credit DOUBLE PRECISION DEFAULT 0,
    balance DOUBLE PRECISION,
    created_at BIGINT NOT NULL,
    digest TEXT,
    kind TEXT,
    CONSTRAINT pk_ledger_entries PRIMARY KEY (id),
    CONSTRAINT ck_ledger_entries_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_ledger_entries_debit CHECK (abs(debit) < 900000000000000),
    CONSTRAINT ck_ledger_entries_credit CHECK (abs(credit) < 900000000000000),
    CONSTRAINT ck_ledger_entries_balance CHECK (abs(balance) < 900000000000000),
    CONSTRAINT ck_ledger_entries_created_at CHECK (created_at < 100000000000)
);

CREATE INDEX idx_ledger_account_date ON ledger_entries (account_type, entry_date);

CREATE INDEX idx_ledger_date ON ledger_entries (entry_date);

CREATE UNIQUE INDEX uq_ledger_entries_digest ON ledger_entries (digest) WHERE digest IS NOT NULL;

CREATE TABLE limit_days (
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    limit_id TEXT NOT NULL,
    check_name TEXT NOT NULL,
    approved BIGINT DEFAULT 0 NOT NULL,
    near_misses BIGINT DEFAULT 0 NOT NULL,
    peak_pct_e2 BIGINT DEFAULT 0 NOT NULL,
    peak TEXT DEFAULT '' NOT NULL,
    warned_pct BIGINT DEFAULT 0 NOT NULL,
    to_sequence BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_limit_days PRIMARY KEY (account, session_date, limit_id),
    CONSTRAINT ck_limit_days_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_limit_days_check_name CHECK (trim(check_name) != ''),
    CONSTRAINT ck_limit_days_approved CHECK (approved >= 0),
    CONSTRAINT ck_limit_days_near_misses CHECK (near_misses >= 0),
    CONSTRAINT ck_limit_days_peak_pct_e2 CHECK (peak_pct_e2 >= 0),
    CONSTRAINT ck_limit_days_warned_pct CHECK (warned_pct >= 0),
    CONSTRAINT ck_limit_days_to_sequence CHECK (to_sequence >= 0)
);

CREATE TABLE limit_sets (
    digest TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT pk_limit_sets PRIMARY KEY (digest)
);

CREATE TABLE live_watches (
    account TEXT NOT NULL,
    limit_id TEXT NOT NULL,
    period TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '{}' NOT NULL,
    updated_at_us BIGINT NOT NULL,
    written BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_live_watches PRIMARY KEY (account, limit_id, period),
    CONSTRAINT ck_live_watches_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_live_watches_updated_at_us CHECK (updated_at_us >= 100000000000000),
    CONSTRAINT ck_live_watches_written CHECK (written >= 0)
);

CREATE TABLE margin_requirements (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    order_id TEXT,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    price DOUBLE PRECISION,
    product TEXT NOT NULL,
    total_margin DOUBLE PRECISION NOT NULL,
    span_margin DOUBLE PRECISION,
    exposure_margin DOUBLE PRECISION,
    var_margin DOUBLE PRECISION,
    calculated_at BIGINT NOT NULL,
    side TEXT,
    leg_set TEXT,
    CONSTRAINT pk_margin_requirements PRIMARY KEY (id),
    CONSTRAINT ck_margin_requirements_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_margin_requirements_quantity CHECK (quantity >= 1),
    CONSTRAINT ck_margin_requirements_price CHECK (abs(price) < 900000000000000),
    CONSTRAINT ck_margin_requirements_total_margin CHECK (abs(total_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_span_margin CHECK (abs(span_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_exposure_margin CHECK (abs(exposure_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_var_margin CHECK (abs(var_margin) < 900000000000000),
    CONSTRAINT ck_margin_requirements_calculated_at CHECK (calculated_at < 100000000000)
);

CREATE INDEX idx_margin_requirements_account ON margin_requirements (account_type);

CREATE INDEX idx_margin_requirements_leg ON margin_requirements (account_type, security_id, calculated_at);

CREATE INDEX idx_margin_requirements_order ON margin_requirements (order_id);

CREATE TABLE marks (
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    ltp_e4 BIGINT,
    bid_e4 BIGINT,
    ask_e4 BIGINT,
    at_us BIGINT NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    lower_band_e4 BIGINT,
    upper_band_e4 BIGINT,
    ltp_at_us BIGINT,
    is_indicative BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_marks PRIMARY KEY (exchange_segment, security_id),
    CONSTRAINT ck_marks_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_marks_ltp_at_us CHECK (ltp_at_us >= 100000000000000),
    CONSTRAINT ck_marks_is_indicative CHECK (is_indicative IN (0, 1))
);

CREATE TABLE order_events (
    id BIGSERIAL NOT NULL,
    order_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_source TEXT,
    event_data TEXT,
    event_ts BIGINT NOT NULL,
    sequence BIGINT,
    digest TEXT,
    CONSTRAINT pk_order_events PRIMARY KEY (id),
    CONSTRAINT ck_order_events_event_ts CHECK (event_ts < 100000000000),
    CONSTRAINT uq_order_events_order_id_sequence UNIQUE (order_id, sequence)
);

CREATE INDEX idx_order_events_order_ts ON order_events (order_id, event_ts);

CREATE INDEX idx_order_events_source ON order_events (event_source, event_ts);

CREATE INDEX idx_order_events_type ON order_events (event_type, event_ts);

CREATE UNIQUE INDEX uq_order_events_digest ON order_events (digest) WHERE digest IS NOT NULL;

CREATE TABLE order_messages (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    client_order_id TEXT DEFAULT '' NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_order_messages PRIMARY KEY (id),
    CONSTRAINT ck_order_messages_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_order_messages_kind CHECK (kind IN ('NEW', 'MODIFY', 'CANCEL')),
    CONSTRAINT ck_order_messages_at_us CHECK (at_us >= 100000000000000)
);

CREATE INDEX idx_order_messages_account ON order_messages (account, at_us);

CREATE TABLE order_modifications (
    id BIGSERIAL NOT NULL,
    order_id TEXT NOT NULL,
    modification_type TEXT NOT NULL,
    old_value TEXT,
    new_value TEXT,
    status TEXT,
    error_message TEXT,
    modified_at BIGINT NOT NULL,
    CONSTRAINT pk_order_modifications PRIMARY KEY (id),
    CONSTRAINT ck_order_modifications_modified_at CHECK (modified_at < 100000000000)
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
    quantity BIGINT NOT NULL,
    disclosed_qty BIGINT,
    price DOUBLE PRECISION,
    trigger_price DOUBLE PRECISION,
    traded_qty BIGINT DEFAULT 0,
    remaining_qty BIGINT,
    avg_price DOUBLE PRECISION,
    co_stop_loss_value DOUBLE PRECISION,
    co_trigger_price DOUBLE PRECISION,
    bo_profit_value DOUBLE PRECISION,
    bo_stop_loss_value DOUBLE PRECISION,
    bo_order_type TEXT,
    parent_order_id TEXT,
    leg_type TEXT,
    is_sliced_order BIGINT DEFAULT 0,
    slice_order_id TEXT,
    slice_index BIGINT,
    total_slice_quantity BIGINT,
    after_market_order BIGINT DEFAULT 0,
    amo_time TEXT,
    exchange_order_id TEXT,
    exchange_time BIGINT,
    algo_id TEXT,
    drv_expiry_date BIGINT,
    drv_option_type TEXT,
    drv_strike_price DOUBLE PRECISION,
    oms_error_code TEXT,
    oms_error_description TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    completed_at BIGINT,
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
    CONSTRAINT ck_orders_quantity CHECK (quantity >= 1),
    CONSTRAINT ck_orders_disclosed_qty CHECK (disclosed_qty >= 0),
    CONSTRAINT ck_orders_price CHECK (abs(price) < 900000000000000),
    CONSTRAINT ck_orders_trigger_price CHECK (abs(trigger_price) < 900000000000000),
    CONSTRAINT ck_orders_traded_qty CHECK (traded_qty >= 0),
    CONSTRAINT ck_orders_remaining_qty CHECK (remaining_qty >= 0),
    CONSTRAINT ck_orders_avg_price CHECK (abs(avg_price) < 900000000000000),
    CONSTRAINT ck_orders_co_stop_loss_value CHECK (abs(co_stop_loss_value) < 900000000000000),
    CONSTRAINT ck_orders_co_trigger_price CHECK (abs(co_trigger_price) < 900000000000000),
    CONSTRAINT ck_orders_bo_profit_value CHECK (abs(bo_profit_value) < 900000000000000),
    CONSTRAINT ck_orders_bo_stop_loss_value CHECK (abs(bo_stop_loss_value) < 900000000000000),
    CONSTRAINT ck_orders_leg_type CHECK (leg_type IN ('ENTRY', 'TARGET', 'SL')),
    CONSTRAINT ck_orders_is_sliced_order CHECK (is_sliced_order IN (0, 1)),
    CONSTRAINT ck_orders_total_slice_quantity CHECK (total_slice_quantity >= 0),
    CONSTRAINT ck_orders_after_market_order CHECK (after_market_order IN (0, 1)),
    CONSTRAINT ck_orders_exchange_time CHECK (exchange_time < 100000000000),
    CONSTRAINT ck_orders_drv_expiry_date CHECK (drv_expiry_date < 100000000000),
    CONSTRAINT ck_orders_drv_option_type CHECK (drv_option_type IN ('CALL', 'PUT')),
    CONSTRAINT ck_orders_drv_strike_price CHECK (abs(drv_strike_price) < 900000000000000),
    CONSTRAINT ck_orders_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_orders_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_orders_completed_at CHECK (completed_at < 100000000000)
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
    sequence BIGINT NOT NULL,
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
    quantity BIGINT NOT NULL,
    filled_quantity BIGINT DEFAULT 0 NOT NULL,
    price_e4 BIGINT,
    trigger_price_e4 BIGINT,
    risk_price_e4 BIGINT,
    reference_e4 BIGINT,
    cancel_first TEXT DEFAULT '[]' NOT NULL,
    order_id TEXT,
    granted_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    sent_at_us BIGINT,
    ended_at_us BIGINT,
    detail TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT 'NEW' NOT NULL,
    changes_order TEXT DEFAULT '' NOT NULL,
    becomes TEXT DEFAULT '' NOT NULL,
    basket TEXT DEFAULT '' NOT NULL,
    leg BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_permits PRIMARY KEY (account, client_order_id),
    CONSTRAINT ck_permits_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_permits_sequence CHECK (sequence >= 1),
    CONSTRAINT ck_permits_state CHECK (state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN', 'REFUSED', 'FILLED', 'CANCELLED', 'EXPIRED', 'VOID', 'RELEASED', 'MERGED')),
    CONSTRAINT ck_permits_quantity CHECK (quantity >= 0),
    CONSTRAINT ck_permits_filled_quantity CHECK (filled_quantity >= 0),
    CONSTRAINT ck_permits_granted_at_us CHECK (granted_at_us >= 100000000000000),
    CONSTRAINT ck_permits_expires_at_us CHECK (expires_at_us >= 100000000000000),
    CONSTRAINT ck_permits_sent_at_us CHECK (sent_at_us >= 100000000000000),
    CONSTRAINT ck_permits_ended_at_us CHECK (ended_at_us >= 100000000000000),
    CONSTRAINT ck_permits_kind CHECK (kind IN ('NEW', 'MODIFY')),
    CONSTRAINT ck_permits_leg CHECK (leg >= 0),
    CONSTRAINT uq_permits_correlation_id UNIQUE (correlation_id),
    CONSTRAINT ck_permits_filled CHECK (filled_quantity <= quantity)
);

CREATE INDEX idx_permits_basket ON permits (account, basket) WHERE basket <> '';

CREATE INDEX idx_permits_changes ON permits (account, changes_order) WHERE changes_order <> '';

CREATE INDEX idx_permits_filled ON permits (account, strategy, exchange_segment, security_id, side, granted_at_us) WHERE filled_quantity > 0;

CREATE INDEX idx_permits_granted ON permits (account, granted_at_us);

CREATE INDEX idx_permits_live ON permits (account, state) WHERE state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN');

CREATE INDEX idx_permits_order ON permits (account, order_id) WHERE order_id IS NOT NULL;

CREATE TABLE pnl_readings (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    session_date TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    day_pnl_e4 BIGINT,
    charges_e4 BIGINT,
    fresh_marks BIGINT NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    realised_e4 BIGINT,
    unrealised_e4 BIGINT,
    broker_pnl_e4 BIGINT,
    equity_pnl_e4 BIGINT,
    CONSTRAINT pk_pnl_readings PRIMARY KEY (id),
    CONSTRAINT ck_pnl_readings_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_pnl_readings_at_us CHECK (at_us >= 100000000000000),
    CONSTRAINT ck_pnl_readings_fresh_marks CHECK (fresh_marks IN (0, 1))
);

CREATE INDEX idx_pnl_readings_account ON pnl_readings (account, session_date, at_us);

CREATE TABLE positions (
    snapshot_ts BIGINT NOT NULL,
    account_type TEXT NOT NULL,
    security_id TEXT NOT NULL,
    exchange_segment TEXT NOT NULL,
    product TEXT DEFAULT '' NOT NULL,
    position_type TEXT,
    buy_qty BIGINT DEFAULT 0,
    sell_qty BIGINT DEFAULT 0,
    net_qty BIGINT NOT NULL,
    buy_avg DOUBLE PRECISION DEFAULT 0,
    sell_avg DOUBLE PRECISION DEFAULT 0,
    realized_pl DOUBLE PRECISION DEFAULT 0,
    unrealized_pl DOUBLE PRECISION DEFAULT 0,
    total_pl DOUBLE PRECISION DEFAULT 0,
    ltp DOUBLE PRECISION,
    close_price DOUBLE PRECISION,
    multiplier DOUBLE PRECISION,
    margin_required DOUBLE PRECISION,
    raw_data TEXT,
    snapshot_id BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_positions PRIMARY KEY (snapshot_ts, account_type, security_id, exchange_segment, product, snapshot_id),
    CONSTRAINT ck_positions_snapshot_ts CHECK (snapshot_ts < 100000000000),
    CONSTRAINT ck_positions_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_positions_buy_qty CHECK (buy_qty >= 0),
    CONSTRAINT ck_positions_sell_qty CHECK (sell_qty >= 0),
    CONSTRAINT ck_positions_buy_avg CHECK (abs(buy_avg) < 900000000000000),
    CONSTRAINT ck_positions_sell_avg CHECK (abs(sell_avg) < 900000000000000),
    CONSTRAINT ck_positions_realized_pl CHECK (abs(realized_pl) < 900000000000000),
    CONSTRAINT ck_positions_unrealized_pl CHECK (abs(unrealized_pl) < 900000000000000),
    CONSTRAINT ck_positions_total_pl CHECK (abs(total_pl) < 900000000000000),
    CONSTRAINT ck_positions_ltp CHECK (abs(ltp) < 900000000000000),
    CONSTRAINT ck_positions_close_price CHECK (abs(close_price) < 900000000000000),
    CONSTRAINT ck_positions_multiplier CHECK (abs(multiplier) < 900000000000000),
    CONSTRAINT ck_positions_margin_required CHECK (abs(margin_required) < 900000000000000),
    CONSTRAINT ck_positions_snapshot_id CHECK (snapshot_id >= 0)
);

CREATE INDEX idx_positions_account ON positions (account_type, snapshot_ts);

CREATE INDEX idx_positions_security ON positions (security_id);

CREATE INDEX idx_positions_snapshot ON positions (snapshot_id, account_type, snapshot_ts);

CREATE INDEX idx_positions_ts ON positions (snapshot_ts);

CREATE TABLE postback_configs (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    webhook_url TEXT NOT NULL,
    webhook_secret TEXT,
    event_types TEXT,
    is_active BIGINT DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_triggered_at BIGINT,
    CONSTRAINT pk_postback_configs PRIMARY KEY (id),
    CONSTRAINT ck_postback_configs_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_postback_configs_is_active CHECK (is_active IN (0, 1)),
    CONSTRAINT ck_postback_configs_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_postback_configs_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_postback_configs_last_triggered_at CHECK (last_triggered_at < 100000000000)
);

CREATE INDEX idx_postback_configs_account ON postback_configs (account_type, is_active);

CREATE TABLE postback_events (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    event_type TEXT NOT NULL,
    order_id TEXT,
    payload TEXT NOT NULL,
    signature TEXT,
    is_verified BIGINT,
    is_processed BIGINT DEFAULT 0,
    processed_at BIGINT,
    error_message TEXT,
    received_at BIGINT NOT NULL,
    digest TEXT,
    CONSTRAINT pk_postback_events PRIMARY KEY (id),
    CONSTRAINT ck_postback_events_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_postback_events_is_verified CHECK (is_verified IN (0, 1)),
    CONSTRAINT ck_postback_events_is_processed CHECK (is_processed IN (0, 1)),
    CONSTRAINT ck_postback_events_processed_at CHECK (processed_at < 100000000000),
    CONSTRAINT ck_postback_events_received_at CHECK (received_at < 100000000000)
);

CREATE INDEX idx_postback_events_account ON postback_events (account_type, received_at);

CREATE INDEX idx_postback_events_order ON postback_events (order_id);

CREATE INDEX idx_postback_events_processed ON postback_events (is_processed, received_at);

CREATE UNIQUE INDEX uq_postback_events_digest ON postback_events (digest) WHERE digest IS NOT NULL;

CREATE TABLE postback_ids (
    account TEXT NOT NULL,
    message_id TEXT NOT NULL,
    seen_at_us BIGINT NOT NULL,
    CONSTRAINT pk_postback_ids PRIMARY KEY (account, message_id),
    CONSTRAINT ck_postback_ids_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_postback_ids_message_id CHECK (trim(message_id) != ''),
    CONSTRAINT ck_postback_ids_seen_at_us CHECK (seen_at_us >= 100000000000000)
);

CREATE INDEX idx_postback_ids_seen ON postback_ids (seen_at_us);

CREATE TABLE quarantine (
    id BIGSERIAL NOT NULL,
    source_table TEXT NOT NULL,
    source_version BIGINT NOT NULL,
    source_rowid BIGINT,
    reason TEXT NOT NULL,
    raw TEXT NOT NULL,
    in_table BIGINT DEFAULT 0 NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_quarantine PRIMARY KEY (id),
    CONSTRAINT ck_quarantine_source_table CHECK (trim(source_table) != ''),
    CONSTRAINT ck_quarantine_source_version CHECK (source_version >= 1),
    CONSTRAINT ck_quarantine_reason CHECK (trim(reason) != ''),
    CONSTRAINT ck_quarantine_in_table CHECK (in_table IN (0, 1)),
    CONSTRAINT ck_quarantine_at_us CHECK (at_us >= 100000000000000)
);

CREATE TABLE rate_limit_tracking (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    request_count BIGINT DEFAULT 0,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    last_request_at BIGINT,
    created_at BIGINT NOT NULL,
    superseded BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_rate_limit_tracking PRIMARY KEY (id),
    CONSTRAINT ck_rate_limit_tracking_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_rate_limit_tracking_request_count CHECK (request_count >= 0),
    CONSTRAINT ck_rate_limit_tracking_window_start CHECK (window_start < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_window_end CHECK (window_end < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_last_request_at CHECK (last_request_at < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_rate_limit_tracking_superseded CHECK (superseded IN (0, 1))
);

CREATE INDEX idx_rate_limit_account_endpoint ON rate_limit_tracking (account_type, endpoint, window_end);

CREATE UNIQUE INDEX uq_rate_limit_tracking_window ON rate_limit_tracking (account_type, endpoint, window_start) WHERE superseded = 0;

CREATE TABLE refusal_repeats (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    violation_id BIGINT NOT NULL,
    strategy TEXT DEFAULT '' NOT NULL,
    repeats BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    CONSTRAINT pk_refusal_repeats PRIMARY KEY (id),
    CONSTRAINT ck_refusal_repeats_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_refusal_repeats_repeats CHECK (repeats >= 1),
    CONSTRAINT ck_refusal_repeats_at_us CHECK (at_us >= 100000000000000)
);

CREATE INDEX idx_refusal_repeats_account ON refusal_repeats (account, at_us);

CREATE TABLE risk_violations (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    violation_type TEXT NOT NULL,
    limit_value DOUBLE PRECISION NOT NULL,
    actual_value DOUBLE PRECISION NOT NULL,
    order_id TEXT,
    security_id TEXT,
    action_taken TEXT,
    violated_at BIGINT NOT NULL,
    violated_at_us BIGINT,
    code TEXT,
    check_name TEXT,
    limit_id TEXT,
    scope TEXT,
    unit TEXT,
    measured TEXT,
    limit_text TEXT,
    detail TEXT,
    client_order_id TEXT,
    sequence BIGINT,
    strategy TEXT,
    exchange_segment TEXT,
    side TEXT,
    product TEXT,
    order_type TEXT,
    quantity BIGINT,
    price TEXT,
    control_id BIGINT,
    CONSTRAINT pk_risk_violations PRIMARY KEY (id),
    CONSTRAINT ck_risk_violations_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_risk_violations_violation_type CHECK (trim(violation_type) != ''),
    CONSTRAINT ck_risk_violations_limit_value CHECK (abs(limit_value) < 900000000000000),
    CONSTRAINT ck_risk_violations_actual_value CHECK (abs(actual_value) < 900000000000000),
    CONSTRAINT ck_risk_violations_violated_at CHECK (violated_at < 100000000000),
    CONSTRAINT ck_risk_violations_violated_at_us CHECK (violated_at_us >= 100000000000000)
);

CREATE INDEX idx_risk_violations_account ON risk_violations (account_type, violated_at);

CREATE INDEX idx_risk_violations_type ON risk_violations (violation_type);

CREATE TABLE settlement_prices (
    exchange_segment TEXT NOT NULL,
    security_id TEXT NOT NULL,
    session_date TEXT NOT NULL,
    price_e4 BIGINT NOT NULL,
    underlying_e4 BIGINT,
    source TEXT NOT NULL,
    imported_at_us BIGINT NOT NULL,
    CONSTRAINT pk_settlement_prices PRIMARY KEY (exchange_segment, security_id, session_date),
    CONSTRAINT ck_settlement_prices_source CHECK (trim(source) != ''),
    CONSTRAINT ck_settlement_prices_imported_at_us CHECK (imported_at_us >= 100000000000000)
);

CREATE TABLE snapshots (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    fetched_at_us BIGINT NOT NULL,
    complete BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_snapshots PRIMARY KEY (id),
    CONSTRAINT ck_snapshots_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_snapshots_kind CHECK (kind IN ('positions', 'holdings', 'funds', 'orders', 'trades')),
    CONSTRAINT ck_snapshots_fetched_at_us CHECK (fetched_at_us >= 100000000000000),
    CONSTRAINT ck_snapshots_complete CHECK (complete IN (0, 1)),
    CONSTRAINT ck_snapshots_row_count CHECK (row_count >= 0),
    CONSTRAINT ck_snapshots_source CHECK (trim(source) != '')
);

CREATE INDEX idx_snapshots_latest ON snapshots (account, kind, fetched_at_us, id) WHERE complete = 1;

CREATE TABLE state_causes (
    id BIGSERIAL NOT NULL,
    account TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    by_whom TEXT DEFAULT '' NOT NULL,
    is_soft BIGINT DEFAULT 0 NOT NULL,
    raised_at_us BIGINT NOT NULL,
    cleared_at_us BIGINT,
    action_id BIGINT,
    limit_id TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_state_causes PRIMARY KEY (id),
    CONSTRAINT ck_state_causes_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_state_causes_state CHECK (state IN ('REDUCE_ONLY', 'HALTED')),
    CONSTRAINT ck_state_causes_code CHECK (trim(code) != ''),
    CONSTRAINT ck_state_causes_is_soft CHECK (is_soft IN (0, 1)),
    CONSTRAINT ck_state_causes_raised_at_us CHECK (raised_at_us >= 100000000000000),
    CONSTRAINT ck_state_causes_cleared_at_us CHECK (cleared_at_us >= 100000000000000)
);

CREATE INDEX idx_state_causes_standing ON state_causes (account) WHERE cleared_at_us IS NULL;

CREATE TABLE sweeps (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    slot BIGINT NOT NULL,
    interval_us BIGINT NOT NULL,
    started_at_us BIGINT NOT NULL,
    finished_at_us BIGINT,
    holder TEXT DEFAULT '' NOT NULL,
    findings TEXT DEFAULT '[]' NOT NULL,
    CONSTRAINT pk_sweeps PRIMARY KEY (account, kind, slot),
    CONSTRAINT ck_sweeps_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_sweeps_kind CHECK (kind IN ('daily_loss', 'book', 'funds', 'holdings', 'profile', 'ledger', 'rollover', 'end_of_day', 'schedule')),
    CONSTRAINT ck_sweeps_interval_us CHECK (interval_us >= 1),
    CONSTRAINT ck_sweeps_started_at_us CHECK (started_at_us >= 100000000000000),
    CONSTRAINT ck_sweeps_finished_at_us CHECK (finished_at_us >= 100000000000000)
);

CREATE INDEX idx_sweeps_finished ON sweeps (account, kind, finished_at_us);

CREATE TABLE traders_control (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    control_type TEXT NOT NULL,
    kill_switch_status TEXT,
    daily_loss_limit DOUBLE PRECISION,
    position_size_limit DOUBLE PRECISION,
    order_value_limit DOUBLE PRECISION,
    is_active BIGINT DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    activated_at BIGINT,
    deactivated_at BIGINT,
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
    action_id BIGINT,
    CONSTRAINT pk_traders_control PRIMARY KEY (id),
    CONSTRAINT ck_traders_control_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_traders_control_control_type CHECK (control_type IN ('KILL_SWITCH', 'RISK_LIMIT', 'POSITION_LIMIT')),
    CONSTRAINT ck_traders_control_daily_loss_limit CHECK (abs(daily_loss_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_daily_loss_limit_positive CHECK (daily_loss_limit > 0),
    CONSTRAINT ck_traders_control_position_size_limit CHECK (abs(position_size_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_position_size_limit_positive CHECK (position_size_limit > 0),
    CONSTRAINT ck_traders_control_order_value_limit CHECK (abs(order_value_limit) < 900000000000000),
    CONSTRAINT ck_traders_control_order_value_limit_positive CHECK (order_value_limit > 0),
    CONSTRAINT ck_traders_control_is_active CHECK (is_active IN (0, 1)),
    CONSTRAINT ck_traders_control_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_traders_control_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_traders_control_activated_at CHECK (activated_at < 100000000000),
    CONSTRAINT ck_traders_control_deactivated_at CHECK (deactivated_at < 100000000000),
    CONSTRAINT ck_traders_control_on_breach CHECK (on_breach IN ('warn', 'reject', 'reduce_only', 'halt', 'kill')),
    CONSTRAINT ck_traders_control_mode CHECK (mode IN ('enforce', 'shadow')),
    CONSTRAINT ck_traders_control_kill_plan CHECK (kill_plan IN ('halt', 'cancel', 'flatten', 'broker'))
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
    quantity BIGINT NOT NULL,
    price DOUBLE PRECISION NOT NULL,
    trade_value DOUBLE PRECISION,
    brokerage DOUBLE PRECISION DEFAULT 0,
    exchange_charges DOUBLE PRECISION DEFAULT 0,
    clearing_charges DOUBLE PRECISION DEFAULT 0,
    stt DOUBLE PRECISION DEFAULT 0,
    stamp_duty DOUBLE PRECISION DEFAULT 0,
    transaction_charges DOUBLE PRECISION DEFAULT 0,
    gst DOUBLE PRECISION DEFAULT 0,
    total_charges DOUBLE PRECISION DEFAULT 0,
    net_amount DOUBLE PRECISION,
    trade_ts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    exchange_time BIGINT,
    drv_expiry_date BIGINT,
    drv_option_type TEXT,
    drv_strike_price DOUBLE PRECISION,
    raw_data TEXT,
    client_order_id TEXT,
    booked_at_us BIGINT,
    session_date TEXT,
    CONSTRAINT pk_trades PRIMARY KEY (id),
    CONSTRAINT ck_trades_id CHECK (trim(id) != ''),
    CONSTRAINT ck_trades_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_trades_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT ck_trades_quantity CHECK (quantity >= 1),
    CONSTRAINT ck_trades_price CHECK (abs(price) < 900000000000000),
    CONSTRAINT ck_trades_trade_value CHECK (abs(trade_value) < 900000000000000),
    CONSTRAINT ck_trades_brokerage CHECK (abs(brokerage) < 900000000000000),
    CONSTRAINT ck_trades_exchange_charges CHECK (abs(exchange_charges) < 900000000000000),
    CONSTRAINT ck_trades_clearing_charges CHECK (abs(clearing_charges) < 900000000000000),
    CONSTRAINT ck_trades_stt CHECK (abs(stt) < 900000000000000),
    CONSTRAINT ck_trades_stamp_duty CHECK (abs(stamp_duty) < 900000000000000),
    CONSTRAINT ck_trades_transaction_charges CHECK (abs(transaction_charges) < 900000000000000),
    CONSTRAINT ck_trades_gst CHECK (abs(gst) < 900000000000000),
    CONSTRAINT ck_trades_total_charges CHECK (abs(total_charges) < 900000000000000),
    CONSTRAINT ck_trades_net_amount CHECK (abs(net_amount) < 900000000000000),
    CONSTRAINT ck_trades_trade_ts CHECK (trade_ts < 100000000000),
    CONSTRAINT ck_trades_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_trades_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_trades_exchange_time CHECK (exchange_time < 100000000000),
    CONSTRAINT ck_trades_drv_expiry_date CHECK (drv_expiry_date < 100000000000),
    CONSTRAINT ck_trades_drv_option_type CHECK (drv_option_type IN ('CALL', 'PUT')),
    CONSTRAINT ck_trades_drv_strike_price CHECK (abs(drv_strike_price) < 900000000000000),
    CONSTRAINT ck_trades_booked_at_us CHECK (booked_at_us >= 100000000000000)
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
    found_at_us BIGINT NOT NULL,
    CONSTRAINT pk_unsolicited_orders PRIMARY KEY (account, order_id),
    CONSTRAINT ck_unsolicited_orders_account CHECK (trim(account) != '' AND length(account) <= 64),
    CONSTRAINT ck_unsolicited_orders_order_id CHECK (trim(order_id) != ''),
    CONSTRAINT ck_unsolicited_orders_origin CHECK (origin IN ('OTHER', 'CHILD', 'SQUARE_OFF')),
    CONSTRAINT ck_unsolicited_orders_found_at_us CHECK (found_at_us >= 100000000000000)
);

CREATE INDEX idx_unsolicited_orders_day ON unsolicited_orders (account, session_date, found_at_us);

CREATE TABLE upkeep_runs (
    id BIGSERIAL NOT NULL,
    kind TEXT NOT NULL,
    slot TEXT NOT NULL,
    attempts BIGINT DEFAULT 1 NOT NULL,
    holder TEXT DEFAULT '' NOT NULL,
    started_at_us BIGINT NOT NULL,
    finished_at_us BIGINT,
    outcome TEXT,
    detail TEXT DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_upkeep_runs PRIMARY KEY (id),
    CONSTRAINT ck_upkeep_runs_kind CHECK (kind IN ('backup', 'archive', 'vacuum', 'anchor')),
    CONSTRAINT ck_upkeep_runs_slot CHECK (trim(slot) != ''),
    CONSTRAINT ck_upkeep_runs_attempts CHECK (attempts >= 1),
    CONSTRAINT ck_upkeep_runs_started_at_us CHECK (started_at_us >= 100000000000000),
    CONSTRAINT ck_upkeep_runs_finished_at_us CHECK (finished_at_us >= 100000000000000),
    CONSTRAINT ck_upkeep_runs_outcome CHECK (outcome IN ('DONE', 'FAILED')),
    CONSTRAINT uq_upkeep_runs_kind_slot UNIQUE (kind, slot)
);

CREATE INDEX idx_upkeep_runs_kind ON upkeep_runs (kind, finished_at_us);

CREATE TABLE websocket_connections (
    id BIGSERIAL NOT NULL,
    account_type TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    ws_url TEXT NOT NULL,
    status TEXT NOT NULL,
    subscribed_events TEXT,
    connect_attempts BIGINT DEFAULT 0,
    last_heartbeat_at BIGINT,
    connected_at BIGINT,
    disconnected_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    superseded BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_websocket_connections PRIMARY KEY (id),
    CONSTRAINT ck_websocket_connections_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_websocket_connections_status CHECK (status IN ('CONNECTING', 'CONNECTED', 'DISCONNECTED', 'ERROR')),
    CONSTRAINT ck_websocket_connections_connect_attempts CHECK (connect_attempts >= 0),
    CONSTRAINT ck_websocket_connections_last_heartbeat_at CHECK (last_heartbeat_at < 100000000000),
    CONSTRAINT ck_websocket_connections_connected_at CHECK (connected_at < 100000000000),
    CONSTRAINT ck_websocket_connections_disconnected_at CHECK (disconnected_at < 100000000000),
    CONSTRAINT ck_websocket_connections_created_at CHECK (created_at < 100000000000),
    CONSTRAINT ck_websocket_connections_updated_at CHECK (updated_at < 100000000000),
    CONSTRAINT ck_websocket_connections_superseded CHECK (superseded IN (0, 1))
);

CREATE INDEX idx_ws_connections_account ON websocket_connections (account_type, status);

CREATE INDEX idx_ws_connections_status ON websocket_connections (status);

CREATE UNIQUE INDEX uq_websocket_connections_connection_id ON websocket_connections (connection_id) WHERE superseded = 0;

CREATE TABLE websocket_messages (
    id BIGSERIAL NOT NULL,
    connection_id TEXT NOT NULL,
    account_type TEXT NOT NULL,
    message_type TEXT NOT NULL,
    order_id TEXT,
    payload TEXT NOT NULL,
    sequence_number BIGINT,
    is_processed BIGINT DEFAULT 0,
    processed_at BIGINT,
    received_at BIGINT NOT NULL,
    digest TEXT,
    error_message TEXT,
    CONSTRAINT pk_websocket_messages PRIMARY KEY (id),
    CONSTRAINT ck_websocket_messages_account_type CHECK (trim(account_type) != '' AND length(account_type) <= 64),
    CONSTRAINT ck_websocket_messages_is_processed CHECK (is_processed IN (0, 1)),
    CONSTRAINT ck_websocket_messages_processed_at CHECK (processed_at < 100000000000),
    CONSTRAINT ck_websocket_messages_received_at CHECK (received_at < 100000000000)
);

CREATE INDEX idx_ws_messages_account ON websocket_messages (account_type, received_at);

CREATE INDEX idx_ws_messages_connection ON websocket_messages (connection_id, received_at);

CREATE INDEX idx_ws_messages_order ON websocket_messages (order_id);

CREATE INDEX idx_ws_messages_processed ON websocket_messages (is_processed, received_at);

CREATE INDEX idx_ws_messages_sequence ON websocket_messages (connection_id, sequence_number);

CREATE UNIQUE INDEX uq_websocket_messages_digest ON websocket_messages (digest) WHERE digest IS NOT NULL;

CREATE FUNCTION riskguard_bumps_account() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    name text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR name IN SELECT r.name FROM (SELECT account FROM changed WHERE TRUE UNION SELECT account FROM replaced WHERE TRUE) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    ELSE
        FOR name IN SELECT r.name FROM (SELECT account FROM changed WHERE TRUE GROUP BY 1) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$;

CREATE FUNCTION riskguard_bumps_account_type() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    name text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE TRUE UNION SELECT account_type FROM replaced WHERE TRUE) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    ELSE
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE TRUE GROUP BY 1) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$;

CREATE FUNCTION riskguard_bumps_bare() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    name text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE snapshot_id = 0 UNION SELECT account_type FROM replaced WHERE snapshot_id = 0) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    ELSE
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE snapshot_id = 0 GROUP BY 1) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1 WHERE h.account = name;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$;

CREATE FUNCTION riskguard_bumps_limits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    name text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE TRUE UNION SELECT account_type FROM replaced WHERE TRUE) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1, controls = floor((random() - 0.5) * 9007199254740992)::bigint WHERE h.account = name;
        END LOOP;
    ELSE
        FOR name IN SELECT r.name FROM (SELECT account_type FROM changed WHERE TRUE GROUP BY 1) AS r (name) ORDER BY r.name COLLATE "C" LOOP
            UPDATE public.account_heads h SET version = h.version + 1, controls = floor((random() - 0.5) * 9007199254740992)::bigint WHERE h.account = name;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$;

CREATE FUNCTION riskguard_bumps_global() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM changed) THEN
        UPDATE public.account_heads SET version = version + 1 WHERE account = 'GLOBAL';
    END IF;
    RETURN NULL;
END
$body$;

CREATE TRIGGER accounts_insert_bumps AFTER INSERT ON accounts
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER accounts_update_bumps AFTER UPDATE ON accounts
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER accounts_delete_bumps AFTER DELETE ON accounts
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER traders_control_insert_bumps AFTER INSERT ON traders_control
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_limits();

CREATE TRIGGER traders_control_update_bumps AFTER UPDATE ON traders_control
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_limits();

CREATE TRIGGER traders_control_delete_bumps AFTER DELETE ON traders_control
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_limits();

CREATE TRIGGER permits_insert_bumps AFTER INSERT ON permits
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER permits_update_bumps AFTER UPDATE ON permits
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER permits_delete_bumps AFTER DELETE ON permits
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER order_messages_insert_bumps AFTER INSERT ON order_messages
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER order_messages_update_bumps AFTER UPDATE ON order_messages
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER order_messages_delete_bumps AFTER DELETE ON order_messages
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER refusal_repeats_insert_bumps AFTER INSERT ON refusal_repeats
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER refusal_repeats_update_bumps AFTER UPDATE ON refusal_repeats
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER refusal_repeats_delete_bumps AFTER DELETE ON refusal_repeats
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_baselines_insert_bumps AFTER INSERT ON day_baselines
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_baselines_update_bumps AFTER UPDATE ON day_baselines
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_baselines_delete_bumps AFTER DELETE ON day_baselines
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_books_insert_bumps AFTER INSERT ON day_books
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_books_update_bumps AFTER UPDATE ON day_books
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER day_books_delete_bumps AFTER DELETE ON day_books
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER snapshots_insert_bumps AFTER INSERT ON snapshots
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER snapshots_update_bumps AFTER UPDATE ON snapshots
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER snapshots_delete_bumps AFTER DELETE ON snapshots
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER orders_insert_bumps AFTER INSERT ON orders
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER orders_update_bumps AFTER UPDATE ON orders
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER orders_delete_bumps AFTER DELETE ON orders
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER trades_insert_bumps AFTER INSERT ON trades
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER trades_update_bumps AFTER UPDATE ON trades
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER trades_delete_bumps AFTER DELETE ON trades
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account_type();

CREATE TRIGGER pnl_readings_insert_bumps AFTER INSERT ON pnl_readings
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER pnl_readings_update_bumps AFTER UPDATE ON pnl_readings
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER pnl_readings_delete_bumps AFTER DELETE ON pnl_readings
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER state_causes_insert_bumps AFTER INSERT ON state_causes
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER state_causes_update_bumps AFTER UPDATE ON state_causes
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER state_causes_delete_bumps AFTER DELETE ON state_causes
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER sweeps_insert_bumps AFTER INSERT ON sweeps
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER sweeps_update_bumps AFTER UPDATE ON sweeps
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER sweeps_delete_bumps AFTER DELETE ON sweeps
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER control_actions_insert_bumps AFTER INSERT ON control_actions
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER control_actions_update_bumps AFTER UPDATE ON control_actions
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER control_actions_delete_bumps AFTER DELETE ON control_actions
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_account();

CREATE TRIGGER instruments_insert_bumps AFTER INSERT ON instruments
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_global();

CREATE TRIGGER instruments_update_bumps AFTER UPDATE ON instruments
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_global();

CREATE TRIGGER instruments_delete_bumps AFTER DELETE ON instruments
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_global();

CREATE TRIGGER positions_insert_bumps AFTER INSERT ON positions
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_bare();

CREATE TRIGGER positions_update_bumps AFTER UPDATE ON positions
REFERENCING OLD TABLE AS replaced NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_bare();

CREATE TRIGGER positions_delete_bumps AFTER DELETE ON positions
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION riskguard_bumps_bare();

CREATE FUNCTION riskguard_refuses() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = TG_ARGV[0];
END
$body$;

CREATE TRIGGER decisions_refused BEFORE UPDATE OR DELETE ON decisions
FOR EACH ROW EXECUTE FUNCTION riskguard_refuses('decisions is append-only: it is the evidence');

CREATE TRIGGER limit_sets_refused BEFORE UPDATE OR DELETE ON limit_sets
FOR EACH ROW EXECUTE FUNCTION riskguard_refuses('limit_sets is append-only: it is the evidence');

CREATE TRIGGER account_heads_truncate_refused BEFORE TRUNCATE ON account_heads
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('account_heads is not truncated: use DELETE, which asks');

CREATE TRIGGER accounts_truncate_refused BEFORE TRUNCATE ON accounts
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('accounts is not truncated: use DELETE, which asks');

CREATE TRIGGER adopted_files_truncate_refused BEFORE TRUNCATE ON adopted_files
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('adopted_files is not truncated: use DELETE, which asks');

CREATE TRIGGER alert_channels_truncate_refused BEFORE TRUNCATE ON alert_channels
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('alert_channels is not truncated: use DELETE, which asks');

CREATE TRIGGER alert_deliveries_truncate_refused BEFORE TRUNCATE ON alert_deliveries
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('alert_deliveries is not truncated: use DELETE, which asks');

CREATE TRIGGER alerts_truncate_refused BEFORE TRUNCATE ON alerts
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('alerts is not truncated: use DELETE, which asks');

CREATE TRIGGER audit_log_truncate_refused BEFORE TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('audit_log is not truncated: use DELETE, which asks');

CREATE TRIGGER auth_tokens_truncate_refused BEFORE TRUNCATE ON auth_tokens
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('auth_tokens is not truncated: use DELETE, which asks');

CREATE TRIGGER backstops_truncate_refused BEFORE TRUNCATE ON backstops
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('backstops is not truncated: use DELETE, which asks');

CREATE TRIGGER book_differences_truncate_refused BEFORE TRUNCATE ON book_differences
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('book_differences is not truncated: use DELETE, which asks');

CREATE TRIGGER bracket_order_legs_truncate_refused BEFORE TRUNCATE ON bracket_order_legs
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('bracket_order_legs is not truncated: use DELETE, which asks');

CREATE TRIGGER cash_flows_truncate_refused BEFORE TRUNCATE ON cash_flows
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('cash_flows is not truncated: use DELETE, which asks');

CREATE TRIGGER config_truncate_refused BEFORE TRUNCATE ON config
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('config is not truncated: use DELETE, which asks');

CREATE TRIGGER control_actions_truncate_refused BEFORE TRUNCATE ON control_actions
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('control_actions is not truncated: use DELETE, which asks');

CREATE TRIGGER control_changes_truncate_refused BEFORE TRUNCATE ON control_changes
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('control_changes is not truncated: use DELETE, which asks');

CREATE TRIGGER copy_mappings_truncate_refused BEFORE TRUNCATE ON copy_mappings
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('copy_mappings is not truncated: use DELETE, which asks');

CREATE TRIGGER day_baselines_truncate_refused BEFORE TRUNCATE ON day_baselines
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('day_baselines is not truncated: use DELETE, which asks');

CREATE TRIGGER day_books_truncate_refused BEFORE TRUNCATE ON day_books
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('day_books is not truncated: use DELETE, which asks');

CREATE TRIGGER day_charges_truncate_refused BEFORE TRUNCATE ON day_charges
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('day_charges is not truncated: use DELETE, which asks');

CREATE TRIGGER decisions_truncate_refused BEFORE TRUNCATE ON decisions
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('decisions is append-only: it is the evidence');

CREATE TRIGGER edis_transactions_truncate_refused BEFORE TRUNCATE ON edis_transactions
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('edis_transactions is not truncated: use DELETE, which asks');

CREATE TRIGGER error_log_truncate_refused BEFORE TRUNCATE ON error_log
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('error_log is not truncated: use DELETE, which asks');

CREATE TRIGGER forever_orders_truncate_refused BEFORE TRUNCATE ON forever_orders
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('forever_orders is not truncated: use DELETE, which asks');

CREATE TRIGGER funds_truncate_refused BEFORE TRUNCATE ON funds
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('funds is not truncated: use DELETE, which asks');

CREATE TRIGGER holdings_truncate_refused BEFORE TRUNCATE ON holdings
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('holdings is not truncated: use DELETE, which asks');

CREATE TRIGGER instruments_truncate_refused BEFORE TRUNCATE ON instruments
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('instruments is not truncated: use DELETE, which asks');

CREATE TRIGGER kill_runs_truncate_refused BEFORE TRUNCATE ON kill_runs
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('kill_runs is not truncated: use DELETE, which asks');

CREATE TRIGGER kill_steps_truncate_refused BEFORE TRUNCATE ON kill_steps
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('kill_steps is not truncated: use DELETE, which asks');

CREATE TRIGGER leases_truncate_refused BEFORE TRUNCATE ON leases
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('leases is not truncated: use DELETE, which asks');

CREATE TRIGGER ledger_entries_truncate_refused BEFORE TRUNCATE ON ledger_entries
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('ledger_entries is not truncated: use DELETE, which asks');

CREATE TRIGGER limit_days_truncate_refused BEFORE TRUNCATE ON limit_days
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('limit_days is not truncated: use DELETE, which asks');

CREATE TRIGGER limit_sets_truncate_refused BEFORE TRUNCATE ON limit_sets
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('limit_sets is append-only: it is the evidence');

CREATE TRIGGER live_watches_truncate_refused BEFORE TRUNCATE ON live_watches
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('live_watches is not truncated: use DELETE, which asks');

CREATE TRIGGER margin_requirements_truncate_refused BEFORE TRUNCATE ON margin_requirements
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('margin_requirements is not truncated: use DELETE, which asks');

CREATE TRIGGER marks_truncate_refused BEFORE TRUNCATE ON marks
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('marks is not truncated: use DELETE, which asks');

CREATE TRIGGER order_events_truncate_refused BEFORE TRUNCATE ON order_events
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('order_events is not truncated: use DELETE, which asks');

CREATE TRIGGER order_messages_truncate_refused BEFORE TRUNCATE ON order_messages
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('order_messages is not truncated: use DELETE, which asks');

CREATE TRIGGER order_modifications_truncate_refused BEFORE TRUNCATE ON order_modifications
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('order_modifications is not truncated: use DELETE, which asks');

CREATE TRIGGER orders_truncate_refused BEFORE TRUNCATE ON orders
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('orders is not truncated: use DELETE, which asks');

CREATE TRIGGER permits_truncate_refused BEFORE TRUNCATE ON permits
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('permits is not truncated: use DELETE, which asks');

CREATE TRIGGER pnl_readings_truncate_refused BEFORE TRUNCATE ON pnl_readings
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('pnl_readings is not truncated: use DELETE, which asks');

CREATE TRIGGER positions_truncate_refused BEFORE TRUNCATE ON positions
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('positions is not truncated: use DELETE, which asks');

CREATE TRIGGER postback_configs_truncate_refused BEFORE TRUNCATE ON postback_configs
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('postback_configs is not truncated: use DELETE, which asks');

CREATE TRIGGER postback_events_truncate_refused BEFORE TRUNCATE ON postback_events
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('postback_events is not truncated: use DELETE, which asks');

CREATE TRIGGER postback_ids_truncate_refused BEFORE TRUNCATE ON postback_ids
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('postback_ids is not truncated: use DELETE, which asks');

CREATE TRIGGER quarantine_truncate_refused BEFORE TRUNCATE ON quarantine
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('quarantine is not truncated: use DELETE, which asks');

CREATE TRIGGER rate_limit_tracking_truncate_refused BEFORE TRUNCATE ON rate_limit_tracking
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('rate_limit_tracking is not truncated: use DELETE, which asks');

CREATE TRIGGER refusal_repeats_truncate_refused BEFORE TRUNCATE ON refusal_repeats
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('refusal_repeats is not truncated: use DELETE, which asks');

CREATE TRIGGER risk_violations_truncate_refused BEFORE TRUNCATE ON risk_violations
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('risk_violations is not truncated: use DELETE, which asks');

CREATE TRIGGER settlement_prices_truncate_refused BEFORE TRUNCATE ON settlement_prices
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('settlement_prices is not truncated: use DELETE, which asks');

CREATE TRIGGER snapshots_truncate_refused BEFORE TRUNCATE ON snapshots
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('snapshots is not truncated: use DELETE, which asks');

CREATE TRIGGER state_causes_truncate_refused BEFORE TRUNCATE ON state_causes
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('state_causes is not truncated: use DELETE, which asks');

CREATE TRIGGER sweeps_truncate_refused BEFORE TRUNCATE ON sweeps
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('sweeps is not truncated: use DELETE, which asks');

CREATE TRIGGER traders_control_truncate_refused BEFORE TRUNCATE ON traders_control
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('traders_control is not truncated: use DELETE, which asks');

CREATE TRIGGER trades_truncate_refused BEFORE TRUNCATE ON trades
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('trades is not truncated: use DELETE, which asks');

CREATE TRIGGER unsolicited_orders_truncate_refused BEFORE TRUNCATE ON unsolicited_orders
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('unsolicited_orders is not truncated: use DELETE, which asks');

CREATE TRIGGER upkeep_runs_truncate_refused BEFORE TRUNCATE ON upkeep_runs
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('upkeep_runs is not truncated: use DELETE, which asks');

CREATE TRIGGER websocket_connections_truncate_refused BEFORE TRUNCATE ON websocket_connections
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('websocket_connections is not truncated: use DELETE, which asks');

CREATE TRIGGER websocket_messages_truncate_refused BEFORE TRUNCATE ON websocket_messages
FOR EACH STATEMENT EXECUTE FUNCTION riskguard_refuses('websocket_messages is not truncated: use DELETE, which asks');

CREATE FUNCTION riskguard_names_product() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    NEW.product := coalesce(NEW.product, '');
    RETURN NEW;
END
$body$;

CREATE TRIGGER positions_names_product BEFORE INSERT OR UPDATE ON positions
FOR EACH ROW WHEN (NEW.product IS NULL) EXECUTE FUNCTION riskguard_names_product();

CREATE FUNCTION riskguard_day_baselines_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM public.day_baselines was WHERE was.account = NEW.account AND was.session_date = NEW.session_date) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$body$;

CREATE FUNCTION riskguard_day_baselines_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NEW.account IS DISTINCT FROM OLD.account
        OR NEW.session_date IS DISTINCT FROM OLD.session_date
        OR NEW.adjustment_e4 > OLD.adjustment_e4
        OR NEW.source IS DISTINCT FROM OLD.source
        OR (OLD.opening_equity_e4 IS NOT NULL AND (NEW.opening_equity_e4 <= OLD.opening_equity_e4) IS NOT TRUE) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a day is never re-based: its baseline only goes down, its sums only grow';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER day_baselines_once BEFORE INSERT ON day_baselines
FOR EACH ROW EXECUTE FUNCTION riskguard_day_baselines_once();

CREATE TRIGGER day_baselines_holds BEFORE UPDATE ON day_baselines
FOR EACH ROW EXECUTE FUNCTION riskguard_day_baselines_holds();

CREATE TRIGGER day_baselines_stays BEFORE DELETE ON day_baselines
FOR EACH ROW EXECUTE FUNCTION riskguard_refuses('a day is not forgotten: its baseline, sums and charges stay');

CREATE FUNCTION riskguard_day_books_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM public.day_books was WHERE was.account = NEW.account AND was.session_date = NEW.session_date AND was.exchange_segment = NEW.exchange_segment AND was.security_id = NEW.security_id AND was.product = NEW.product) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$body$;

CREATE FUNCTION riskguard_day_books_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NEW.account IS DISTINCT FROM OLD.account
        OR NEW.session_date IS DISTINCT FROM OLD.session_date
        OR NEW.exchange_segment IS DISTINCT FROM OLD.exchange_segment
        OR NEW.security_id IS DISTINCT FROM OLD.security_id
        OR NEW.product IS DISTINCT FROM OLD.product
        OR NEW.fills < OLD.fills - 1 OR (NEW.fills >= OLD.fills AND (NEW.bought < OLD.bought OR NEW.sold < OLD.sold OR NEW.buy_value_e4 < OLD.buy_value_e4 OR NEW.sell_value_e4 < OLD.sell_value_e4)) OR (NEW.fills = OLD.fills - 1 AND NOT (NEW.bought < OLD.bought AND NEW.sold = OLD.sold AND NEW.sell_value_e4 = OLD.sell_value_e4) AND NOT (NEW.sold < OLD.sold AND NEW.bought = OLD.bought AND NEW.buy_value_e4 = OLD.buy_value_e4))
        OR (EXISTS (SELECT FROM public.day_baselines b WHERE b.account = OLD.account AND b.session_date = OLD.session_date) AND (NEW.start_quantity IS DISTINCT FROM OLD.start_quantity OR (OLD.previous_close_e4 IS NOT NULL AND NEW.previous_close_e4 IS DISTINCT FROM OLD.previous_close_e4))) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a day is never re-based: its baseline only goes down, its sums only grow';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER day_books_once BEFORE INSERT ON day_books
FOR EACH ROW EXECUTE FUNCTION riskguard_day_books_once();

CREATE TRIGGER day_books_holds BEFORE UPDATE ON day_books
FOR EACH ROW EXECUTE FUNCTION riskguard_day_books_holds();

CREATE TRIGGER day_books_stays BEFORE DELETE ON day_books
FOR EACH ROW EXECUTE FUNCTION riskguard_refuses('a day is not forgotten: its baseline, sums and charges stay');

CREATE FUNCTION riskguard_day_charges_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM public.day_charges was WHERE was.account = NEW.account AND was.session_date = NEW.session_date AND was.exchange_segment = NEW.exchange_segment) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$body$;

CREATE FUNCTION riskguard_day_charges_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NEW.account IS DISTINCT FROM OLD.account
        OR NEW.session_date IS DISTINCT FROM OLD.session_date
        OR NEW.exchange_segment IS DISTINCT FROM OLD.exchange_segment
        OR NEW.fills < OLD.fills OR (NEW.fills = OLD.fills AND NEW.turnover_e4 = OLD.turnover_e4 AND NEW.total_e4 < OLD.total_e4) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a day is never re-based: its baseline only goes down, its sums only grow';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER day_charges_once BEFORE INSERT ON day_charges
FOR EACH ROW EXECUTE FUNCTION riskguard_day_charges_once();

CREATE TRIGGER day_charges_holds BEFORE UPDATE ON day_charges
FOR EACH ROW EXECUTE FUNCTION riskguard_day_charges_holds();

CREATE TRIGGER day_charges_stays BEFORE DELETE ON day_charges
FOR EACH ROW EXECUTE FUNCTION riskguard_refuses('a day is not forgotten: its baseline, sums and charges stay');

CREATE FUNCTION riskguard_trades_stay() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF OLD.booked_at_us IS NOT NULL AND OLD.id NOT LIKE '%:told' AND OLD.session_date >= (
        SELECT max(b.session_date) FROM public.day_baselines b WHERE b.account = OLD.account_type) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a fill of the running session is in the book: its row stays';
    END IF;
    RETURN OLD;
END
$body$;

CREATE TRIGGER trades_stay BEFORE DELETE ON trades
FOR EACH ROW EXECUTE FUNCTION riskguard_trades_stay();

CREATE FUNCTION riskguard_memory_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF (OLD.period = '' OR OLD.updated_at_us > floor(extract(epoch FROM clock_timestamp()) * 1000000) - 32 * 86400000000::bigint) AND NOT EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account, 'GLOBAL')) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a limit does not forget: a row of live_watches goes 32 days after its period was last looked at';
    END IF;
    RETURN OLD;
END
$body$;

CREATE FUNCTION riskguard_memory_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF (NEW.account IS DISTINCT FROM OLD.account OR NEW.limit_id IS DISTINCT FROM OLD.limit_id OR NEW.period IS DISTINCT FROM OLD.period OR NEW.written <= OLD.written) AND NOT EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account, 'GLOBAL')) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a limit remembers what riskguard writes: an UPDATE of live_watches must count `written` on';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER live_watches_memory_kept BEFORE DELETE ON live_watches
FOR EACH ROW EXECUTE FUNCTION riskguard_memory_kept();

CREATE TRIGGER live_watches_memory_counts BEFORE UPDATE ON live_watches
FOR EACH ROW EXECUTE FUNCTION riskguard_memory_counts();

CREATE FUNCTION riskguard_control_holds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account_type, 'GLOBAL')) THEN
        RETURN NEW;
    END IF;
    IF (OLD.is_active = 1 AND OLD.control_type = 'KILL_SWITCH' AND upper(coalesce(OLD.kill_switch_status, '') COLLATE "C") NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF')) AND (NEW.is_active = 1 AND NEW.control_type = 'KILL_SWITCH' AND upper(coalesce(NEW.kill_switch_status, '') COLLATE "C") NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND NEW.account_type = OLD.account_type) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'the kill switch is released with `riskguard release`, not with SQL';
    END IF;
    IF (OLD.is_active = 1 AND OLD.control_type <> 'KILL_SWITCH')
        AND (NEW.is_active IS DISTINCT FROM 1
            OR OLD.daily_loss_limit IS NOT NULL AND (NEW.daily_loss_limit <= OLD.daily_loss_limit) IS NOT TRUE OR OLD.position_size_limit IS NOT NULL AND (NEW.position_size_limit <= OLD.position_size_limit) IS NOT TRUE OR OLD.order_value_limit IS NOT NULL AND (NEW.order_value_limit <= OLD.order_value_limit) IS NOT TRUE
            OR NEW.control_type IS DISTINCT FROM OLD.control_type OR NEW.account_type IS DISTINCT FROM OLD.account_type OR NEW.limit_id IS DISTINCT FROM OLD.limit_id OR NEW.check_name IS DISTINCT FROM OLD.check_name OR NEW.parameters IS DISTINCT FROM OLD.parameters OR NEW.scope IS DISTINCT FROM OLD.scope OR NEW.on_breach IS DISTINCT FROM OLD.on_breach OR NEW.mode IS DISTINCT FROM OLD.mode OR NEW.kill_plan IS DISTINCT FROM OLD.kill_plan) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'SQL may tighten a limit, not loosen it: use `riskguard limits apply`';
    END IF;
    RETURN NEW;
END
$body$;

CREATE FUNCTION riskguard_control_row_stays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF OLD.is_active = 1 AND NOT EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (OLD.account_type, 'GLOBAL')) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'a limit or kill in force is not deleted: use `riskguard limits apply` or `riskguard release`';
    END IF;
    RETURN OLD;
END
$body$;

CREATE FUNCTION riskguard_control_supersedes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    was record;
    acting boolean;
    act bigint;
BEGIN
    IF NEW.is_active IS DISTINCT FROM 1 THEN
        RETURN NEW;
    END IF;
    -- Who writes a second row of the same account at the same time waits here, and then sees the first.
    PERFORM FROM public.account_heads h WHERE h.account = NEW.account_type FOR UPDATE;
    -- A row whose id is taken does not come in: refused, passed over, or an UPDATE that is judged as one. Nothing
    -- may step down for it. The lock is for two that bring the same number at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('riskguard traders_control ' || NEW.id, 0));
    IF EXISTS (SELECT FROM public.traders_control c WHERE c.id = NEW.id) THEN
        RETURN NEW;
    END IF;
    acting := EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL'));
    FOR was IN
        SELECT * FROM public.traders_control c
        WHERE c.is_active = 1 AND c.account_type = NEW.account_type ORDER BY c.id
    LOOP
        IF NOT acting AND NEW.control_type = 'KILL_SWITCH' AND (was.is_active = 1 AND was.control_type = 'KILL_SWITCH' AND upper(coalesce(was.kill_switch_status, '') COLLATE "C") NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF')) AND (NEW.is_active = 1 AND NEW.control_type = 'KILL_SWITCH' AND upper(coalesce(NEW.kill_switch_status, '') COLLATE "C") NOT IN ('DEACTIVATE', 'DEACTIVATED', 'INACTIVE', 'OFF') AND NEW.account_type = was.account_type) IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'the kill switch is released with `riskguard release`, not with SQL';
        END IF;
        CONTINUE WHEN was.control_type <> NEW.control_type
            OR coalesce(was.limit_id, '') <> coalesce(NEW.limit_id, '')
            OR coalesce(was.scope, '') <> coalesce(NEW.scope, '');
        IF NOT acting AND was.control_type <> 'KILL_SWITCH' THEN
            IF NEW.control_type IS DISTINCT FROM was.control_type OR NEW.account_type IS DISTINCT FROM was.account_type OR NEW.limit_id IS DISTINCT FROM was.limit_id OR NEW.check_name IS DISTINCT FROM was.check_name OR NEW.parameters IS DISTINCT FROM was.parameters OR NEW.scope IS DISTINCT FROM was.scope OR NEW.on_breach IS DISTINCT FROM was.on_breach OR NEW.mode IS DISTINCT FROM was.mode OR NEW.kill_plan IS DISTINCT FROM was.kill_plan THEN
                RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'SQL may tighten a limit, not loosen it: use `riskguard limits apply`';
            END IF;
            -- The tighter of what both say; `least` passes over what is not said.
            NEW.daily_loss_limit := least(NEW.daily_loss_limit, was.daily_loss_limit);
            NEW.position_size_limit := least(NEW.position_size_limit, was.position_size_limit);
            NEW.order_value_limit := least(NEW.order_value_limit, was.order_value_limit);
        END IF;
    INSERT INTO public.control_changes
            (account, what, control_id, control_type, limit_id, scope, old_values, new_values)
        VALUES (was.account_type, 'SUPERSEDED', was.id, was.control_type, coalesce(was.limit_id, ''),
            coalesce(was.scope, ''), json_build_object('daily_loss_limit', was.daily_loss_limit, 'position_size_limit', was.position_size_limit, 'order_value_limit', was.order_value_limit, 'kill_switch_status', was.kill_switch_status, 'parameters', was.parameters, 'is_active', was.is_active)::text, NULL);
        -- The act is what lets the row step down; it is gone before the statement ends.
        IF NOT acting THEN
            INSERT INTO public.control_actions (account, kind, by_whom, at_us)
            VALUES (NEW.account_type, 'SUPERSEDE', 'trigger', floor(extract(epoch FROM clock_timestamp()) * 1000000))
            RETURNING id INTO act;
        END IF;
        UPDATE public.traders_control c
        SET is_active = 0, deactivated_at = NEW.created_at, updated_at = NEW.updated_at WHERE c.id = was.id;
        IF NOT acting THEN
            DELETE FROM public.control_actions a WHERE a.id = act;
        END IF;
    END LOOP;
    RETURN NEW;
END
$body$;

CREATE FUNCTION riskguard_control_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    -- Whoever listens looks now and not at the next look; nothing rests on it.
    PERFORM pg_notify('riskguard', NEW.account_type);
    IF EXISTS (SELECT FROM public.control_actions a WHERE a.is_open = 1 AND a.account IN (NEW.account_type, 'GLOBAL')) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
    INSERT INTO public.control_changes
        (account, what, control_id, control_type, limit_id, scope, old_values, new_values)
    VALUES (NEW.account_type, 'INSERTED', NEW.id, NEW.control_type, coalesce(NEW.limit_id, ''),
        coalesce(NEW.scope, ''), NULL, json_build_object('daily_loss_limit', NEW.daily_loss_limit, 'position_size_limit', NEW.position_size_limit, 'order_value_limit', NEW.order_value_limit, 'kill_switch_status', NEW.kill_switch_status, 'parameters', NEW.parameters, 'is_active', NEW.is_active)::text);
    ELSE
    INSERT INTO public.control_changes
        (account, what, control_id, control_type, limit_id, scope, old_values, new_values)
    VALUES (NEW.account_type, 'UPDATED', NEW.id, NEW.control_type, coalesce(NEW.limit_id, ''),
        coalesce(NEW.scope, ''), json_build_object('daily_loss_limit', OLD.daily_loss_limit, 'position_size_limit', OLD.position_size_limit, 'order_value_limit', OLD.order_value_limit, 'kill_switch_status', OLD.kill_switch_status, 'parameters', OLD.parameters, 'is_active', OLD.is_active)::text, json_build_object('daily_loss_limit', NEW.daily_loss_limit, 'position_size_limit', NEW.position_size_limit, 'order_value_limit', NEW.order_value_limit, 'kill_switch_status', NEW.kill_switch_status, 'parameters', NEW.parameters, 'is_active', NEW.is_active)::text);
    END IF;
    RETURN NULL;
END
$body$;

CREATE TRIGGER traders_control_holds BEFORE UPDATE ON traders_control
FOR EACH ROW EXECUTE FUNCTION riskguard_control_holds();

CREATE TRIGGER traders_control_row_stays BEFORE DELETE ON traders_control
FOR EACH ROW EXECUTE FUNCTION riskguard_control_row_stays();

CREATE TRIGGER traders_control_supersedes BEFORE INSERT ON traders_control
FOR EACH ROW EXECUTE FUNCTION riskguard_control_supersedes();

CREATE TRIGGER traders_control_kept AFTER INSERT OR UPDATE ON traders_control
FOR EACH ROW EXECUTE FUNCTION riskguard_control_kept();

CREATE FUNCTION riskguard_action_is_closed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM public.control_actions a WHERE a.id = NEW.id AND a.is_open = 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'an act is closed before its transaction ends: set is_open to 0';
    END IF;
    RETURN NULL;
END
$body$;

CREATE CONSTRAINT TRIGGER control_actions_closed AFTER INSERT OR UPDATE ON control_actions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.is_open = 1) EXECUTE FUNCTION riskguard_action_is_closed();

REVOKE ALL ON FUNCTION riskguard_bumps_account() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_bumps_account_type() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_bumps_bare() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_bumps_limits() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_bumps_global() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_refuses() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_names_product() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_baselines_once() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_baselines_holds() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_books_once() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_books_holds() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_charges_once() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_day_charges_holds() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_trades_stay() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_memory_kept() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_memory_counts() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_control_holds() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_control_row_stays() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_control_supersedes() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_control_kept() FROM PUBLIC;

REVOKE ALL ON FUNCTION riskguard_action_is_closed() FROM PUBLIC;

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
 LIMIT 1) AS entry_leg_id, (SELECT leg_target.leg_order_id 
FROM bracket_order_legs AS leg_target 
WHERE leg_target.parent_order_id = o.id AND leg_target.account_type = o.account_type AND leg_target.leg_type = 'TARGET' ORDER BY leg_target.created_at DESC, leg_target.id DESC 
 LIMIT 1) AS target_leg_id, (SELECT leg_sl.leg_order_id 
FROM bracket_order_legs AS leg_sl 
WHERE leg_sl.parent_order_id = o.id AND leg_sl.account_type = o.account_type AND leg_sl.leg_type = 'SL' ORDER BY leg_sl.created_at DESC, leg_sl.id DESC 
 LIMIT 1) AS sl_leg_id, o.status, o.created_at 
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
SELECT t.id, t.order_id, t.account_type, t.exchange_order_id, t.exchange_trade_id, t.security_id, t.exchange_segment, t.trading_symbol, t.side, t.product, t.order_type, t.quantity, t.price, t.trade_value, t.brokerage, t.exchange_charges, t.clearing_charges, t.stt, t.stamp_duty, t.transaction_charges, t.gst, t.total_charges, t.net_amount, t.trade_ts, t.created_at, t.updated_at, t.exchange_time, t.drv_expiry_date, t.drv_option_type, t.drv_strike_price, t.raw_data, o.status AS order_status, o.product AS order_product, t.price + (CASE WHEN (t.side = 'BUY') THEN 1.0 ELSE -1.0 END * coalesce(nullif(t.total_charges, 0.0), 0.0 + coalesce(t.brokerage, 0.0) + coalesce(t.exchange_charges, 0.0) + coalesce(t.clearing_charges, 0.0) + coalesce(t.stt, 0.0) + coalesce(t.stamp_duty, 0.0) + coalesce(t.transaction_charges, 0.0) + coalesce(t.gst, 0.0))) / CAST(t.quantity AS NUMERIC) AS net_price 
FROM trades AS t LEFT OUTER JOIN orders AS o ON o.id = t.order_id ORDER BY t.trade_ts DESC, t.id DESC 
 LIMIT 100;

CREATE VIEW v_active_websocket_connections (id, account_type, connection_id, ws_url, status, subscribed_events, connect_attempts, last_heartbeat_at, connected_at, disconnected_at, created_at, updated_at, seconds_since_heartbeat) AS
SELECT w.id, w.account_type, w.connection_id, w.ws_url, w.status, w.subscribed_events, w.connect_attempts, w.last_heartbeat_at, w.connected_at, w.disconnected_at, w.created_at, w.updated_at, CAST(floor(extract(epoch FROM statement_timestamp())) AS BIGINT) - coalesce(w.last_heartbeat_at, w.connected_at, w.created_at) AS seconds_since_heartbeat 
FROM websocket_connections AS w 
WHERE w.status = 'CONNECTED' AND w.superseded = 0 ORDER BY w.connected_at DESC;

CREATE VIEW v_recent_errors (error_type, severity, error_count, last_occurred, affected_accounts) AS
SELECT e.error_type, e.severity, count(*) AS error_count, max(e.occurred_at) AS last_occurred, string_agg(DISTINCT e.account_type, ',') AS affected_accounts 
FROM error_log AS e 
WHERE e.occurred_at > CAST(floor(extract(epoch FROM statement_timestamp())) AS BIGINT) - 86400 GROUP BY e.error_type, e.severity ORDER BY max(e.occurred_at) DESC;

CREATE VIEW v_sliced_orders (slice_order_id, slice_count, total_quantity, original_quantity, security_id, exchange_segment, side, product, order_type, first_order_time, last_order_time, order_details, executed_count, pending_count, failed_count) AS
SELECT o.slice_order_id, count(*) AS slice_count, sum(o.quantity) AS total_quantity, max(o.total_slice_quantity) AS original_quantity, min(o.security_id) AS security_id, min(o.exchange_segment) AS exchange_segment, min(o.side) AS side, min(o.product) AS product, min(o.order_type) AS order_type, min(o.created_at) AS first_order_time, max(o.created_at) AS last_order_time, string_agg(o.id || ':' || CAST(o.quantity AS TEXT), ',') AS order_details, sum(CASE WHEN (upper(o.status) IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED') AND (upper(o.status) NOT IN ('CANCELLED', 'REJECTED', 'EXPIRED'))) THEN 1 ELSE 0 END) AS executed_count, sum(CASE WHEN ((upper(o.status) NOT IN ('EXECUTED', 'TRADED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'CLOSED'))) THEN 1 ELSE 0 END) AS pending_count, sum(CASE WHEN (upper(o.status) IN ('CANCELLED', 'REJECTED', 'EXPIRED')) THEN 1 ELSE 0 END) AS failed_count 
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
 LIMIT 1) AS entry_leg_id, (SELECT leg_target.leg_order_id 
FROM bracket_order_legs AS leg_target 
WHERE leg_target.parent_order_id = o.id AND leg_target.account_type = o.account_type AND leg_target.leg_type = 'TARGET' ORDER BY leg_target.created_at, leg_target.id 
 LIMIT 1) AS target_leg_id, (SELECT leg_sl.leg_order_id 
FROM bracket_order_legs AS leg_sl 
WHERE leg_sl.parent_order_id = o.id AND leg_sl.account_type = o.account_type AND leg_sl.leg_type = 'SL' ORDER BY leg_sl.created_at, leg_sl.id 
 LIMIT 1) AS sl_leg_id, o.status, o.created_at 
FROM orders AS o 
WHERE (o.bo_profit_value IS NOT NULL OR o.bo_stop_loss_value IS NOT NULL) AND o.status IN ('PENDING', 'TRANSIT', 'OPEN', 'PARTIAL') ORDER BY o.created_at DESC;

CREATE VIEW v3_v_recent_trades (id, order_id, account_type, exchange_order_id, exchange_trade_id, security_id, exchange_segment, trading_symbol, side, product, order_type, quantity, price, trade_value, brokerage, exchange_charges, clearing_charges, stt, stamp_duty, transaction_charges, gst, total_charges, net_amount, trade_ts, created_at, updated_at, exchange_time, drv_expiry_date, drv_option_type, drv_strike_price, raw_data, order_status, "product:1", net_price) AS
SELECT t.id, t.order_id, t.account_type, t.exchange_order_id, t.exchange_trade_id, t.security_id, t.exchange_segment, t.trading_symbol, t.side, t.product, t.order_type, t.quantity, t.price, t.trade_value, t.brokerage, t.exchange_charges, t.clearing_charges, t.stt, t.stamp_duty, t.transaction_charges, t.gst, t.total_charges, t.net_amount, t.trade_ts, t.created_at, t.updated_at, t.exchange_time, t.drv_expiry_date, t.drv_option_type, t.drv_strike_price, t.raw_data, o.status AS order_status, o.product AS "product:1", (t.price - t.brokerage) - t.total_charges AS net_price 
FROM trades AS t LEFT OUTER JOIN orders AS o ON o.id = t.order_id ORDER BY t.trade_ts DESC, t.id DESC 
 LIMIT 100;

CREATE VIEW v3_v_active_websocket_connections (id, account_type, connection_id, ws_url, status, subscribed_events, connect_attempts, last_heartbeat_at, connected_at, disconnected_at, created_at, updated_at, seconds_since_heartbeat) AS
SELECT w.id, w.account_type, w.connection_id, w.ws_url, w.status, w.subscribed_events, w.connect_attempts, w.last_heartbeat_at, w.connected_at, w.disconnected_at, w.created_at, w.updated_at, CAST(floor(extract(epoch FROM statement_timestamp())) AS BIGINT) - w.last_heartbeat_at AS seconds_since_heartbeat 
FROM websocket_connections AS w 
WHERE w.status = 'CONNECTED' AND w.superseded = 0 ORDER BY w.connected_at DESC;

CREATE VIEW v3_v_sliced_orders (slice_order_id, slice_count, total_quantity, original_quantity, security_id, exchange_segment, side, product, order_type, first_order_time, last_order_time, order_details, executed_count, pending_count, failed_count) AS
SELECT o.slice_order_id, count(*) AS slice_count, sum(o.quantity) AS total_quantity, max(o.total_slice_quantity) AS original_quantity, min(o.security_id) AS security_id, min(o.exchange_segment) AS exchange_segment, min(o.side) AS side, min(o.product) AS product, min(o.order_type) AS order_type, min(o.created_at) AS first_order_time, max(o.created_at) AS last_order_time, string_agg(o.id || ':' || CAST(o.quantity AS TEXT), ',') AS order_details, sum(CASE WHEN (o.status = 'EXECUTED') THEN 1 ELSE 0 END) AS executed_count, sum(CASE WHEN (o.status IN ('PENDING', 'TRANSIT', 'OPEN')) THEN 1 ELSE 0 END) AS pending_count, sum(CASE WHEN (o.status IN ('CANCELLED', 'REJECTED')) THEN 1 ELSE 0 END) AS failed_count 
FROM orders AS o 
WHERE o.is_sliced_order = 1 GROUP BY o.slice_order_id;

