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
SPILLED = f"duckdb-{platform.node()}-"  # then the process id: several machines may share a project's folder
ANSWERS = "-answers"  # suffix of the spill folder's name: the folder through which answers leave DuckDB
CONCURRENT_OPENS = 8  # tables: on an object store each takes several requests
INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
NUMBERS = {*INTEGERS, *(f"u{name}" for name in INTEGERS), "float", "double", "decimal"}  # DuckDB's types
# Functions that a select can call and that write files, change settings, or run a text as SQL.
ACTING = {
    *("query", "json_execute_serialized_sql", "checkpoint", "force_checkpoint", "truncate_duckdb_logs", "write_log"),
    *("copy_database", "import_database", "add_parquet_key"),
}
SWITCHES = ("enable_", "disable_", "verify_")
# The first token of some bytes: a dollar-quoted text and all after it, a quoted name, a word, a character.
TOKEN = re.compile(rb'\$.*|"(?:[^"]|"")*"|[\w\x80-\xff][\w$\x80-\xff]*|.', re.DOTALL)
EXPLAINED_PIVOT = ["TRANSACTION", "CREATE", "EXPLAIN", "TRANSACTION"]  # what DuckDB parses it into
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
    With `query`, only the tables that it names are opened; where it names none (`show all tables`), those that are
    complete. Without `query`, all but the tables that were expired on purpose: `views` lists what was opened.
    The connection reads the pinned files and nothing else of this machine or network, unless `files` allows the query
    to read what the process may read.
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
        skipped = isinstance(paths.exception(), Expired) if query is None else paths.exception() and not named
        if not skipped:
            create_view(connection, name, lake_root, *tables[name], paths.result())
    if not files:
        confine(connection)
        connection.execute("set lock_configuration = true")
    return connection


def confine(connection: duckdb.DuckDBPyConnection) -> None:
    """Restrict the connection to the files of its views, for good: DuckDB cannot lift it."""
    connection.execute("set enable_external_access = false")


