"""The summary after a run: counts from the pinned tables, scores from the metrics."""

import json
from pathlib import Path

from duckdb import DuckDBPyConnection

from finelake.lake.config.project import settings
from finelake.lake.config.stages import DATA
from finelake.lake.errors import UserError
from finelake.lake.query.duck import connect, views
from finelake.output.table import printable

# Where a stage rejects annotations beside records: which of its rejects are records.
OF_RECORDS = {"mask": "reason = 'personal_data' and not regexp_matches(detail, '^(label|annotator): ')"}
MASKED = "select kind, sum(count)::bigint as masked from mask.counts group by all order by masked desc, kind"
AGREEMENT = "select layer, units, round(kappa, 3) as kappa, gate, passed from annotate.agreement order by layer"
DECIDED = "select layer, decided_by, count(*) as labels from annotate.gold group by all order by all"
SPLIT = """
    select split, count(*) as rows, min(occurred_at)::date as first, max(occurred_at)::date as last
    from split.records group by all order by first, split"""


def print_summary(root: Path) -> None:
    """Print the counts of the tables and the scores of the models, and where to look further."""
    connection = connect(root, settings(root).lake)
    print()
    tables = views(connection)
    through = [stage for stage in DATA if {(stage, "records"), (stage, "rejects")} <= tables]
    _print("Records by stage (kept, rejected)", [_outcome(connection, stage) for stage in through])
    _print(
        "Rejected, by reason (record_gone: annotations of records that were rejected before)",
        _reasons(connection, [stage for stage in DATA if (stage, "rejects") in tables]),
    )
    _print("Masked personal data, by kind", connection.sql(MASKED).fetchall())
    _print("Agreement of annotators (layer, units, kappa, gate, passed)", connection.sql(AGREEMENT).fetchall())
    _print("Labels, by who decided", connection.sql(DECIDED).fetchall())
    _print("Split", connection.sql(SPLIT).fetchall())
    for path in sorted((root / "metrics").glob("*/evaluate.json")):
        _print(f"Scores of {path.parent.name} on test", _scores(path))
    reports = sorted(str(path.relative_to(root)) for path in (root / "reports").glob("*.html"))
    print(f"Where to look, in {root}")
    print(f"  reports       {', '.join(reports)}")
    print('  any table     finelake sql "from split.report"      (DuckDB; `finelake sql "show all tables"`)')
    print("  metrics       dvc metrics show, dvc plots show")
    print("  what trained  snapshots/*.json pin every table; dvc.lock pins them, the code and the parameters")


def _outcome(connection: DuckDBPyConnection, stage: str) -> tuple:
    """The stage, how many records it kept and how many it rejected."""
    kept = f"(select count(*) from {stage}.records)"
    rejected = f"(select count(*) from {stage}.rejects where {OF_RECORDS.get(stage, 'true')})"
    return (stage, *connection.sql(f"select {kept}, {rejected}").fetchall()[0])


def _reasons(connection: DuckDBPyConnection, stages: list[str]) -> list[tuple]:
    """(stage: reason, rows), the most frequent first."""
    rejects = " union all ".join(f"from {stage}.rejects" for stage in stages)
    counted = f"select stage || ': ' || reason as why, count(*) as rows from ({rejects}) group by all"
    return connection.sql(f"{counted} order by rows desc, why").fetchall()


def _print(title: str, rows: list[tuple]) -> None:
    print(title)
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))] if texts else []
    for row in texts:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells))
    print(flush=True)


def _text(cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else printable(str(cell))


def _scores(path: Path) -> list[tuple]:
    """One row per metric: the model's score with its interval, then the baselines'. UserError for a damaged file."""
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        systems = [name for name in ("model", "majority", "tfidf") if name in scores]
        return [(name, *[f"{one} {_interval(scores[one][name])}" for one in systems]) for name in scores["model"]]
    except (ValueError, LookupError, TypeError, AttributeError):
        run = path.parent.name
        raise UserError(f"{path} is damaged; write it again with `finelake run evaluate@{run}`") from None


def _interval(score: dict[str, float]) -> str:
    return f"{score['value']:.3g} ({score['low']:.3g} to {score['high']:.3g})"
