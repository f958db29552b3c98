"""What Alembic runs (it executes this file): the versions, on the connection, in the transaction, that it is given."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["table"])
with context.begin_transaction():
    context.run_migrations()
