"""In a service's own database: its migrations and ours, in either order; its `accounts` and `events` beside ours."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from dispatcher import emit
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.settings import Settings
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, rows
from tests.support.builders import SECRET_KEY, a_webhook, an_account
from tests.support.drivers.base import sqlalchemy_url
from tests.support.places import ROOT

NAMES = ("accounts", "users", "events")


@pytest.fixture
def container(empty_database_url: str, redis_url: str) -> Iterator[Container]:
    """Of a database that nobody has migrated."""
    url = empty_database_url
    settings = Settings(database_url=url, redis_url=redis_url, broker_url=redis_url, secret_keys=(SECRET_KEY,))
    made = Container(settings)
    use_container(made)
    yield made
    use_container(None)
    made.close()


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


ENV = """
from alembic import context
from sqlalchemy import create_engine

from tests.integration.storage.test_beside_a_service import Base

with create_engine(context.config.get_main_option("url")).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
# Its first revision has a number that is one of the dispatcher's, too.
REVISION = """
from alembic import op

from tests.integration.storage.test_beside_a_service import Base

revision, down_revision = "0008", None


def upgrade():
    Base.metadata.create_all(op.get_bind())


def downgrade():
    Base.metadata.drop_all(op.get_bind())
"""


@pytest.fixture
def alembic(empty_database_url: str, tmp_path: Path) -> Config:
    """The migrations of a service with SQLAlchemy, as `alembic init` lays them out."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions" / "0008_first.py").write_text(REVISION)
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("url", sqlalchemy_url(empty_database_url, "psycopg2"))
    return config


Step = Callable[[Config, Storage], object]
OURS: Step = lambda _, storage: migrate.upgrade(storage)  # noqa: E731
ITS: Step = lambda config, _: command.upgrade(config, "head")  # noqa: E731


@pytest.mark.parametrize("steps", [(ITS, OURS), (OURS, ITS)], ids=["its first", "ours first"])
def test_a_service_with_sqlalchemy_and_alembic(
    alembic: Config, container: Container, empty_database_url: str, steps: tuple[Step, ...]
) -> None:
    storage = container.storage
    for step in (*steps, *steps):
        step(alembic, storage)
    migrate.check(storage)
    command.check(alembic)  # to it there is nothing in the database but what its models say

    account = an_account(storage)
    a_webhook(storage, account)
    engine = create_engine(sqlalchemy_url(empty_database_url, "psycopg2"))
    with Session(engine) as session:
        session.add(Event(id=1, title="its own"))
        session.flush()
        emit("inbox_file_removed_all", account=account.slug, connection=session, inbox_files={"count": 3})
        session.commit()
        session.add(Event(id=2, title="never was"))
        emit("inbox_file_removed_all", account=account.slug, connection=session, inbox_files={"count": 4})
        session.rollback()
    engine.dispose()

    assert storage.transact(rows, "select id, title from public.events") == [(1, "its own")]
    assert storage.transact(rows, "select name, body->'inbox_files'->>'count' from dispatcher.events") == [
        ("inbox_file_removed_all", "3")
    ]
    command.downgrade(alembic, "base")
    migrate.check(storage)
    assert storage.transact(rows, "select count(*) from dispatcher.events") == [(1,)]


DJANGO = {
    "shop/__init__.py": "",
    "shop/settings.py": """
import os
from urllib.parse import urlsplit

url = urlsplit(os.environ["DATABASE_URL"])
SECRET_KEY = "x"
INSTALLED_APPS = ["shop", "dispatcher.contrib.django"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username,
    "PASSWORD": url.password, "HOST": url.hostname, "PORT": url.port,
}}
""",
    "shop/models.py": """
from django.db import models


class Account(models.Model):
    class Meta:
        db_table = "accounts"


class User(models.Model):
    class Meta:
        db_table = "users"


class Event(models.Model):
    title = models.TextField()

    class Meta:
        db_table = "events"
""",
    "migrations.py": """
import importlib

import django
from django.core.management import call_command

django.setup()
call_command("makemigrations", "shop")
importlib.invalidate_caches()
call_command("migrate")
call_command("migrate")
""",
    "emit.py": """
import django
from django.core.management import call_command
from django.db import connection, transaction

django.setup()

from dispatcher import emit
from dispatcher.contrib.django.models import EventRecord
from shop.models import Event

for count, keep in ((3, True), (4, False)):
    with transaction.atomic():
        Event.objects.create(title=f"its own {count}")
        emit("inbox_file_removed_all", account="applecorp", connection=connection, inbox_files={"count": count})
        transaction.set_rollback(not keep)
call_command("check", "--database", "default")
call_command("makemigrations", "--check")
print(*Event.objects.values_list("title", flat=True), *EventRecord.objects.values_list("name", "account__slug"))
""",
}


@pytest.mark.parametrize("ours_first", [False, True], ids=["its first", "ours first"])
def test_a_service_with_django(
    container: Container, empty_database_url: str, redis_url: str, tmp_path: Path, ours_first: bool
) -> None:
    for name, text in DJANGO.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.lstrip())
    env = os.environ | {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url, "SECRET_KEYS": SECRET_KEY}
    env |= {"DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    def run(script: str) -> list[str]:
        done = subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    if ours_first:
        migrate.upgrade(container.storage)
    assert run("migrations.py")[-1] == "  No migrations to apply."
    migrate.check(container.storage)
    an_account(container.storage, "applecorp")

    assert run("emit.py")[-1] == "its own 3 ('inbox_file_removed_all', 'applecorp')"
    assert container.storage.transact(rows, "select count(*) from dispatcher.events") == [(1,)]
