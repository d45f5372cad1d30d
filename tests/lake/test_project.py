"""A project is found from below; settings come from the environment."""

import pytest

from lake.errors import UserError
from lake.project import find_root, publish_folder, settings, write_atomically


def test_the_nearest_folder_above_with_params_is_the_project(tmp_path):
    (tmp_path / "params.yaml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path


def test_no_project_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="is in no Finelake project .* make one with `finelake init DIR`"):
        find_root(tmp_path)


def test_the_lake_lies_in_the_project_or_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.delenv("FINELAKE_LAKE", raising=False)
    assert settings(tmp_path).lake == str(tmp_path / "lakehouse")
    monkeypatch.setenv("FINELAKE_LAKE", "s3a://bucket/lake")
    assert settings(tmp_path).lake == "s3a://bucket/lake"


def test_ranks_must_be_a_number(tmp_path, monkeypatch):
    monkeypatch.setenv("FINELAKE_RANKS", "two")
    with pytest.raises(UserError, match="FINELAKE_RANKS is 'two'"):
        settings(tmp_path)


def test_an_atomic_write_leaves_the_file_alone(tmp_path):
    write_atomically(tmp_path / "a" / "b.json", "x")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
    assert (tmp_path / "a" / "b.json").read_text() == "x"


def test_a_published_folder_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path):
    for text in ("one", "two"):
        new = tmp_path / ".model.new"
        new.mkdir()
        (new / "a").write_text(text)
        publish_folder(new, tmp_path / "model")
        assert (tmp_path / "model" / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
