"""Files that commands take: keys are the text that people wrote."""

from io import StringIO

import click
import pytest

from dispatcher.cli.yaml_file import read_yaml


def test_keys_that_yaml_takes_for_booleans_or_numbers_stay_text() -> None:
    document, _ = read_yaml(StringIO("{on: {type: string}, 0123: a, properties: {no: {type: boolean}}}"))

    assert document == {"on": {"type": "string"}, "0123": "a", "properties": {"no": {"type": "boolean"}}}


def test_a_key_that_stands_twice_is_refused_with_its_line() -> None:
    file = StringIO("schema: {}\nschema: {}\n")
    file.name = "type.yaml"

    with pytest.raises(click.ClickException, match=r"type\.yaml: schema is there twice.*line 2"):
        read_yaml(file)
