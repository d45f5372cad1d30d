"""Two `finelake repro` at once, on one project and on two clones of one lake: both finish, or one says why not."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests import small
from tests.faults.outcomes import Around, Ended, data_files, lost, run

NO_JAVA = Around(variables={"JAVA_HOME": "/nowhere"})


def at_once(*projects: Path, around: Around | None = None) -> list[Ended]:
    with ThreadPoolExecutor(len(projects)) as pool:
        return list(pool.map(lambda project: run(project, "repro", "split", around=around, seconds=900), projects))


@pytest.mark.slow
def test_two_that_have_nothing_to_do(finished, ledger):
    before = data_files(finished)
    for number, ended in enumerate(at_once(finished, finished, around=NO_JAVA)):
        ledger.judge(f"nothing to do, {number + 1} of 2", ended, gone=lost(finished, before))
    ledger.check(2)


@pytest.mark.long
def test_two_on_one_project(small_project, ledger, tmp_path):
    """With another parameter, so that four stages have to run."""
    alone, project = (shutil.copytree(small_project, tmp_path / name / "project") for name in ("alone", "both"))
    for folder in (alone, project):
        params = yaml.safe_load((folder / "params.yaml").read_text())
        params["clean"]["outliers"]["sigmas"] = 1.2
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
    small.run(alone, "repro", "split")
    before = data_files(project)
    ended = at_once(project, project)
    for number, found in enumerate(ended):
        ledger.judge(f"one project, {number + 1} of 2", found, gone=lost(project, before))
    assert 0 in [found.code for found in ended], ended
    small.run(project, "repro", "split")
    assert small.manifests(project) == small.manifests(alone)
    assert small.run(project, "verify", "--deep").endswith("rows).\n")
    ledger.check(2)


@pytest.mark.long
def test_two_clones_on_one_lake(small_project, ledger, tmp_path):
    """From nothing, so that both write the same tables at the same time."""
    clones = [small.make(tmp_path / name / "project") for name in ("one", "two")]
    lake = Around(variables={"FINELAKE_LAKE": str(tmp_path / "lake")})
    for number, ended in enumerate(at_once(*clones, around=lake)):
        ledger.judge(f"two clones, {number + 1} of 2", ended)
    for clone in clones:
        assert small.manifests(clone) == small.manifests(small_project)
        ledger.judge("verify --deep behind both", run(clone, "verify", "--deep", around=lake))
    ledger.check(4)
