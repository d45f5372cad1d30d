"""A project is found from below; settings come from the environment."""

import pytest

from finelake.lake.config.project import (
    Settings,
    current_folder,
    expanded,
    find_root,
    mask_key,
    publish_folder,
    settings,
    write_atomically,
)
from finelake.lake.errors import UserError

VARIABLES = ("LAKE", "MASTER", "MEMORY", "RANKS", "METRICS")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(f"FINELAKE_{name}", raising=False)


def test_the_nearest_folder_above_with_params_is_the_project(tmp_path):
    (tmp_path / "params.yaml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path


def test_reports_a_missing_project_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="is in no Finelake project .* make one with `finelake init DIR`"):
        find_root(tmp_path)


def test_the_lake_is_in_the_project_or_where_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv("FINELAKE_LAKE", raising=False)
    assert settings(tmp_path).lake == str(tmp_path / "lakehouse")
    monkeypatch.setenv("FINELAKE_LAKE", "s3a://bucket/lake")
    assert settings(tmp_path).lake == "s3a://bucket/lake"


def test_ranks_must_be_a_number(tmp_path, monkeypatch):
    monkeypatch.setenv("FINELAKE_RANKS", "two")
    with pytest.raises(UserError, match="FINELAKE_RANKS is 'two'"):
        settings(tmp_path)


DEFAULTS = {"master": "local[2]", "memory": "2g", "ranks": 1, "metrics": None}


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_counts_as_unset(tmp_path, monkeypatch, empty):
    for name in (*VARIABLES, "MASK_KEY"):
        monkeypatch.setenv(f"FINELAKE_{name}", empty.strip() if name == "MASK_KEY" else empty)
    assert settings(tmp_path) == Settings(lake=str(tmp_path / "lakehouse"), **DEFAULTS)
    assert mask_key() is None


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FINELAKE_LAKE", "~/lake")
    monkeypatch.setenv("FINELAKE_METRICS", "~/a.prom")
    found = settings(tmp_path / "project")
    assert (found.lake, found.metrics) == (str(tmp_path / "home" / "lake"), str(tmp_path / "home" / "a.prom"))
    assert expanded("X", "~root/a").endswith("root/a") and not expanded("X", "~root/a").startswith("~")


@pytest.mark.parametrize("place", [".", "", "..", "/", ".git/lake", ".dvc/cache", "snapshots", "models/a", "a/../."])
def test_a_lake_where_its_tables_would_harm_other_files_is_refused(tmp_path, monkeypatch, place):
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "link").symlink_to(project)
    monkeypatch.setenv("FINELAKE_LAKE", str(project / place) if place != "/" else "/")
    for root in (project, tmp_path / "link", project / ".dvc" / "tmp" / "exps" / "tmpx"):
        with pytest.raises(UserError, match="set FINELAKE_LAKE to a separate folder, such as lakehouse"):
            settings(root)


@pytest.mark.parametrize("place", ["lakehouse", "data/lake", "../lake", "../project-lake", "a#b", "中 文"])
def test_a_separate_folder_is_accepted_as_lake(tmp_path, monkeypatch, place):
    monkeypatch.setenv("FINELAKE_LAKE", place)
    expected = str((tmp_path / "project" / place).resolve())
    assert settings(tmp_path / "project").lake == expected
    # Experiments run in copies of the project, and share its lake.
    assert settings(tmp_path / "project" / ".dvc" / "tmp" / "exps" / "tmpx").lake == expected


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("LAKE", ["~no-such-user/x"], "~no-such-user has no known home; write the whole path"),
        ("LAKE", ["file:///x", "file:x"], "write the path of the folder without file:"),
        ("LAKE", ["params.yaml"], "is a file; move it away or set FINELAKE_LAKE to a folder"),
        ("LAKE", ["a\udcff"], "a.udcff' is not valid utf-8; rename it"),
        ("METRICS", ["/", "."], "FINELAKE_METRICS names the folder"),
        ("METRICS", ["~no-such-user/x"], "~no-such-user has no known home"),
        ("RANKS", ["²", "٣", "0", "00", "-1", "1.5", "1e3", "9" * 20, "two"], "not a number of processes"),
        ("RANKS", ["1025", "999999999"], "more processes than one machine can start; set it to 1024 or less"),
        ("MEMORY", ["2", "2 g", "2gb", "1.5g", "-1g", "g", "many", "²g", "9" * 20 + "g"], "not a size; write it as in"),
        ("MEMORY", ["0g", "1k", "511m", "449M"], "too little for Spark to start; set it to 512m or more"),
        ("MASTER", ["local[0]", "local[]", "locall", "spark", "yarn://", "http://x", "local[2"], "not a Spark master"),
    ],
)
def test_a_setting_that_no_stage_could_work_with_is_named(tmp_path, monkeypatch, name, values, message):
    (tmp_path / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for value in values:
        monkeypatch.setenv(f"FINELAKE_{name}", value)
        with pytest.raises(UserError, match=message):
            settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("MASTER", master) for master in ("local", "local[*]", "local[4,2]", "spark://a:7077,b:7077", "yarn")],
        *[("MASTER", master) for master in ("k8s://https://h:6443", "local-cluster[2,1,1024]")],
        *[("MEMORY", memory) for memory in ("512m", "2G", "600M", "1t")],
    ],
)
def test_masters_that_spark_accepts_are_accepted(tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(f"FINELAKE_{name}", value)
    monkeypatch.setenv("FINELAKE_LAKE", str(tmp_path / "lake"))
    assert getattr(settings(tmp_path / "project"), name.lower()) == value


def test_a_project_whose_path_is_not_text_is_named(tmp_path):
    folder = tmp_path / "a\udcff"
    folder.mkdir()
    (folder / "params.yaml").touch()
    with pytest.raises(UserError, match=r"a.udcff' is not valid utf-8; rename it"):
        find_root(folder)


def test_a_current_folder_that_was_deleted_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    (tmp_path / "a").rmdir()
    with pytest.raises(UserError, match="the current folder was deleted"):
        current_folder()


def test_an_atomic_write_leaves_only_the_file(tmp_path):
    write_atomically(tmp_path / "a" / "b.json", "x")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
    assert (tmp_path / "a" / "b.json").read_text() == "x"


def test_an_atomic_write_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "a", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_published_folder_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    for text in ("one", "two"):
        new = tmp_path / ".model.new"
        new.mkdir()
        (new / "a").write_text(text)
        publish_folder(new, tmp_path / "model")
        assert (tmp_path / "model" / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
