"""params.yaml: every key of every section given values of other types and sizes, and files that are hardly YAML.

Whatever stands in params.yaml, a command accepts it or names it in one sentence, within seconds.
"""

import dataclasses
import datetime
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from finelake import cli
from finelake.jobs.sources.kinds import KINDS
from finelake.jobs.stage import load_stage
from finelake.lake.config import runs
from finelake.lake.config.stages import DATA
from finelake.lake.errors import UserError
from finelake.lake.quality.checks import Params as QualityParams
from tests.faults.outcomes import Ended, Ledger, Outcome, call, classify
from tests.faults.sizes import chosen, sizes

ACCEPTED = "everything was accepted: Spark would start now"
SECONDS = 20  # for one file
FILES = {"kind": "files", "path": "data/notes.csv", "format": "csv", "key": "id", "occurred_at": "date", "text": "text"}
ANNOTATIONS = {
    **{"kind": "files", "path": "data/notes.csv", "format": "csv", "role": "annotations"},
    "columns": {
        **{"record_source_value": "notes", "record_key": "id", "layer_value": "scene", "annotator": "text"},
        **{"role_value": "annotator", "label": "text"},
    },
}
DATABASE = {"kind": "database", "url": "jdbc:sqlite:data/none.db", "table": "t", "key": "id", "text": "text"}
API = {"kind": "api", "url": "http://127.0.0.1:9/x", "landing": "data/none", "key": "id", "text": "text"}
SOURCES = {
    "files": FILES,
    "annotations": ANNOTATIONS,
    "database": {**DATABASE, "occurred_at": "date"},
    "api": {**API, "occurred_at": "date"},
    "documents": {"kind": "documents", "path": "data"},
}
RUN = {
    "task": "instruct",
    "seed": 0,
    "select": {},
    "base": {"kind": "scratch"},
    "tokenize": {"max_length": 160},
    "train": {},
    "evaluate": {},
}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**400, 1.5, -0.0, 1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "abc", "1", "1e5", "nan", "true", "a" * 10**6),
    *("\x1b[31mred\x07", "two\nlines", "tab\t", "\x85\u2028", "中文", "\u202egnp", "\ufeff", "$(touch planted)"),
    *("; touch planted", "`touch planted`", "${HOME}", "${", "${NOT_SET_ANYWHERE}", "%s%n", "{text}", "{}", "'", '"'),
    *("../../x", "/dev/null", "-x", "--help", "*", "data/*", "data", "[", "(", "x{1000000000000}", "(?P<year>a)", "\\"),
    *(
        "os:system",
        "nowhere.at:all",
        "jdbc:sqlite:",
        "jdbc:postgresql:",
        "s3a://",
        "http://[",
        "utf-16",
        "no-such-codec",
    ),
    *([], [None], [1], ["a"], ["a"] * 1000, [[["a"]]], [{}], {}, {"a": 1}, {"a": {"b": {"c": None}}}, {1: 2}),
    *({None: None}, {True: 1}, {"": ""}, {"a\nb": 1}, {"\x1b[2J": 1}, {"a" * 10**5: 1}, {2.5: []}),
    *(datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, 12), b"bytes", {"x", "y"}),
]
NAMES: list[Any] = [
    *("", " ", "a/b", "../x", ".", "..", "-x", "x;touch planted;", "$(touch planted)", "`touch planted`", "a b", "a|b"),
    *(
        "a\nb",
        "\x1b[2J",
        "中文",
        "a@b",
        "a#b",
        "a?b",
        "%20",
        "a'b",
        'a"b',
        "\\",
        "~",
        "*",
        "${HOME}",
        "quality",
        "a" * 300,
    ),
    *(1, 1.5, None, True, datetime.date(2024, 1, 1), "CON", "x.y", "x-", "0"),
]


