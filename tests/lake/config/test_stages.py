"""The table of the stages, and what each module declares."""

import importlib

import pytest

from finelake.jobs.stage import REJECTS, load_stage
from finelake.lake.config import contract, stages


def test_the_groups_are_those_of_the_table():
    assert stages.DATA == ("ingest", "clean", "dedup", "mask", "annotate", "split")
    assert (*stages.DATA, "quality") == stages.SHARED
    assert stages.PER_RUN == ("select", "base", "tokenize", "train", "evaluate")
    assert (("ingest", "clean", "dedup"), (*stages.DATA, "select", "tokenize")) == (stages.PRIVATE, stages.SPARK)
    assert stages.SECTIONS == ("sources", "clean", "dedup", "mask", "annotate", "split", "quality")


@pytest.mark.parametrize("entry", stages.STAGES, ids=lambda entry: entry.name)
def test_a_stage_has_a_module_of_its_name(entry):
    if entry.package != "lake":  # quality is a package of checks; finelake/commands/quality.py runs it
        importlib.import_module(f"finelake.{entry.package}.{entry.name}")


@pytest.mark.parametrize("name", stages.SPARK)
def test_a_stage_of_spark_reads_what_earlier_ones_write_and_has_reject_reasons(name):
    stage, order = load_stage(name), [entry.name for entry in stages.STAGES]
    for key in stage.reads:
        source, _, table = key.partition(".")
        assert key == "sources" or order.index(source) < order.index(name) and table in load_stage(source).writes
    assert (stage.writes["rejects"] == REJECTS) and contract.REJECT_REASONS[name]
    assert stage.balance or stage.conserves


def test_no_list_of_the_contract_names_a_value_twice():
    for name, values in contract.LISTS.items():
        assert len({str(value) for value in values}) == len(values), name
