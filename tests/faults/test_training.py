"""base, train and evaluate killed at many points, and checkpoints damaged: the weights of an undisturbed run.

A training that is started again goes on from an intact checkpoint or refuses a damaged one, and never runs what stands
in an altered file.
"""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import small
from tests.faults import killer
from tests.faults.damage import Damage, cuts, flips
from tests.faults.outcomes import Ledger, Outcome, run
from tests.faults.sizes import SEED, chosen, sizes

TINY = {
    "task": "instruct",
    "seed": 0,
    "select": {"where": "facts['channel'] is not null", "target": "{facts.channel}"},
    "base": {
        "kind": "scratch",
        "vocab_size": 600,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 2,
        "max_steps": 30,
        "max_length": 64,
    },
    "tokenize": {"max_length": 96, "shards": 2},
    "train": {
        "strategy": "full",
        "epochs": 4,
        "global_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
        "save_steps": 4,
    },
    "evaluate": {"max_new_tokens": 4, "bootstrap": 100},
}
CHECKPOINTS = Path(".finelake/checkpoints/tiny")
TRAINING = ("base", "train", "evaluate")
# Points of a stage, and for how many milliseconds after it began one may be chosen.
POINTS: dict[str, list[tuple[str, str, int]]] = {
    "base": [
        *[("finelake.training.base._cosine", "after", nth) for nth in (1, 15, 30)],
        *[("os.rename", when, nth) for when in ("before", "after") for nth in (1, 2)],
        ("os.fsync", "after", 2),
    ],
    "train": [
        *[("finelake.training.train.set_rates", "after", nth) for nth in (1, 5, 9, 20)],
        *[("torch.save", when, nth) for when in ("before", "after", "1") for nth in (1, 2, 4, 7)],
        *[("os.replace", when, nth) for when in ("before", "after") for nth in (1, 2, 3, 5, 8)],
        *[("shutil.rmtree", when, nth) for when in ("before", "after") for nth in (1, 2)],
    ],
    "evaluate": [*[("os.replace", when, nth) for when in ("before", "after") for nth in (1, 2)]],
}
BEGINNING = {
    "base": "finelake.training.base.run",
    "train": "finelake.training.train.fit",
    "evaluate": "finelake.training.evaluate.run",
}
MILLISECONDS = {"base": 1500, "train": 2500, "evaluate": 2500}


@dataclass(frozen=True)
class Trained:
    """A project with a trained run, and what an undisturbed training wrote."""

    project: Path
    results: dict[str, object]
    files: frozenset[str]


@pytest.fixture(scope="module")
def trained(small_project, tmp_path_factory) -> Trained:
    project = shutil.copytree(small_project, tmp_path_factory.mktemp("trained") / "project")
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"runs": {"tiny": TINY}}))
    small.run(project, "repro")
    return Trained(project, results(project), files(project))


def results(project: Path) -> dict[str, object]:
    """Weights, tokenizer, figures (but times and speeds) and manifests."""
    found: dict[str, object] = {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted((project / "models").rglob("*"))
        if path.is_file()
    }
    for path in sorted((project / "metrics" / "tiny").glob("*.json")):
        found[path.name] = _without_speed(json.loads(path.read_text()))
    return found | dict(small.manifests(project))


def _without_speed(value):
    if isinstance(value, dict):
        return {key: _without_speed(item) for key, item in value.items() if "second" not in key and "memory" not in key}
    return value


def files(project: Path) -> frozenset[str]:
    """What a run leaves: the project's files but DVC's, Git's and the logs."""
    found = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    kept = (path for path in found if path.parts[0] not in (".git", ".dvc", "lakehouse") and path.suffix != ".log")
    return frozenset(map(str, kept))


def kills() -> list[tuple[str, str]]:
    """(stage, point) of each kill, by stage and in an order that a seed gives."""
    dice = random.Random(SEED)
    found = []
    for stage in TRAINING:
        timed = [(BEGINNING[stage], str(dice.randrange(50, MILLISECONDS[stage])), 1) for _ in range(6)]
        points = [*POINTS[stage], *timed]
        dice.shuffle(points)
        found += [(stage, f"{stage}@tiny {name} {when} {nth}") for name, when, nth in points]
    return found


