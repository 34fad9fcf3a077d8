import uuid

import pytest
import shop


@pytest.fixture
def connection():
    with shop.connect() as c:
        c.autocommit = True
        yield c


@pytest.fixture
def tenant():
    return str(uuid.uuid4())


def test_items_are_the_tenants_own(connection, tenant):
    shop.add_item(connection, tenant, "confidential-item-name")
    assert shop.items(connection, tenant) == ["confidential-item-name"]
    assert shop.items(connection, str(uuid.uuid4())) == []


def test_items_are_often_listed(connection, tenant):
    for _ in range(10):  # from the fifth on psycopg prepares the statements
        assert shop.items(connection, tenant) == []


def test_import(connection, tenant):
    shop.import_items(connection, tenant, ["a", "b"])
    assert shop.items(connection, tenant) == ["a", "b"]


def test_notes_in_a_pipeline(connection, tenant):
    item = shop.add_item(connection, tenant, "x")
    shop.add_notes(connection, tenant, item, ["one", "two", "three"])


def test_report(connection):
    assert shop.daily_report(connection) == 0
