"""What all kinds of sources have in common."""

import pytest

from finelake.jobs.sources.source import expand
from finelake.lake.errors import UserError
from tests.jobs.sources.examples import API, DATABASE, DOCUMENTS, FILES, parsed


def test_secrets_stay_out_of_sources():
    source = parsed(DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"})
    assert "tell-nobody" not in repr(source)
    assert expand(source.password, "x", {"PW": "tell-nobody"}) == "tell-nobody"


def test_a_variable_that_is_not_set_is_named_when_the_source_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("PW", raising=False)
    source = parsed(DATABASE | {"url": "jdbc:postgresql://h/b", "password": "${PW}"})
    with pytest.raises(UserError, match="sources.x needs the environment variable PW, which is not set"):
        source.check(tmp_path, "x")


def test_variables_are_those_that_a_reading_needs():
    source = parsed(DATABASE | {"url": "jdbc:postgresql://${HOST}/b", "password": "${PW}", "facts": ["${A}"]})
    assert source.variables() == ["HOST", "PW"]
    assert parsed(API).variables() == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (DATABASE, "bank.db"),
        (DATABASE | {"url": "jdbc:postgresql://h/b"}, None),
        (FILES, "data/*.csv"),
        (API, "landing"),
        (DOCUMENTS | {"path": "${FOLDER}/documents"}, "/mnt/documents"),
    ],
)
def test_the_file_or_folder_that_a_source_reads(fields, path, monkeypatch):
    monkeypatch.setenv("FOLDER", "/mnt")
    assert parsed(fields).local_path("x") == path


@pytest.mark.parametrize("fields", [DATABASE, FILES, DOCUMENTS])
def test_only_an_api_is_pulled(fields, tmp_path):
    with pytest.raises(UserError, match="source x is not an API; only sources of kind api are pulled"):
        parsed(fields).pull(tmp_path, "x")
