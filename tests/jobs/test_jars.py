"""Fetching the Java libraries: what is in the way is one sentence."""

import subprocess
import sys


def test_a_file_in_the_way_is_named(tmp_path):
    """A machine whose Python has no place for the libraries."""
    (tmp_path / "share").write_text("a file")
    program = """
import runpy, sys
from unittest import mock
sys.prefix = sys.argv[1]
with mock.patch("subprocess.run", return_value=mock.Mock(returncode=0)):
    runpy.run_module("jobs.jars", run_name="__main__")"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"finelake: {tmp_path}/share: a file stands where a folder is needed; ")
    assert done.stderr.count("\n") == 1
