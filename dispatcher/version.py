"""The version of this distribution. `pyproject.toml` reads it from here, so that no process has to look it up."""

VERSION = "0.1.0"
