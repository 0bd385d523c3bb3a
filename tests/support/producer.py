"""A service at its work: random transactions of a driver, each change with its event. It may be killed at any moment.

    with Producer("of_asyncpg.Asyncpg", env, first=1) as producer:
        producer.start()                    forked off a process that has imported every driver already
        producer.progress.steps             how far it is
        producer.kill()                     as by `kill -9`

`orders` is the service's own table: a row for each change. What a process was at when it was killed, the next one does
again, as a service does whose queue redelivers: those events have idempotency keys.
"""

import gc
import multiprocessing
import os
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Self

import dispatcher.pipeline.emit  # noqa: F401 - loaded once, for all that are forked
from dispatcher.storage.pipeline.emits import MANY
from tests.support import drivers
from tests.support.drivers.base import Driver

ORDERS = "create table orders (id int primary key)"
DEEPEST = 4
KEYED = 3
"""Each third order has a key; so has each that is made outside a transaction."""
REPEATED = 10
BULK = 500_000
"""From here on numbers of orders are those that were made many at a time."""

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    [
        __name__,
        *dict.fromkeys(f"tests.support.drivers.{name.partition('.')[0]}" for name in drivers.NAMES),
        # What the first use would load in each process again.
        *("asyncpg", "flask_sqlalchemy.cli"),
        *(f"sqlalchemy.dialects.postgresql.{name}" for name in ("asyncpg", "psycopg", "psycopg2")),
        *(f"dispatcher.connections.{name}" for name in ("asyncpg", "django", "psycopg", "psycopg2", "sqlalchemy")),
    ]
)


class Progress:
    """What a producer's processes leave to the next of them: steps done, and the next numbers."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._values = _forking.Array("i", [0, first, first + BULK], lock=False)

    @property
    def steps(self) -> int:
        return self._values[0]

    @property
    def next_order(self) -> int:
        return self._values[1]

    def step(self) -> None:
        self._values[0] += 1

    def take_order(self, *, keyed: bool) -> int:
        number = self.next_order
        number += -number % KEYED if keyed else 0
        self._values[1] = number + 1
        return number

    def take_many(self, count: int) -> range:
        self._values[2] += count
        return range(self._values[2] - count, self._values[2])


class Producer(AbstractContextManager["Producer"]):
    """A service on the driver `name`, with the variables `env`; its orders have numbers from `first` on."""

    def __init__(self, name: str, env: Mapping[str, str], *, first: int) -> None:
        self._name = name
        self._env = dict(env)
        self.progress = Progress(first)

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, seed: int, steps: int, *, autocommit: bool = False) -> Self:
        """A process that works until `steps` are done in all; with `autocommit` each statement commits itself."""
        arguments = (self._name, self._env, self.progress, seed, steps, autocommit)
        self._process = _forking.Process(target=work, args=arguments, daemon=True)
        self._process.start()
        return self

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def wait(self, within_s: float) -> None:
        """For its end, at most so long."""
        self._process.join(within_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def work(name: str, env: Mapping[str, str], progress: Progress, seed: int, steps: int, autocommit: bool) -> None:
    """One process, from its start to its end. Where its session is lost it fails, as a service may."""
    gc.freeze()  # or it walks, and copies by that, all that was loaded before
    os.environ.update(env)
    rng = random.Random(seed)
    driver = drivers.a_driver(name, env["DATABASE_URL"], autocommit=autocommit)
    repeat(driver, progress)
    while progress.steps < steps:
        (alone if driver.autocommit else within_transactions)(driver, progress, rng)
        progress.step()
    while driver.depth:
        driver.end(commit=True)
    driver.close()


def repeat(driver: Driver, progress: Progress) -> None:
    """The last orders with keys: whether they have been committed, nobody knows."""
    keyed = [number for number in range(progress.first, progress.next_order) if number % KEYED == 0]
    if not driver.autocommit:
        driver.begin()
    for number in keyed[-REPEATED:]:
        order(driver, number)
    if not driver.autocommit:
        driver.end(commit=True)


def alone(driver: Driver, progress: Progress, _: random.Random) -> None:
    """Each statement is a transaction of its own: killed between two, only doing both again makes it whole."""
    order(driver, progress.take_order(keyed=True))


def within_transactions(driver: Driver, progress: Progress, rng: random.Random) -> None:
    chance = rng.random()
    if not driver.depth or (chance < 0.15 and driver.depth < DEEPEST):
        driver.begin()
    elif chance < 0.55:
        order(driver, progress.take_order(keyed=False))
    elif chance < 0.6:
        many(driver, progress.take_many(MANY + 1 if rng.random() < 0.05 else rng.randint(2, 5)))
    else:
        driver.end(commit=rng.random() < 0.7)


def order(driver: Driver, number: int) -> None:
    driver.execute(f"insert into orders values ({number}) on conflict do nothing")
    driver.emit(number, idempotency_key=None if number % KEYED else f"order-{number}")


def many(driver: Driver, numbers: range) -> None:
    driver.execute(f"insert into orders select generate_series({numbers[0]}, {numbers[-1]})")
    driver.emit_many(numbers)
