"""What all tests share: one Spark session, one object store."""

import contextlib
import ctypes
import os
import sys
import uuid
from pathlib import Path

import pytest

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def _this_checkout():
    """The tests are of this checkout's code: another one's editable install would be tested in its place."""
    import finelake.lake

    here = Path(__file__).parents[1]
    assert Path(str(finelake.lake.__file__)).is_relative_to(here), f"install {here} with `pip install --editable`"


SECONDS = {"long": 4 * 3600, "slow": 3600}  # a test that takes longer hangs; any other: 1200


def pytest_collection_modifyitems(items):
    """A time limit for every test, by a thread: several tests use the alarm signal themselves."""
    for item in items:
        seconds = next((SECONDS[name] for name in SECONDS if item.get_closest_marker(name)), 1200)
        item.add_marker(pytest.mark.timeout(seconds, method="thread"))


@pytest.fixture(scope="session")
def spark():
    from finelake.jobs.spark.session import open_session

    session = open_session(master="local[2]", memory="1g")
    yield session
    session.stop()


@pytest.fixture
def ordinary_rights():
    """A context in which root, too, may only do what the permissions of files say. Programs started in it may all."""

    @contextlib.contextmanager
    def context():
        libc = ctypes.CDLL(None, use_errno=True)
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        before = sets[0]
        sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of the effective set
        assert libc.capset(header, sets) == 0
        try:
            yield
        finally:
            sets[0] = before
            assert libc.capset(header, sets) == 0

    return context


@pytest.fixture(scope="session")
def object_store(tmp_path_factory):
    """An object store on a free port of the loopback address: the environment that leads to it."""
    from finelake.demo.object_store import serve

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
