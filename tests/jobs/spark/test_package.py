"""What executors get: the code and every package that a stage may import, and no more."""

import importlib.metadata
import sys
import tarfile
import zipfile

import pytest

from finelake.jobs.spark import package


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "FOLDER", tmp_path)
    return tmp_path


def names(found) -> set[str]:
    return {distribution.name.lower().replace("_", "-") for distribution in found}


def test_the_zip_holds_text_lake_and_jobs_and_its_bytes_depend_only_on_them(folder):
    target = package.code_zip()
    with zipfile.ZipFile(target) as archive:
        listed = set(archive.namelist())
    assert {"finelake/__init__.py", "finelake/jobs/__init__.py", "finelake/jobs/dedup.py"} <= listed
    assert {"finelake/lake/tables/snapshots.py", "finelake/text/normalise.py"} <= listed
    assert {name.split("/")[1] for name in listed} == {"__init__.py", "jobs", "lake", "text"}
    before = target.read_bytes()
    target.unlink()
    assert package.code_zip().read_bytes() == before


def test_a_changed_source_gives_another_zip(folder, monkeypatch, tmp_path):
    source = tmp_path / "source.py"
    source.write_text("a = 1\n")
    monkeypatch.setattr(package, "own_modules", lambda: {"finelake/jobs/__init__.py": source})
    first = package.code_zip()
    source.write_text("a = 2\n")
    assert package.code_zip().name != first.name
    assert sorted(folder.glob("finelake-*.zip")) == sorted([first, package.code_zip()])


def test_imports_are_followed_into_functions_and_own_modules():
    found = package.imported(["finelake.jobs.tokenize", "finelake.jobs.sources.kinds"])
    assert {"tokenizers", "yaml", "cv2", "rapidocr", "pypdfium2", "pandas", "onnxruntime"} <= found
    assert not found & {"finelake", "jobs", "lake", "pyspark", "os", "torch", "dvc"}


def test_everything_that_a_package_requires_is_packed_except_torch():
    found = names(package.distributions(package.imported(package.PROGRAMS)))
    assert {"numpy", "pandas", "pyarrow", "python-dateutil", "scipy", "deltalake", "tokenizers", "omegaconf"} <= found
    assert not found & {"torch", "pyspark", "py4j", "dvc", "duckdb", "transformers", "petastorm"}


def test_the_archive_unpacks_to_site_packages_and_its_bytes_depend_only_on_the_files(folder):
    chosen = [importlib.metadata.distribution(name) for name in ("six", "python-dateutil")]
    contents = []
    for name in ("one", "two"):
        package._pack(chosen, folder / name)
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]
    with tarfile.open(folder / "one") as archive:
        listed = archive.getnames()
        assert {member.mtime for member in archive.getmembers()} == {0}
    assert {"six.py", "dateutil/parser/_parser.py"} <= set(listed)
    assert not [name for name in listed if name.startswith("..") or name.endswith(".pyc")]
    assert list(folder.glob("tmp*")) == []


def test_an_archive_is_made_once_for_the_same_versions(folder, monkeypatch, capsys):
    monkeypatch.setattr(package, "distributions", lambda _: [importlib.metadata.distribution("six")])
    made = package.packages_archive()
    assert f"py{sys.version_info.major}{sys.version_info.minor}-" in made.name
    assert "Packing 1 Python packages" in capsys.readouterr().err
    assert package.packages_archive() == made
    assert capsys.readouterr().err == ""
