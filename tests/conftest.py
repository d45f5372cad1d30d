"""What all tests share: one Spark session, one object store."""

import os
import sys
import uuid

import pytest

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def spark():
    from jobs.session import open_session

    session = open_session(master="local[2]", memory="1g")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory):
    """An object store on a free port of the loopback address: the environment that leads to it."""
    from demo.object_store import serve

    with serve(tmp_path_factory.mktemp("store")) as environment:
        yield environment


@pytest.fixture(scope="module")
def s3_lake(object_store):
    """The root of an empty lake in the object store, with the environment that leads there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.items():
            patch.setenv(name, value)
        yield f"s3a://lake/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def small_project(tmp_path_factory):
    """The small project after `finelake repro split`, committed. Shared: whoever changes it takes a copy."""
    from tests import small

    project = small.make(tmp_path_factory.mktemp("small") / "project")
    small.run(project, "repro", "split")
    small.git(project, "add", "--all")
    small.git(project, "commit", "--quiet", "--message", "first")
    return project
