"""The lock on an open file."""

import os

from finelake.lake.locking import try_lock


def test_a_lock_is_exclusive_and_ends_with_its_file(tmp_path):
    path = tmp_path / "lock"
    with path.open("w") as first, path.open() as second:
        assert try_lock(first) and try_lock(first)
        assert not try_lock(second)
        first.close()
        assert try_lock(second)


def test_a_folder_can_be_locked(tmp_path):
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert try_lock(first) and not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)
