"""Damage to manifests, dvc.lock, dvc.yaml, Delta logs and data files, by bit and by structure, and what commands say.

An altered content is named by exit code 2 before anything is computed on it, or healed; the answers of the others are
those of the undamaged project; and `finelake vacuum` deletes no pinned file, whatever else is damaged.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import small
from tests.faults.damage import Damage, cuts, damaged, flips, structures
from tests.faults.outcomes import Around, Ended, Ledger, Outcome, call, classify, data_files, lost, run
from tests.faults.sizes import SEED, chosen, sizes

QUERY = "select count(*), min(record_id), max(text), sum(hash(text)), sum(hash(record_id)) from {}"
READS = {  # command -> whether every byte that it answers from is compared
    "verify": ("verify",),
    "verify --deep": ("verify", "--deep"),
    "sql": ("sql", "--format", "csv", QUERY.format("split.records")),
    "quality": ("quality", "parts_have_rows", "record_ids_are_unique", "--format", "json"),
    "history": ("history", "split.records"),
}
VACUUM = ("vacuum", "--keep-days", "0", "--delete")
NO_JAVA = {"JAVA_HOME": "/nowhere"}
TABLE = Path("lakehouse/split/records")


@dataclass(frozen=True)
class Undamaged:
    """What the commands answer in the undamaged project."""

    answers: dict[str, tuple[int | None, str]]
    files: dict[str, str]
    manifests: dict[str, bytes]


@pytest.fixture(scope="module")
def undamaged(finished) -> Undamaged:
    ended = {name: call(finished, *command) for name, command in READS.items()}
    assert {name: found.code for name, found in ended.items()} == {**dict.fromkeys(READS, 0)}, ended
    answers = {name: (found.code, without_seconds(found.out)) for name, found in ended.items()}
    return Undamaged(answers, data_files(finished), small.manifests(finished))


def without_seconds(out: str) -> str:
    return "\n".join(line for line in out.splitlines() if "seconds" not in line)


def manifests(project: Path, dice: random.Random, each: int) -> Iterator[Damage]:
    for path in sorted((project / "snapshots").glob("*.json")):
        content = path.read_bytes()
        yield from _of(path.relative_to(project), content, dice, each, structures(path, content, dice, each))


def logs(project: Path, dice: random.Random, each: int) -> Iterator[Damage]:
    for path in sorted((project / TABLE).glob("_delta_log/*.json")):
        yield from _of(path.relative_to(project), path.read_bytes(), dice, 8 * each, [])


def data(project: Path, dice: random.Random, each: int) -> Iterator[Damage]:
    for path in sorted((project / TABLE).rglob("*.parquet")):
        yield from _of(path.relative_to(project), path.read_bytes(), dice, 8 * each, [])


def _of(path: Path, content: bytes, dice: random.Random, each: int, more) -> Iterator[Damage]:
    yield from flips(path, content, each, dice)
    yield from cuts(path, content)
    for damage in more:
        yield Damage(path, damage.name, damage.change)


@pytest.mark.parametrize("kind", [manifests, logs, data], ids=lambda kind: kind.__name__)
@sizes(few=24, many=600)
def test_what_is_damaged_is_named_or_answered_as_before(finished, undamaged, ledger, kind, size):
    every = list(kind(finished, random.Random(SEED), size // 6))
    for damage in chosen(every, size):
        for name, command in READS.items():
            with damaged(finished, damage) as changed:
                ended = call(finished, *command)
                gone = lost(finished, _left(finished, damage, undamaged.files))
                harmless = not changed or may_pass(finished, damage, name)
            add(ledger, f"{name}: {damage}", ended, undamaged.answers[name], harmless, gone)
        vacuum(finished, damage, ledger)
    ledger.check(min(len(every), size) * len(READS))
    assert data_files(finished) == undamaged.files


def vacuum(project: Path, damage: Damage, ledger: Ledger) -> None:
    """No pinned file is deleted from a damaged lake; where one is, the rest of the test would fail for it."""
    files = {path: path.read_bytes() for path in (project / "lakehouse").rglob("*") if path.is_file()}
    with damaged(project, damage):
        before = data_files(project)
        ended = call(project, *VACUUM)
        gone = lost(project, before)
    ledger.judge(f"vacuum: {damage}", ended, gone=gone)
    for path, content in files.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _left(project: Path, damage: Damage, files: dict[str, str]) -> dict[str, str]:
    """The undamaged data files."""
    return {path: digest for path, digest in files.items() if project / "lakehouse" / path != project / damage.path}


def add(
    ledger: Ledger, case: str, ended: Ended, answer: tuple[int | None, str], harmless: bool, gone: list[str]
) -> None:
    """Right is the answer of the undamaged project, where nothing that it depends on is damaged, or a refusal."""

    def right(ended: Ended) -> bool:
        # The history of a damaged table is another one, and there is nothing to compare it with.
        own = case.startswith("history") and "lakehouse" in case
        # Of a stage that has not run, nothing is checked, and the work tree pins nothing.
        own |= case.startswith(("quality: snapshots", "history: snapshots")) and case.endswith("deleted")
        return harmless and ended.code == answer[0] and (own or without_seconds(ended.out) == answer[1])

    ledger.judge(case, ended, right, gone)


def may_pass(project: Path, damage: Damage, command: str) -> bool:
    """Whether a command may answer as before; what it may not answer is another answer."""
    if damage.path.suffix == ".parquet":
        # `verify` compares sizes, and `history` reads no data file.
        same_size = damage.name.startswith(("bit", "zeros", "bytes"))
        return command == "history" or (command == "verify" and same_size)
    if command not in ("verify", "verify --deep"):
        return True
    if "_delta_log" in damage.path.parts:
        return command == "verify" or meaning_of_log(project / damage.path) is not None
    return meaning_of_manifest(project / damage.path) is not None


MEANINGS: dict[Path, object] = {}


def meaning_of_log(path: Path) -> object:
    """None where what a reader takes from a log is another than in the first one that was seen under this name."""
    return _same(path, sorted({repr(_reader_sees(action)) for action in _lines(path)}))  # an action said twice is one


def meaning_of_manifest(path: Path) -> object:
    return _same(path, _lines(path))


def _same(path: Path, meaning: object) -> object:
    return meaning if MEANINGS.setdefault(path, meaning) == meaning else None


def _lines(path: Path) -> list:
    try:
        text = path.read_text(encoding="utf-8")
        return (
            [json.loads(text)]
            if path.parent.name == "snapshots"
            else [json.loads(line) for line in text.split("\n") if line]
        )
    except (OSError, ValueError, RecursionError):
        return ["unreadable"]


def _reader_sees(action) -> object:
    """What decides which rows a version holds; not its time, its engine or its statistics."""
    if not isinstance(action, dict):
        return action
    names = {"add": ("path", "size", "partitionValues"), "metaData": ("schemaString", "partitionColumns")}
    seen = {}
    for key, value in action.items():
        known = names.get(key)
        seen[key] = {name: value.get(name) for name in known} if known and isinstance(value, dict) else value
    seen.pop("commitInfo", None)
    metadata = action.get("commitInfo", {}).get("userMetadata") if isinstance(action.get("commitInfo"), dict) else None
    return seen, metadata


@pytest.fixture(autouse=True, scope="module")
def meanings(finished) -> None:
    """What undamaged logs and manifests mean."""
    MEANINGS.clear()
    for path in (finished / TABLE).glob("_delta_log/*.json"):
        meaning_of_log(path)
    for path in (finished / "snapshots").glob("*.json"):
        meaning_of_manifest(path)


# --- what DVC reads --------------------------------------------------------------------------------------------------


def dvc_files(project: Path, dice: random.Random, each: int) -> Iterator[Damage]:
    for path in (project / "dvc.yaml", project / "dvc.lock"):
        yield from _of(path.relative_to(project), path.read_bytes(), dice, each, _sections(path))


def _sections(path: Path) -> Iterator[Damage]:
    for value in ("", "stages:\n", "stages: {}\n", "stages: 5\n", "stages: [a]\n", "[]\n", "5\n", "x: 1\n"):
        yield Damage(path, repr(value), lambda content, value=value: value.encode())  # type: ignore[misc]
    stages = yaml.safe_load(path.read_bytes())["stages"]
    for stage in ("ingest", "split"):
        rest = {"stages": {name: entry for name, entry in stages.items() if name != stage}}
        yield Damage(path, f"without {stage}", lambda content, rest=rest: yaml.safe_dump(rest).encode())  # type: ignore[misc]


@sizes(few=5, many=80)
def test_repro_calls_nothing_up_to_date_that_is_not(finished, undamaged, ledger, size):
    """No Java: where a stage has to run, it ends in a sentence. What DVC deleted meanwhile is put back."""
    every = [*dvc_files(finished, random.Random(SEED), size // 4), *manifests(finished, random.Random(SEED), 1)]
    for damage in chosen(every, size):
        meant = _yaml(finished / damage.path)
        with damaged(finished, damage):
            harmless = _yaml(finished / damage.path) == meant
            ended = run(finished, "repro", "split", around=Around(variables=NO_JAVA), seconds=180)
            healed = small.manifests(finished) == undamaged.manifests
            gone = lost(finished, undamaged.files)
        if damage.path.parts[0] == "snapshots":
            harmless = healed
        ledger.judge(f"repro: {damage}", ended, lambda ended, fine=harmless: ended.code == 0 and fine, gone)
        restore(finished, undamaged)
    ledger.check(size)


def _yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return path  # equal to no content


def restore(project: Path, undamaged: Undamaged) -> None:
    for name, content in undamaged.manifests.items():
        (project / "snapshots" / name).write_bytes(content)


EXPIRED = [
    b"xx",
    b"",
    b"[0]",
    b"{}",
    b"5",
    b"null",
    b'["a"]',
    b"[null]",
    b"[[0]]",
    b"[1e400]",
    b"\xff\xfe",
    b"[" * 5000,
]


@pytest.mark.slow
def test_a_damaged_list_of_expired_versions(finished, undamaged, ledger):
    file = finished / TABLE / "_expired.json"
    (parquet,) = [path.relative_to(finished) for path in (finished / TABLE).rglob("*.parquet")][:1]
    for content in EXPIRED:
        file.write_bytes(content)
        for damage in (None, Damage(parquet, "deleted", lambda content: None)):
            for command in (("verify",), READS["sql"], VACUUM):
                case = f"{command[0]}: _expired.json {content[:12]!r}, {damage or 'all files there'}"
                if damage is None:
                    ended, gone = call(finished, *command), lost(finished, undamaged.files)
                    ledger.judge(case, ended, gone=gone)
                    continue
                with damaged(finished, damage):
                    before = data_files(finished)
                    ended = call(finished, *command)
                    gone = lost(finished, before)
                expired = content == b"[0]"  # then the loss is on purpose
                fine = expired and command[0] == "verify" or command[0] == "vacuum"
                outcome = Outcome.LOST if gone else classify(ended, lambda ended, fine=fine: ended.code == 0 and fine)
                ledger.add(case, outcome, ended.said)
    file.unlink()
    ledger.check(len(EXPIRED) * 6)
