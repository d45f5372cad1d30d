"""The settings of a cluster and the user's Spark properties."""

from pathlib import Path

import pytest

from finelake.jobs.spark import cluster, session
from finelake.lake.errors import UserError


@pytest.fixture
def properties(tmp_path, monkeypatch):
    """Write the file of Spark properties that the environment names."""

    def write(text: str) -> Path:
        path = tmp_path / "spark.properties"
        path.write_text(text)
        monkeypatch.setenv(cluster.PROPERTIES, str(path))
        return path

    monkeypatch.delenv(cluster.PROPERTIES, raising=False)
    return write


@pytest.fixture
def packed(monkeypatch):
    """No archive is made."""
    monkeypatch.setattr(cluster, "code_zip", lambda: Path("/p/code.zip"))
    monkeypatch.setattr(cluster, "packages_archive", lambda: Path("/p/packages.tar.gz"))


@pytest.mark.parametrize(
    ("master", "expected"),
    [("local[2]", False), ("local-cluster[2,1,1024]", False), ("spark://h:7077", True), ("yarn", True)],
)
def test_which_masters_have_separate_executors(master, expected):
    assert cluster.is_cluster(master) is expected


def test_properties_are_names_and_values(properties):
    properties("# memory\nspark.a 1g\n\nspark.b = x y\nspark.c=k=v\n  spark.d:\t5\n")
    assert cluster.properties() == {"spark.a": "1g", "spark.b": "x y", "spark.c": "k=v", "spark.d": "5"}


def test_without_a_file_there_are_none(properties):
    assert cluster.properties() == {}


@pytest.mark.parametrize("line", ["executor.memory 1g", "spark.executor.memory", "spark.executor.memory ="])
def test_names_a_line_that_is_not_a_property_without_its_value(properties, line):
    properties(line)
    with pytest.raises(UserError, match=line.split()[0]):
        cluster.properties()


def test_a_missing_file_is_named(properties):
    properties("").unlink()
    with pytest.raises(UserError, match="FINELAKE_SPARK_PROPERTIES names .*spark.properties"):
        cluster.properties()


def test_what_decides_the_data_cannot_be_set(properties):
    properties("spark.sql.session.timeZone Asia/Shanghai\n")
    with pytest.raises(UserError, match="sets spark.sql.session.timeZone, which Finelake sets itself"):
        session.settings("local[2]", "1g")


def test_a_cluster_gets_code_and_packages_and_no_loopback_address(properties, packed):
    properties("spark.executor.memory 3g\nspark.ui.enabled true\n")
    chosen = session.settings("spark://h:7077", "1g")
    assert chosen["spark.archives"] == "/p/packages.tar.gz#packages"
    assert chosen["spark.submit.pyFiles"] == "/p/code.zip"
    assert chosen["spark.executorEnv.PYTHONPATH"] == "packages"
    assert (chosen["spark.executor.memory"], chosen["spark.ui.enabled"]) == ("3g", "true")
    assert "spark.driver.host" not in chosen and "spark.sql.shuffle.partitions" not in chosen
    assert "spark.archives" not in session.settings("local[2]", "1g")


def test_the_python_of_executors_is_named_by_property_variable_or_version(properties, monkeypatch):
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    assert cluster.worker_python() == "python3.11"
    monkeypatch.setenv("PYSPARK_PYTHON", "/a/python")
    assert cluster.worker_python() == "/a/python"
    properties("spark.pyspark.python /b/python")
    assert cluster.worker_python() == "/b/python"
