"""The kinds of sources, and the section `sources` of params.yaml."""

from typing import Any

from finelake.jobs.sources.api import Api
from finelake.jobs.sources.database import Database
from finelake.jobs.sources.documents import Documents
from finelake.jobs.sources.files import Files
from finelake.jobs.sources.source import Source
from finelake.lake.config.names import check_names
from finelake.lake.config.params import parse
from finelake.lake.errors import UserError, did_you_mean

KINDS: dict[str, type[Source]] = {
    "database": Database,
    "documents": Documents,
    "api": Api,
    "files": Files,
}


def parse_sources(mapping: Any) -> dict[str, Source]:
    """The section `sources`, each source as the dataclass of its kind. UserError for what does not fit."""
    if not isinstance(mapping, dict) or not mapping:
        *kinds, last = KINDS
        raise UserError(f"params.yaml: sources is empty; add a source with its kind: {', '.join(kinds)} or {last}")
    check_names(mapping, "sources", "source")
    return {name: _parse_source(name, value) for name, value in mapping.items()}


def _parse_source(name: str, value: Any) -> Source:
    where = f"sources.{name}"
    if not isinstance(value, dict):
        raise UserError(f"params.yaml: {where} must be a mapping; write kind, key, occurred_at, text, ... under it")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise UserError(f"params.yaml: {where}.kind: {kind!r} is not a kind of source; {hint}")
    return parse(KINDS[kind], {key: item for key, item in value.items() if key != "kind"}, where)
