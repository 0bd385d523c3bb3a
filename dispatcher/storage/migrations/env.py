"""Alembic's entry: runs the versions on the connection that `storage.migrate` hands over, in the schema it names.

A version's statements need not name the schema: for them it is the search_path. The bodies of functions must, because
they run on other connections.
"""

from alembic import context

attributes = context.config.attributes
connection, schema = attributes["connection"], attributes["schema"]
connection.exec_driver_sql(f"set local search_path to {schema}")
context.configure(
    connection=connection,
    version_table=attributes["version_table"],
    version_table_schema=schema,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
