"""Where the servers' programs come from."""

import pytest

from dispatcher.errors import ServiceStartFailed
from dispatcher.local.server import package_folder


def test_without_the_extra_it_says_what_to_install_or_to_set() -> None:
    with pytest.raises(ServiceStartFailed) as raised:
        package_folder("no_such_package", "REDIS_URL")

    assert 'pip install "webhook-dispatcher[embedded]"' in str(raised.value)
    assert "set REDIS_URL" in str(raised.value)
