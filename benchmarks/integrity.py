"""The cost of comparing the SHA-256 of every file that a stage reads: its share of the stage's processor time.

    python benchmarks/integrity.py PROJECT [--stages clean dedup mask split]

PROJECT is a project whose stages ran, such as this repository after `make demo`; nothing in it is changed: each stage
runs in a copy of the manifests on a copy of the lake. The digests of its inputs are computed in a separate process
that knows none of them, as in a stage; then the whole stage runs (JVM included).
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECK = """
import sys
from pathlib import Path
from finelake.jobs.stage import load_stage
from finelake.lake.tables import snapshots
root, lake, stage = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
for key in load_stage(stage).reads:
    source, _, name = key.partition(".")
    if key != "sources":
        list(snapshots.problems(lake, snapshots.read_manifest(root, source)[name], deep=sys.argv[4] == "deep"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--stages", nargs="+", default=["clean", "dedup", "mask", "annotate", "split"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "project"
        copy.mkdir()
        for name in ("params.yaml", "dvc.yaml", "snapshots", "lakehouse"):
            source = options.project / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy / name)
        print("stage      bytes read  check, s  stage, s  share")
        for stage in options.stages:
            print(measure(copy, stage), flush=True)


def measure(project: Path, stage: str) -> str:
    lake = str(project / "lakehouse")
    # Both processes import the same and read the same log: the difference is the reading of the bytes.
    seconds = {how: processor([sys.executable, "-c", CHECK, str(project), lake, stage, how], project) for how in HOWS}
    check = max(seconds["deep"] - seconds["sizes"], 0.0)
    whole = processor([sys.executable, "-m", "finelake.cli", "run", stage], project)
    return f"{stage:<9} {size(project, stage):>11,} {check:9.2f} {whole:9.1f} {check / whole:6.2%}"


HOWS = ("sizes", "deep")


def size(project: Path, stage: str) -> int:
    """Bytes of the files that the stage's inputs consist of."""

    from finelake.jobs.stage import load_stage
    from finelake.lake.tables import snapshots

    keys = [key.partition(".") for key in load_stage(stage).reads if key != "sources"]
    tables = [snapshots.read_manifest(project, source)[name] for source, _, name in keys]
    return sum(os.path.getsize(path) for t in tables for path in snapshots.files(str(project / "lakehouse"), stage, t))


def processor(command: list[str], folder: Path) -> float:
    """Processor seconds of a command and all that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
