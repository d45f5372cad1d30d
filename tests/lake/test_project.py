"""A project is found from below; settings come from the environment."""

import os
import subprocess
import sys

import pytest

from lake.errors import UserError
from lake.project import find_root, keep_dvc_private, publish_folder, settings, write_atomically


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


def test_dvc_keeps_its_databases_where_only_the_user_can_enter(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".cache" / "finelake").mkdir(parents=True, mode=0o755)
    (tmp_path / "project").mkdir()
    keep_dvc_private()
    for command in (["init", "--quiet", "--no-scm"], ["status", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path / "project", check=True)
    folder = tmp_path / "home" / ".cache" / "finelake"
    assert os.environ["DVC_SITE_CACHE_DIR"] == str(folder / "dvc")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list((folder / "dvc" / "repo").iterdir())


def test_a_chosen_folder_of_dvc_stays_and_a_home_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/chosen")
    keep_dvc_private()
    assert os.environ["DVC_SITE_CACHE_DIR"] == "/chosen"
    (tmp_path / "file").touch()
    monkeypatch.delenv("DVC_SITE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_dvc_private()
    assert "DVC_SITE_CACHE_DIR" not in os.environ
