"""`finelake init` in unusual folders: a project, or one sentence that names the obstacle."""

import pytest

from finelake import cli


@pytest.fixture
def init(tmp_path, monkeypatch, capsys):
    """Run `finelake init` below a temporary folder: (exit code, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(folder: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as exit:
            cli.main(["init", "--", folder])
        return exit.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("name", ["c# ?%20", "a [1] {b}", "中 文", "-x", "a'b\"c$d"])
def test_odd_names_of_folders(init, tmp_path, name):
    assert init(name) == (0, "")
    assert (tmp_path / name / ".dvc" / "config").is_file() and (tmp_path / name / "params.yaml").is_file()


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_file_in_the_way_is_named(init, tmp_path, folder):
    (tmp_path / "file").touch()
    code, error = init(folder)
    assert code == 2
    assert error.startswith("finelake: file: a file stands where a folder is needed; move that file away")
    assert error.count("\n") == 1


def test_a_folder_that_is_not_text_is_named(init, tmp_path, monkeypatch):
    (tmp_path / "a\udcff").mkdir()
    monkeypatch.chdir(tmp_path / "a\udcff")
    code, error = init("b")
    assert code == 2 and "is not valid utf-8; rename it" in error and error.count("\n") == 1


def test_a_folder_without_permission_is_named(init, tmp_path, ordinary_rights):
    tmp_path.chmod(0o555)
    with ordinary_rights():
        code, error = init("mine")
    tmp_path.chmod(0o755)
    assert code == 2 and "permission denied; give this user access to it" in error and error.count("\n") == 1
