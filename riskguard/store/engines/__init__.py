"""How each database is opened, locked and committed: SQLite and PostgreSQL behind the one `store.session`."""
