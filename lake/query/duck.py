"""DuckDB over the pinned tables: every table a view, stage.table, without Spark."""

import contextlib
import itertools
import os
import platform
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import duckdb

from finelake.lake.errors import UserError, sentence
from finelake.lake.quoting import literal, quoted
from finelake.lake.tables import storage
from finelake.lake.tables.revisions import manifests_at
from finelake.lake.tables.snapshots import Expired, Table, arrow_schema, files, manifests, problems

MEMORY = "1GiB"
SCRATCH = ".finelake"
SPILLED = f"duckdb-{platform.node()}-"  # then the process: several machines may share a project's folder
ANSWERS = "-answers"  # behind the name of the folder of what is spilled: the one in which answers leave DuckDB
CONCURRENT_OPENS = 8  # tables: on an object store each waits for several answers
INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
NUMBERS = {*INTEGERS, *(f"u{name}" for name in INTEGERS), "float", "double", "decimal"}  # DuckDB's types
# Functions that a select may call and that write files, change settings, or run a text as SQL.
ACTING = {
    *("query", "json_execute_serialized_sql", "checkpoint", "force_checkpoint", "truncate_duckdb_logs", "write_log"),
    *("copy_database", "import_database", "add_parquet_key"),
}
SWITCHES = ("enable_", "disable_", "verify_")
# The first token of some bytes: a text in dollars with what is behind it, a quoted name, a word, a character.
TOKEN = re.compile(rb'\$.*|"(?:[^"]|"")*"|[\w\x80-\xff][\w$\x80-\xff]*|.', re.DOTALL)
EXPLAINED_PIVOT = ["TRANSACTION", "CREATE", "EXPLAIN", "TRANSACTION"]  # what DuckDB makes of it
VALUES_OF_A_PIVOT = "write its values, as in `pivot clean.records on lang in ('en', 'zh')`"
FORMATS = {"csv": "format csv, header true", "json": "format json", "parquet": "format parquet"}


