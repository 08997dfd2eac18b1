"""
Alembic's environment: runs the versions on the connection riskguard hands over.

There is no `alembic.ini`: `riskguard db upgrade` and `riskguard init` are the way in, because they take the
backup, show the progress and refuse what they do not know.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=False, transaction_per_migration=False)
context.run_migrations()