@sizes(few=6, many=60)
def test_killed_training_ends_in_the_weights_of_an_undisturbed_one(trained, tmp_path, ledger, size):
    project = shutil.copytree(trained.project, tmp_path / "project", symlinks=True)
    program = killer.make(tmp_path / "bin")
    for stage in TRAINING:
        for _, point in [kill for kill in chosen(kills(), size) if kill[0] == stage]:
            command = [str(program), "run", f"{stage}@tiny"]
            code, log, reached = killer.die(program, project, point, "all", command)
            # What is quicker than its timer, or has fewer calls, ends undisturbed.
            fine = code == -9 if reached else code == 0
            outcome = Outcome.TRACEBACK if "Traceback" in log else Outcome.HELD if fine else Outcome.WRONG
            ledger.add(point, outcome, f"exit {code}: {log[-300:]}")
        ended = run(project, "run", f"{stage}@tiny")
        ledger.judge(f"{stage} after its kills", ended)
    assert results(project) == trained.results
    assert left_over(project, trained) == []
    ledger.check(min(size, 40))


def left_over(project: Path, trained: Trained) -> list[str]:
    """What is there after the kills and was not after an undisturbed run."""
    return sorted(files(project) - trained.files)


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(trained, tmp_path_factory) -> Path:
    """The trained project, whose training was started again and killed behind its fourth checkpoint."""
    project = shutil.copytree(trained.project, tmp_path_factory.mktemp("interrupted") / "project", symlinks=True)
    program = killer.make(project.parent / "bin")
    command = [str(program), "run", "train@tiny"]
    code, log, _ = killer.die(program, project, "train@tiny finelake.training.train.set_rates after 18", "all", command)
    assert code == -9, log
    assert list((project / CHECKPOINTS).rglob("step-*.json"))
    return project


def damages(project: Path) -> Iterator[Damage]:
    """Every file of the checkpoints by bit, cut and absence, and what the newest record may hold."""
    dice = random.Random(SEED)
    for path in sorted((project / CHECKPOINTS).rglob("*")):
        if path.is_file():
            content, name = path.read_bytes(), path.relative_to(project)
            yield from flips(name, content, 2, dice)
            yield from cuts(name, content)
    newest = newest_record(project).relative_to(project)
    for text in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"files": {"../x": "0"}}',
        b'{"files": {}, "best_epoch": null}',
    ):
        yield Damage(newest, f"holds {text!r}", lambda content, text=text: text)  # type: ignore[misc]


def newest_record(project: Path) -> Path:
    return max((project / CHECKPOINTS).rglob("step-*.json"))


@sizes(few=3, many=40)
def test_a_damaged_checkpoint_is_refused_or_passed_over(trained, interrupted, tmp_path, ledger, size):
    for damage in chosen(list(damages(interrupted)), size, seed=3):
        project = shutil.copytree(interrupted, tmp_path / "project", symlinks=True)
        _apply(project, damage)
        resumed(project, trained, str(damage), ledger)
        shutil.rmtree(project)
    ledger.check(min(size, 30))


def _apply(project: Path, damage: Damage) -> None:
    path = project / damage.path
    content = damage.change(path.read_bytes())
    path.unlink()
    if content is not None and content.startswith(b"\0a folder"):
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)


def resumed(project: Path, trained: Trained, case: str, ledger: Ledger) -> None:
    ended = run(project, "run", "train@tiny")

    def right(ended) -> bool:
        model = {name: value for name, value in results(project).items() if "model" in name}
        return ended.code == 0 and model == {name: trained.results[name] for name in model}

    ledger.judge(case, ended, right)


@sizes(few=1, many=3)
def test_what_stands_in_an_altered_checkpoint_never_runs(trained, interrupted, tmp_path, ledger, size):
    """The file is a pickle that makes a folder where it is loaded."""
    names = [path.relative_to(interrupted) for path in sorted((interrupted / CHECKPOINTS).rglob("*.pt"))]
    newest = newest_record(interrupted).stem
    for name in [name for name in names if name.parent.name == newest][:size]:
        ran = tmp_path / "ran"
        for wrapped in (False, True)[: 1 if size == 1 else 2]:
            project = shutil.copytree(interrupted, tmp_path / f"{name.stem} {wrapped}", symlinks=True)
            _write_payload(project / name, ran, wrapped)
            resumed(project, trained, f"{name}: a pickle that runs, {'in a zip' if wrapped else 'bare'}", ledger)
            if ran.exists():
                ledger.add(f"{name}: ran", Outcome.WRONG, "the pickle in an altered checkpoint was run")
                ran.rmdir()
    ledger.check(1)


def _write_payload(path: Path, ran: Path, wrapped: bool) -> None:
    import os
    import pickle

    import torch

    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    path.unlink()
    torch.save({"module": Runs()}, path) if wrapped else path.write_bytes(pickle.dumps({"module": Runs()}))