def connect(
    root: Path,
    lake_root: str,
    rev: str | None = None,
    memory: str = MEMORY,
    query: str | None = None,
    files: bool = False,
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one view for each table that the work tree's manifests, or those of `rev`, pin.

    clean.records; for a stage of a training run, tokenize_intent.samples. UserError names a table that is missing.
    With `query`, only the tables that it names are looked at; where it names none (`show all tables`), those that
    are whole are there. Without, those that were expired on purpose are not there: `views` says which are.
    The connection reads the pinned files and nothing else of this machine or network, unless `files` says that whoever
    asks may read what the process may.
    """
    if query is not None:
        check_reads(query)
    storage.check(lake_root)
    tables = pinned(root, rev)
    named = [] if query is None else _named(query, tables, files)
    connection = open_database(root, memory)
    if not storage.is_local(lake_root):
        _reach_object_store(connection)
    for schema in _schemas(tables):
        connection.execute(f"create schema {quoted(schema)}")
    with ThreadPoolExecutor(CONCURRENT_OPENS) as pool:
        opened = {name: pool.submit(pinned_files, lake_root, *tables[name], rev) for name in named or tables}
    for name, paths in opened.items():
        left_out = isinstance(paths.exception(), Expired) if query is None else paths.exception() and not named
        if not left_out:
            create_view(connection, name, lake_root, *tables[name], paths.result())
    if not files:
        confine(connection)
        connection.execute("set lock_configuration = true")
    return connection


def confine(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on the connection reads the files of its views and nothing else; DuckDB lets nobody take it back."""
    connection.execute("set enable_external_access = false")


def views(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """(schema, name) of each table that can be asked."""
    named = connection.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
    return {(schema, name) for schema, name in named}


def _schemas(tables: Iterable[tuple[str, str]]) -> list[str]:
    """The schema of each stage. UserError for two that DuckDB takes for one."""
    found: dict[str, str] = {}
    for schema, _ in tables:
        other = found.setdefault(schema.lower(), schema)
        if other != schema:
            raise UserError(
                f"the stages of {other} and {schema} differ in case only; remove the manifest of one of them"
            )
    return list(found.values())


def pinned(root: Path, rev: str | None = None) -> dict[tuple[str, str], tuple[str, Table]]:
    """What the work tree or a revision pins: (schema, name) of the view -> (stage, table)."""
    stages = manifests(root) if rev is None else manifests_at(root, rev)
    return {
        (schema_name(stage), name): (stage, table) for stage, tables in stages.items() for name, table in tables.items()
    }


def pinned_files(lake_root: str, stage: str, table: Table, rev: str | None = None) -> list[str]:
    """`snapshots.files`, whose UserError for a table of another revision says how to rebuild it there."""
    try:
        return files(lake_root, stage, table)
    except Expired:
        raise
    except UserError:
        problem = None if rev is None else next(problems(lake_root, table), None)
        if problem is None:
            raise
    raise UserError(f"{problem}, as {rev} pins it; check {rev} out, `dvc checkout` and run `finelake repair {stage}`")


def _named(query: str, tables: Iterable[tuple[str, str]], files: bool) -> list[tuple[str, str]]:
    """Those of `tables` that occur in a query; none where DuckDB's parser cannot tell without them.

    DuckDB binds the query for it, which opens the files that it names and runs a part of some statements: the query
    is one that only reads, and without `files` none is opened.
    """
    try:
        with _empty() as connection:
            if not files:
                confine(connection)
            found = connection.get_table_names(query, qualified=True)
    except duckdb.Error:
        return []
    # DuckDB quotes a name where it must, puts the catalog first where the query does, and " AS alias" behind.
    names = {name.split(" AS ")[0].replace('"', "").lower() for name in found}
    return [name for name in tables if {".".join(name).lower(), "memory." + ".".join(name).lower()} & names]


def open_database(root: Path, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """An empty in-memory DuckDB that keeps to `memory` and spills into the project's scratch folder."""
    scratch = root / SCRATCH
    _make_private(scratch)
    _remove_abandoned(scratch)
    connection = _empty()
    # DuckDB makes the folder when it first spills and removes it when it closes.
    folder = scratch / f"{SPILLED}{os.getpid()}-{secrets.token_hex(4)}"
    connection.execute(f"set temp_directory = {literal(str(folder))}")
    connection.execute(f"set allowed_directories = [{literal(f'{folder}{ANSWERS}')}]")
    try:
        connection.execute(f"set memory_limit = {literal(memory)}")
    except duckdb.Error:
        raise UserError(f"the memory limit {memory!r} is no size; write it as in 500MiB or 2GiB") from None
    return connection


def _empty() -> duckdb.DuckDBPyConnection:
    """A new DuckDB in memory, which installs nothing and sees neither stored keys nor Python's variables."""
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false; set allow_persistent_secrets = false")
    connection.execute("set python_enable_replacements = false; set timezone = 'UTC'")
    return connection


def _make_private(scratch: Path) -> None:
    """The folder for what is spilled: rows as they are, so nobody outside of its owner and group may look into it."""
    scratch.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(PermissionError):  # another user's
        scratch.chmod(scratch.stat().st_mode & 0o770)


def _reach_object_store(connection: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB read s3a:// with its httpfs extension, which pip installed, and the environment's keys."""
    extensions = resources.files("duckdb_extension_httpfs") / "extensions" / f"v{duckdb.__version__}"
    connection.load_extension(str(extensions / "httpfs.duckdb_extension"))
    store = storage.object_store()
    options = {"key_id": store.key, "secret": store.secret, "region": store.region, "session_token": store.token}
    if store.endpoint:
        protocol, _, host = store.endpoint.partition("://")
        options |= {"endpoint": host.rstrip("/"), "url_style": "path", "use_ssl": str(protocol == "https")}
    named = ", ".join(f"{name} {literal(value)}" for name, value in options.items() if value)
    connection.execute(f"create secret (type s3, {named})")


def _remove_abandoned(scratch: Path) -> None:
    """Remove what questions that were killed on this machine had spilled."""
    for folder in scratch.glob(f"{SPILLED}*"):
        try:
            os.kill(int(folder.name.removeprefix(SPILLED).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue  # another user's process lives


def schema_name(stage: str) -> str:
    """The schema of a stage's views: tokenize_intent for tokenize@intent."""
    return stage.replace("@", "_")


def create_view(
    connection: duckdb.DuckDBPyConnection,
    name: tuple[str, str],
    lake_root: str,
    stage: str,
    table: Table,
    paths: list[str],
) -> None:
    """Make a pinned table a view; exactly its files are read, never the folder, and a table without rows has none."""
    if paths:
        listed = ", ".join(literal(path) for path in paths)
        _allow(connection, paths)
        rows = f"select * from read_parquet([{listed}], hive_partitioning = true)"
    else:
        columns = connection.from_arrow(arrow_schema(lake_root, stage, table).empty_table())
        typed = zip(columns.columns, columns.types, strict=True)
        rows = f"select {', '.join(f'null::{kind} as {quoted(name)}' for name, kind in typed)} where false"
    try:
        connection.execute(f"create view {quoted(name[0])}.{quoted(name[1])} as {rows}")
    except duckdb.Error as error:  # DuckDB reads the footers of the files here
        raise UserError(f"table {table.path}: {sentence(error)}") from None


def _allow(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
    """Let the connection read these files after it was confined, too."""
    (before,) = connection.execute("select current_setting('allowed_paths')").fetchall()[0]
    connection.execute(f"set allowed_paths = [{', '.join(map(literal, sorted({*before, *paths})))}]")


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """The answer of one statement, not yet computed where it is a select.

    UserError for a query that DuckDB does not understand and for a statement that would change anything.
    """
    check_reads(query)
    with sentences():
        return connection.sql(query)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn DuckDB's errors into UserErrors, and what it makes of Ctrl-C into a KeyboardInterrupt again."""
    try:
        yield
    except duckdb.Error as error:
        raise _sentence(error) from None
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _sentence(error: duckdb.Error) -> UserError:
    """The error without the place in the query and without advice on settings."""
    reason = " ".join(re.split(r"\n\n(?:LINE|Possible solutions)", str(error))[0].split())
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"the query needs more memory ({reason}); give it more with --memory")
    if isinstance(error, duckdb.PermissionException):
        return UserError(f"the query reads more than the pinned tables ({reason}); ask without --tables-only for that")
    return UserError(f'the query failed ({reason}); `finelake sql "show all tables"` lists what there is')


def check_reads(query: str) -> None:
    """UserError unless the query is one statement that only reads. Nothing of it is run for that."""
    with sentences(), open_parser() as parser:
        refuse_acting(parser, query)


def refuse_acting(parser: duckdb.DuckDBPyConnection, query: str) -> None:
    """`check_reads`, with the error of DuckDB for a query that it does not understand."""
    if "\0" in query or any("\ud800" <= character <= "\udfff" for character in query):
        raise UserError("the query holds bytes that are not UTF-8 text; write it in UTF-8")
    for statement in _asked(parser, query):
        _refuse_kinds(_kinds(parser, statement))
        for name in _called(parser, statement):
            if name in ACTING or name.startswith(SWITCHES):
                raise UserError(f"the function {name} is refused: it does more than read; write a select without it")


def open_parser() -> duckdb.DuckDBPyConnection:
    """A DuckDB that only parses: `import database` is replaced by the statements of its files as it is parsed."""
    connection = _empty()
    confine(connection)
    return connection


def _asked(parser: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The query; for an explain, each text that may be the statement that it explains: `explain analyze` runs that."""
    kinds = _kinds(parser, query)
    if kinds == EXPLAINED_PIVOT:
        raise UserError(f"an explain of a pivot without its values is refused; {VALUES_OF_A_PIVOT}")
    if kinds != ["EXPLAIN"]:
        return [query]
    found = [text for text in _explained(query) if _parses(parser, text)]
    return found or [query]


def _explained(query: str) -> Iterator[str]:
    """What stands behind the word explain, behind analyze, and behind a first bracket (the options, or a select)."""
    content, tokens = query.encode(), _tokens(query)
    behind = 1
    yield content[tokens[behind][0] :].decode()
    if tokens[behind][1].lower() in ("analyze", "analyse"):
        behind += 1
        yield content[tokens[behind][0] :].decode()
    depth = 0
    for (_, token), (place, _) in itertools.pairwise(tokens[behind:]):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if not depth:
            if token == ")":
                yield content[place:].decode()
            return


def _parses(parser: duckdb.DuckDBPyConnection, text: str) -> bool:
    try:
        return bool(parser.extract_statements(text))
    except duckdb.Error:
        return False


def _refuse_kinds(kinds: list[str]) -> None:
    for kind in kinds:
        if kind != "SELECT":
            name = kind.lower().replace("_", " ")
            raise UserError(f"a statement of type {name} is refused: questions only read; write a select")
    if len(kinds) != 1:
        raise UserError(f"the query holds {len(kinds)} statements; ask one at a time")


def _kinds(parser: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The types of the statements in a query, such as SELECT."""
    try:
        found = parser.extract_statements(query)
    except duckdb.PermissionException:
        return ["IMPORT"]  # its files are what the parser may not open
    # DuckDB turns a pivot into a select and, before it, a temporary type that has no text in the query.
    pivot = "SELECT" in [statement.type.name for statement in found]
    return [s.type.name for s in found if not (pivot and s.type.name == "CREATE" and not s.query)]


def _called(parser: duckdb.DuckDBPyConnection, statement: str) -> Iterable[str]:
    """The names of the functions that a statement calls, in lower case, as DuckDB understands it."""
    tree = named_in_tree(parser, statement, "function_name")
    if tree is not None:
        return [name.lower() for name in tree["function_name"]]
    # DuckDB shows no tree of it: whatever stands before a bracket may be a function.
    tokens = [token for _, token in _tokens(statement)]
    return [name.strip('"').lower() for name, behind in itertools.pairwise(tokens) if behind == "("]


def named_in_tree(parser: duckdb.DuckDBPyConnection, query: str, *keys: str) -> dict[str, list[str]] | None:
    """What DuckDB's own tree of a query has under each key, at any depth, as in schema_name, table_name, function_name.

    None where DuckDB shows no tree: for a pivot without its values, and for a statement that is not a select.
    """
    listed = ", ".join(f"json_extract_string(tree, {literal(f'$..{key}')})" for key in keys)
    asked = f"select tree ->> 'error', {listed} from (select json_serialize_sql(?::varchar) as tree)"
    error, *found = parser.execute(asked, [query]).fetchall()[0]
    return None if error != "false" else dict(zip(keys, found, strict=True))


def _tokens(query: str) -> list[tuple[int, str]]:
    """The place (in bytes) and the text of each token; of a text in apostrophes only the first character.

    UserError for a Unicode space outside of quotes: DuckDB's parser takes it for a space, its tokenizer for a letter.
    """
    content = query.encode()
    places = [place for place, _ in duckdb.tokenize(query)]
    found = []
    for place, end in itertools.pairwise([*places, len(content)]):
        match = TOKEN.match(content, place, end)
        token = match[0].decode() if match else ""
        odd = next((letter for letter in token if _looks_like_a_space(letter)), None)
        if odd and not token.startswith('"'):
            raise UserError(f"the query holds the space U+{ord(odd):04X} outside of quotes; write plain spaces")
        found.append((place, token))
    return found


def _looks_like_a_space(letter: str) -> bool:
    return not letter.isascii() and (letter.isspace() or unicodedata.category(letter) == "Cf")


def split(text: str) -> tuple[list[str], str]:
    """The statements in `text` that end with a semicolon, and what is begun behind the last of them."""
    content = text.encode()
    finished, start, begun = [], 0, False
    for place, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.comment:
            continue
        if kind != duckdb.token_type.operator or content[place : place + 1] != b";":
            begun = True
            continue
        if begun:
            finished.append(content[start:place].decode())
        start, begun = place + 1, False
    return finished, content[start:].decode() if begun else ""


def copy(answer: duckdb.DuckDBPyRelation, form: str, path: str) -> None:
    """Write an answer to a file in one of FORMATS, row group by row group. UserError when the query fails."""
    with sentences():
        answer.query("answer", f"copy (from answer) to {literal(path)} ({FORMATS[form]}, use_tmp_file false)")


def stream(connection: duckdb.DuckDBPyConnection, answer: duckdb.DuckDBPyRelation, form: str, out: BinaryIO) -> None:
    """Write an answer to a stream as it is computed. UserError when the query fails.

    DuckDB writes into a named pipe in the only folder where it may when it is confined.
    """
    with _pipe(connection) as (name, reading, writing):

        def write() -> None:
            try:
                copy(answer, form, name)
            finally:
                os.close(writing)

        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write)
            try:
                with open(reading, "rb") as pipe:
                    shutil.copyfileobj(pipe, out)
            except BaseException:
                connection.interrupt()  # nobody reads on: the query must not run to its end
                raise
        writer.result()


@contextlib.contextmanager
def _pipe(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, int, int]]:
    """A named pipe and its open ends; with the writing one open, a query that fails early does not block the reader."""
    (spilled,) = connection.execute("select current_setting('temp_directory')").fetchall()[0]
    folder = Path(f"{spilled}{ANSWERS}")
    folder.mkdir(mode=0o700)
    try:
        name = str(folder / "answer")
        os.mkfifo(name, 0o600)
        reading = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        writing = os.open(name, os.O_WRONLY)
        os.set_blocking(reading, True)
        yield name, reading, writing
    finally:
        shutil.rmtree(folder)


def texts(answer: duckdb.DuckDBPyRelation, limit: int) -> list[tuple[str | None, ...]]:
    """The first rows of an answer, each value as DuckDB writes it. UserError when the query fails."""
    with sentences():
        return answer.query("answer", f"select columns(*)::varchar from answer limit {limit}").fetchall()


def numeric(answer: duckdb.DuckDBPyRelation) -> list[bool]:
    """Which columns of an answer hold numbers."""
    return [kind.id in NUMBERS for kind in answer.types]
