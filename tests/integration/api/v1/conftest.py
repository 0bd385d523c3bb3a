"""A company's program that may do everything, and an account of one of its customers."""

import itertools

import pytest

from dispatcher.container import Container
from tests.integration.api.conftest import (
    _container,
    api_database_url,
    api_valkey,
    container,
    pytest_runtest_makereport,
    serve,
    server,
)
from tests.support.api import Server
from tests.support.service import Service

__all__ = ["_container", "api_database_url", "api_valkey", "container", "pytest_runtest_makereport", "serve", "server"]

_numbers = itertools.count(1)


@pytest.fixture
def service(server: Server, container: Container) -> Service:
    return Service.of(server, container)


@pytest.fixture
def customer(service: Service) -> str:
    """The path of a new account."""
    path = f"/accounts/cus.{next(_numbers)}"
    assert service.put(path, json={"time_zone": "UTC"}).status_code == 201
    return path