def views(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """(schema, name) of each table that can be queried."""
    named = connection.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
    return {(schema, name) for schema, name in named}


def _schemas(tables: Iterable[tuple[str, str]]) -> list[str]:
    """The schema of each stage. UserError for two that DuckDB treats as one."""
    known: dict[str, str] = {}
    for schema, _ in tables:
        other = known.setdefault(schema.lower(), schema)
        if other != schema:
            raise UserError(
                f"the stages of {other} and {schema} differ only in case; remove the manifest of one of them"
            )
    return list(known.values())


def pinned(root: Path, rev: str | None = None) -> dict[tuple[str, str], tuple[str, Table]]:
    """The tables that the work tree or a revision pins: (schema, name) of the view -> (stage, table)."""
    stages = manifests(root) if rev is None else manifests_at(root, rev)
    return {
        (schema_name(stage), name): (stage, table) for stage, tables in stages.items() for name, table in tables.items()
    }


def pinned_files(lake_root: str, stage: str, table: Table, rev: str | None = None) -> list[str]:
    """`snapshots.files`; the UserError for a table of another revision says how to rebuild it there."""
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
    """Those of `tables` that occur in a query; none where DuckDB's parser cannot find them without their schema.

    To list them DuckDB binds the query, which opens the files that it names and runs parts of some statements. So the
    query must be one that only reads, and without `files` no file is opened.
    """
    try:
        with _empty() as connection:
            if not files:
                confine(connection)
            listed = connection.get_table_names(query, qualified=True)
    except duckdb.Error:
        return []
    # DuckDB quotes a name where needed, prefixes the catalog where the query does, and appends " AS alias".
    names = {name.split(" AS ")[0].replace('"', "").lower() for name in listed}
    return [name for name in tables if {".".join(name).lower(), "memory." + ".".join(name).lower()} & names]


def open_database(root: Path, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """An empty in-memory DuckDB, limited to `memory`, that spills into the project's scratch folder."""
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
        raise UserError(f"the memory limit {memory!r} is not a size; write it as in 500MiB or 2GiB") from None
    return connection


def _empty() -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB, which installs nothing and sees neither stored keys nor Python's variables."""
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false; set allow_persistent_secrets = false")
    connection.execute("set python_enable_replacements = false; set timezone = 'UTC'")
    return connection


def _make_private(scratch: Path) -> None:
    """Make the folder for spilled rows, which are unmasked: only its owner and group can enter it."""
    scratch.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(PermissionError):  # another user's
        scratch.chmod(scratch.stat().st_mode & 0o770)


def _reach_object_store(connection: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB read s3a:// with the httpfs extension that pip installed and the keys in the environment."""
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
    """Remove what killed queries on this machine had spilled."""
    for folder in scratch.glob(f"{SPILLED}*"):
        try:
            os.kill(int(folder.name.removeprefix(SPILLED).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue  # the process of another user is alive


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
    """Create the view of a pinned table, which reads exactly its files, never the folder; an empty table has none."""
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
    """Let the connection read these files even after it is confined."""
    (before,) = connection.execute("select current_setting('allowed_paths')").fetchall()[0]
    connection.execute(f"set allowed_paths = [{', '.join(map(literal, sorted({*before, *paths})))}]")


def run_query(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """The answer to one statement; that of a select is not computed yet.

    UserError for a query that DuckDB cannot parse and for a statement that does more than read.
    """
    check_reads(query)
    with sentences():
        return connection.sql(query)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn DuckDB's errors into UserErrors, and its form of Ctrl-C back into a KeyboardInterrupt."""
    try:
        yield
    except duckdb.Error as error:
        raise _sentence(error) from None
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _sentence(error: duckdb.Error) -> UserError:
    """The error without the position in the query and without advice on settings."""
    reason = " ".join(re.split(r"\n\n(?:LINE|Possible solutions)", str(error))[0].split())
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"the query needs more memory ({reason}); give it more with --memory")
    if isinstance(error, duckdb.PermissionException):
        return UserError(
            f"the query reads more than the pinned tables ({reason}); allow it by leaving out --tables-only"
        )
    return UserError(f'the query failed ({reason}); `finelake sql "show all tables"` lists what there is')


def check_reads(query: str) -> None:
    """UserError unless the query is one statement that only reads. It is only parsed, not run."""
    with sentences(), open_parser() as parser:
        refuse_acting(parser, query)


def refuse_acting(parser: duckdb.DuckDBPyConnection, query: str) -> None:
    """`check_reads`, but a query that DuckDB cannot parse raises DuckDB's error."""
    if "\0" in query or any("\ud800" <= character <= "\udfff" for character in query):
        raise UserError("the query holds bytes that are not UTF-8 text; write it in UTF-8")
    for statement in _executed(parser, query):
        _refuse_kinds(_kinds(parser, statement))
        for name in _called(parser, statement):
            if name in ACTING or name.startswith(SWITCHES):
                raise UserError(f"the function {name} is refused: it does more than read; write a select without it")


def open_parser() -> duckdb.DuckDBPyConnection:
    """A DuckDB that only parses; confined, since parsing an `import database` reads the files of that database."""
    connection = _empty()
    confine(connection)
    return connection


def _executed(parser: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The query; for an explain, each text that may be the explained statement, which `explain analyze` runs."""
    kinds = _kinds(parser, query)
    if kinds == EXPLAINED_PIVOT:
        raise UserError(f"an explain of a pivot without its values is refused; {VALUES_OF_A_PIVOT}")
    if kinds != ["EXPLAIN"]:
        return [query]
    return [text for text in _explained(query) if _parses(parser, text)] or [query]


def _explained(query: str) -> Iterator[str]:
    """The text after the word explain, after analyze, and after a first bracket (the options, or a select)."""
    content, tokens = query.encode(), _tokens(query)
    first = 1
    yield content[tokens[first][0] :].decode()
    if tokens[first][1].lower() in ("analyze", "analyse"):
        first += 1
        yield content[tokens[first][0] :].decode()
    depth = 0
    for (_, token), (offset, _) in itertools.pairwise(tokens[first:]):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if not depth:
            if token == ")":
                yield content[offset:].decode()
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
            raise UserError(f"a statement of type {name} is refused: a query only reads; write a select")
    if len(kinds) != 1:
        raise UserError(f"the query holds {len(kinds)} statements; run one at a time")


def _kinds(parser: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The types of the statements in a query, such as SELECT."""
    try:
        statements = parser.extract_statements(query)
    except duckdb.PermissionException:
        return ["IMPORT"]  # the parser may not open its files
    # DuckDB turns a pivot into a select and, before it, a temporary type that has no text in the query.
    pivot = "SELECT" in [statement.type.name for statement in statements]
    return [s.type.name for s in statements if not (pivot and s.type.name == "CREATE" and not s.query)]


def _called(parser: duckdb.DuckDBPyConnection, statement: str) -> Iterable[str]:
    """The names of the functions that a statement calls, in lower case, according to DuckDB's parser."""
    tree = named_in_tree(parser, statement, "function_name")
    if tree is not None:
        return [name.lower() for name in tree["function_name"]]
    # DuckDB gives no tree of it: every token before a bracket may be a function.
    tokens = [token for _, token in _tokens(statement)]
    return [name.strip('"').lower() for name, following in itertools.pairwise(tokens) if following == "("]


def named_in_tree(parser: duckdb.DuckDBPyConnection, query: str, *keys: str) -> dict[str, list[str]] | None:
    """The values under each key in DuckDB's tree of a query, at any depth: schema_name, table_name, function_name.

    None where DuckDB gives no tree: for a pivot without its values, and for a statement that is not a select.
    """
    listed = ", ".join(f"json_extract_string(tree, {literal(f'$..{key}')})" for key in keys)
    values = f"select tree ->> 'error', {listed} from (select json_serialize_sql(?::varchar) as tree)"
    error, *names = parser.execute(values, [query]).fetchall()[0]
    return None if error != "false" else dict(zip(keys, names, strict=True))


def _tokens(query: str) -> list[tuple[int, str]]:
    """The offset (in bytes) and the text of each token; of a text in apostrophes only the first character.

    UserError for a Unicode space outside quotes: DuckDB's parser reads it as a space, its tokenizer as a letter.
    """
    content = query.encode()
    offsets = [offset for offset, _ in duckdb.tokenize(query)]
    tokens = []
    for offset, end in itertools.pairwise([*offsets, len(content)]):
        match = TOKEN.match(content, offset, end)
        token = match[0].decode() if match else ""
        odd = next((letter for letter in token if _looks_like_a_space(letter)), None)
        if odd and not token.startswith('"'):
            raise UserError(f"the query holds the space U+{ord(odd):04X} outside quotes; write plain spaces")
        tokens.append((offset, token))
    return tokens


def _looks_like_a_space(letter: str) -> bool:
    return not letter.isascii() and (letter.isspace() or unicodedata.category(letter) == "Cf")


def split(text: str) -> tuple[list[str], str]:
    """The statements in `text` that end with a semicolon, and the unfinished rest after the last of them."""
    content = text.encode()
    finished, start, begun = [], 0, False
    for offset, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.comment:
            continue
        if kind != duckdb.token_type.operator or content[offset : offset + 1] != b";":
            begun = True
            continue
        if begun:
            finished.append(content[start:offset].decode())
        start, begun = offset + 1, False
    return finished, content[start:].decode() if begun else ""


def copy(answer: duckdb.DuckDBPyRelation, form: str, path: str) -> None:
    """Write an answer to a file in one of FORMATS, row group by row group. UserError when the query fails."""
    with sentences():
        answer.query("answer", f"copy (from answer) to {literal(path)} ({FORMATS[form]}, use_tmp_file false)")


def stream(connection: duckdb.DuckDBPyConnection, answer: duckdb.DuckDBPyRelation, form: str, out: BinaryIO) -> None:
    """Write an answer to a stream as it is computed. UserError when the query fails.

    DuckDB writes into a named pipe in the only folder that a confined connection can write to.
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
                connection.interrupt()  # the reader is gone: the query must not run to its end
                raise
        writer.result()


@contextlib.contextmanager
def _pipe(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, int, int]]:
    """A named pipe and its open ends. The open writing end keeps a query that fails early from blocking the reader."""
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
