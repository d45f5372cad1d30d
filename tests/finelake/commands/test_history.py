"""`finelake history`: every version, its state and what pins it."""

from pathlib import Path

from finelake.lake.tables import snapshots


def test_each_version_names_the_refs_that_pin_it(finelake):
    code, out, _ = finelake("history", "clean.records")
    newest, oldest = [line.split() for line in out.splitlines()[2:]]
    assert code == 0
    assert [newest[0], newest[3], *newest[5:]] == ["1", "5", "complete", "work", "tree"]
    assert [oldest[0], oldest[3], *oldest[5:]] == ["0", "4", "complete", "HEAD,", "brave-name,", "main,", "old"]


def test_a_version_whose_files_are_missing_is_marked(finelake, revised):
    pinned = snapshots.manifests(revised)["clean"]["records"]
    file = Path(snapshots.files(str(revised / "lakehouse"), "clean", pinned)[0])
    away = file.rename(file.with_name("away"))
    try:
        lines = finelake("history", "clean.records")[1].splitlines()
    finally:
        away.rename(file)
    assert " files missing " in lines[2]
    assert " complete " in lines[3]


def test_a_table_that_nothing_pins_is_listed(finelake):
    code, out, _ = finelake("history", "clean.stray")
    assert code == 0
    assert out.splitlines()[2].endswith("complete")


def test_an_unknown_table_is_named_with_the_nearest(finelake):
    code, _, err = finelake("history", "clean.recrods")
    assert code == 2
    assert "the lake holds no table clean.recrods; did you mean clean.records?" in err


def test_names_a_ref_whose_manifests_cannot_be_read(finelake, revised):
    cache = revised / ".dvc" / "cache"
    away = cache.rename(cache.with_name("away"))
    try:
        code, out, _ = finelake("history", "clean.records")
    finally:
        away.rename(cache)
    assert code == 0
    assert "could not read the pins of old: snapshots/clean.json of" in out


def test_a_name_that_leaves_its_folder_is_refused(finelake):
    code, out, err = finelake("history", "stray/../clean.records")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "stray/../clean.records is not a table's name; write stage.table" in err