def keys(cls: type, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that a section may hold, those of the sections in it too."""
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        if "given" in item.metadata or not item.init:
            continue
        yield (*path, item.name)
        for kind in (hints[item.name], *typing.get_args(hints[item.name])):
            if dataclasses.is_dataclass(kind):
                yield from keys(typing.cast(type, kind), (*path, item.name))


def put(mapping: dict, path: tuple[Any, ...], value: Any) -> dict:
    """A copy of a nested mapping with one value replaced."""
    head, *rest = path
    below = mapping.get(head)
    return {**mapping, head: put(below if isinstance(below, dict) else {}, tuple(rest), value) if rest else value}


def cases() -> list[tuple[str, tuple[str, ...], tuple[Any, ...]]]:
    """(name, the stage that reads it, path of a key in params.yaml) of every key."""
    found: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = []
    for name, source in SOURCES.items():
        kind = KINDS[str(source["kind"])]
        found += [(f"sources.{name}", ("ingest",), ("sources", "x", *path)) for path in [("kind",), *keys(kind)]]
    for stage in DATA[1:]:
        section = load_stage(stage).params
        found += [(stage, (stage,), (stage, *path)) for path in keys(section)]
    found += [("quality", ("ingest",), ("quality", *path)) for path in keys(QualityParams)]
    in_base = [("base", *path) for path in keys(runs.Base)]
    parts = {"select": runs.Select, "tokenize": runs.Tokenize, "train": runs.Train, "evaluate": runs.Evaluate}
    in_sections = [(part, *path) for part, section in parts.items() for path in keys(section)]
    for path in [*((field.name,) for field in dataclasses.fields(runs.Run)), *in_base, *in_sections]:
        found.append(("runs", ("select@x",), ("runs", "x", *path)))
    top = ("finelake", "sources", *DATA[1:], "quality", "runs")
    found += [("sections", ("ingest",), (name,)) for name in (*top, "unknown", "")]
    found += [("sections", ("ingest",), path) for path in (("sources", "x"), ("runs", "x"))]
    return found


def content(name: str, path: tuple[Any, ...], value: Any) -> dict:
    whole: dict[str, Any] = {"sources": {"notes": FILES}}
    if name.startswith("sources."):
        whole["sources"] = {"notes": FILES, "x": SOURCES[name.removeprefix("sources.")]}
    if name == "runs":
        whole["runs"] = {"x": RUN}
    return put(whole, path, value)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project of one CSV file in which no Spark starts."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "notes.csv").write_text("id,date,text\n1,2024-01-01,hello\n")

    def no_session(*_) -> None:
        raise UserError(ACCEPTED)

    monkeypatch.setattr("finelake.jobs.runner.open_session", no_session)
    return folder


def right(ended: Ended) -> bool:
    """No value of these files is so good that a stage runs: what is accepted ends in a refusal for another reason."""
    return False


def outcome(project: Path, params: str | bytes, stage: str) -> tuple[Outcome, Ended]:
    """What `finelake run STAGE` makes of a params.yaml."""
    (project / "params.yaml").write_bytes(params.encode("utf-8") if isinstance(params, str) else params)
    ended = call(project, "run", stage, seconds=SECONDS)
    accepted = (ACCEPTED, "has not run yet", "models/x", "no file matches", "is empty; put", "has landed in")
    found = classify(ended, right)
    if found == Outcome.REFUSED and any(text in ended.err for text in accepted):
        return Outcome.HELD, ended
    return found, ended


@sizes(few=1500, many=100_000)
def test_every_key_takes_or_refuses_every_value(project, ledger, size):
    everything = [(*case, place) for case in cases() for place in range(len(VALUES))]
    for name, stages, path, place in chosen(everything, size):
        try:
            params = yaml.dump(content(name, path, VALUES[place]), Dumper=yaml.CSafeDumper, allow_unicode=True)
        except yaml.YAMLError:
            continue
        for stage in stages:
            found, ended = outcome(project, params, stage)
            ledger.add(f"{name} {'.'.join(map(str, path))} = {VALUES[place]!r:.60}", found, ended.said)
        assert not planted(project)
    ledger.check(min(size, 1000))


@pytest.mark.slow
@pytest.mark.parametrize("section", ["sources", "runs"])
def test_names_of_sources_and_runs_are_no_paths_and_no_commands(project, ledger, section):
    # A name that YAML reads as null or true is the text None or True.
    allowed = {"x-", "CON", "None", "True"} | ({"quality", "a" * 300} if section == "sources" else set())
    for name in NAMES:
        entry = FILES if section == "sources" else RUN
        stage = "ingest" if section == "sources" else f"tokenize@{name}"
        whole = {"sources": {"notes": FILES}} | {section: {name: entry}}
        found, ended = outcome(project, yaml.dump(whole, Dumper=yaml.CSafeDumper, allow_unicode=True), stage)
        if found == Outcome.HELD and str(name) not in allowed:
            found = Outcome.WRONG
        ledger.add(f"{section}: name {name!r:.40}", found, ended.said)
        assert not planted(project)
    ledger.check(len(NAMES))


def planted(project: Path) -> list[Path]:
    """What a value would have made that reached a shell."""
    return list(project.parent.rglob("planted"))


HEAD = "sources:\n  notes: {kind: files, path: data/notes.csv, format: csv, key: id, occurred_at: date, text: text}\n"
BOMB = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9) if n else 'lol'}]\n" for n in range(12))
REFUSED = {  # what a file must not be accepted with
    "a section twice": f"{HEAD}clean: {{}}\nclean: {{languages: [zh]}}\n",
    "a key twice": f"{HEAD}clean: {{encoding: true, encoding: false}}\n",
    "a source twice": HEAD + HEAD.split("\n")[1] + "\n",
    "a key twice, written differently": f"{HEAD}clean: {{encoding: true, 'encoding': false}}\n",
    "a python object": f"{HEAD}clean: !!python/object/apply:os.system ['touch planted']\n",
    "a python name": f"{HEAD}clean: !!python/name:os.system\n",
    "an unknown tag": f"{HEAD}clean: !unknown {{}}\n",
    "an alias without an anchor": f"{HEAD}clean: *nowhere\n",
    "an alias in itself": f"{HEAD}clean: &a {{boilerplate: *a}}\n",
    "a list in itself": f"{HEAD}clean: {{boilerplate: &a [*a]}}\n",
    "billion laughs": f"{BOMB}{HEAD}",
    "billion laughs in a key": f"{HEAD}clean:\n  boilerplate: &a [x]\nx:\n" + "  " + BOMB.replace("\n", "\n  ") + "\n",
    "5,000 brackets": f"{HEAD}clean: {'[' * 5000}{']' * 5000}\n",
    "100,000 brackets": f"{HEAD}clean: {'[' * 100_000}\n",
    "5,000 braces": HEAD + "clean: " + "{a: " * 5000 + "}" * 5000 + "\n",
    "5,000 levels of lines": HEAD + "clean:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 2000)),
    "5,000 digits": f"{HEAD}split: {{long_text: {'9' * 5000}}}\n",
    "a date that is none": f"{HEAD}split: {{long_text: 2024-99-99}}\n",
    "a time zone that is none": f"{HEAD}split: {{long_text: 2024-01-01T00:00:00+99:99}}\n",
    "base64 that is none": f"{HEAD}clean: {{boilerplate: !!binary '*'}}\n",
    "a float that is none": f"{HEAD}split: {{long_text: !!float abc}}\n",
    "a whole number that is none": f"{HEAD}split: {{long_text: !!int abc}}\n",
    "a truth that is none": f"{HEAD}clean: {{encoding: !!bool perhaps}}\n",
    "a set": f"{HEAD}clean: !!set {{a, b}}\n",
    "pairs": f"{HEAD}clean: !!pairs [a: 1]\n",
    "a list as a key": f"{HEAD}clean: {{? [a] : 1}}\n",
    "a mapping as a key": f"{HEAD}? {{a: 1}}\n: 1\n",
    "a merge of a text": f"{HEAD}clean: {{<<: abc}}\n",
    "two documents": f"{HEAD}---\n{HEAD}",
    "tabs": "sources:\n\tnotes: {}\n",
    "a lone surrogate": f'{HEAD}clean: {{boilerplate: "\\ud800", x: 1}}\n',
    "a NUL": f"{HEAD}clean: \0\n",
    "a control character": f"{HEAD}clean: \x07\n",
    "Latin-1": f"{HEAD}# caf\xe9\n".encode("latin-1"),
    "cut in a character": f"{HEAD}# 中文".encode()[:-1],
    "random bytes": bytes(range(256)) * 8,
    "UTF-32": HEAD.encode("utf-32"),
    "nothing": "",
    "a comment": "# nothing\n",
    "a list": "- a\n",
    "a text": "abc\n",
    "a number": "5\n",
    "an unclosed quote": f'{HEAD}clean: "abc\n',
    "no sources": "clean: {}\n",
    "a number as a section": f"{HEAD}1: 2\n",
    "null as a section": f"{HEAD}~: 2\n",
    "a run without sections": f"{HEAD}runs: {{x: }}\n",
    "runs is a text": f"{HEAD}runs: abc\n",
    "runs is a list": f"{HEAD}runs: [abc]\n",
    "a section of a run is a number": HEAD
    + "runs: {x: {task: classify, seed: 0, select: 5, base: 5, tokenize: 5, train: 5, evaluate: 5}}\n",
}
EITHER = {  # as the reader of YAML likes
    "100,000 binary digits": f"{HEAD}split: {{long_text: 0b{'1' * 100_000}}}\n",
    "sexagesimal": f"{HEAD}split: {{long_text: {':'.join(['59'] * 4000)}}}\n",
    "a merge of itself": f"{HEAD}clean: &a {{<<: *a}}\n",
}
TAKEN = {  # unusual, and good
    "a byte order mark": "\ufeff" + HEAD,
    "Windows line ends": HEAD.replace("\n", "\r\n"),
    "an anchor": HEAD + "clean: &a {}\ndedup: *a\n",
    "the end of a document": f"---\n{HEAD}...\n",
    "a merge": f"{HEAD}clean: {{<<: {{encoding: true}}}}\n",
    "a very long comment": f"{HEAD}# {'x' * 10**6}\n",
    "quotes": HEAD.replace("notes:", '"notes":'),
}


@pytest.mark.slow
def test_files_that_are_hardly_yaml(project, ledger):
    for case, params in REFUSED.items():
        found, ended = outcome(project, params, "ingest")
        ledger.add(f"yaml: {case}", Outcome.WRONG if found == Outcome.HELD else found, ended.said)
        assert not planted(project)
    for case, params in TAKEN.items():
        found, ended = outcome(project, params, "ingest")
        ledger.add(f"yaml: {case}", Outcome.WRONG if found == Outcome.REFUSED else found, ended.said)
    for case, params in EITHER.items():
        found, ended = outcome(project, params, "ingest")
        ledger.add(f"yaml: {case}", found, ended.said)
    ledger.check(len(REFUSED) + len(TAKEN) + len(EITHER))


def test_the_fuzzer_reaches_every_section(ledger: Ledger):
    """Cheap, so part of every run: the keys come from the dataclasses, so a new key is tried without a change here."""
    paths = {".".join(map(str, path)) for _, _, path in cases()}
    assert {"sources.x.columns.layer", "clean.outliers.sigmas", "quality.values", "runs.x.base.kind"} <= paths
    assert set(cli.COMMANDS) and len(paths) > 150
