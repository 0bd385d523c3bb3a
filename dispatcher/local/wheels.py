"""Where the wheels of the `embedded` extra keep their programs. Finds the packages without importing them."""

import importlib.util
from pathlib import Path

from dispatcher.errors import ServiceStartFailed


def package_folder(package: str, variable: str) -> Path:
    """The installed package's folder; raises ServiceStartFailed, which names the extra and the setting."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceStartFailed(
            f"{package} is not installed: pip install "
            f'"webhook-dispatcher[embedded]", or set {variable} to a server of your own'
        )
    return Path(spec.submodule_search_locations[0])
