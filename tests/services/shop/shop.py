"""A small application with tenants, as gate 1's recorder meets it: psycopg, bound parameters, transactions.

daily_report forgets to say who the tenant is: the path that the gate has to find.
"""
import os

import psycopg


def connect():
    # A pooler in transaction mode (before pgbouncer 1.21) hands out sessions that do not know what was prepared in others.
    threshold = None if "SHOP_POOLED" in os.environ else 5
    return psycopg.connect(os.environ["DATABASE_URL"], application_name="shop", prepare_threshold=threshold)


def for_tenant(connection, tenant):
    """States the tenant for the transaction that is open."""
    connection.execute("select set_config('app.current_tenant_id', %s, true)", (tenant,))


def add_item(connection, tenant, name):
    with connection.transaction():
        for_tenant(connection, tenant)
        row = connection.execute("insert into items (tenant_id, name) values (%s, %s) returning id", (tenant, name)).fetchone()
        return row[0]


def items(connection, tenant):
    with connection.transaction():
        for_tenant(connection, tenant)
        return [name for (name,) in connection.execute("select name from items order by id")]


def import_items(connection, tenant, names):
    with connection.transaction():
        for_tenant(connection, tenant)
        connection.cursor().executemany("insert into items (tenant_id, name) values (%s, %s)", [(tenant, name) for name in names])


def add_notes(connection, tenant, item, bodies):
    with connection.transaction(), connection.pipeline():
        for_tenant(connection, tenant)
        for body in bodies:
            connection.execute("insert into notes (item_id, tenant_id, body) values (%s, %s, %s)", (item, tenant, body))


def daily_report(connection):
    with connection.transaction():
        return connection.execute("select count(*) from notes where body like %s", ("%urgent%",)).fetchone()[0]
