"""What all tests share: one Spark session."""

import os
import sys

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
