"""What all packages agree on: parts, layers, roles, outcomes and reject reasons. Plain data, written only here."""

PARTS = ("train", "validation", "test")
NO_LOSS = -100  # a label of a token that the loss leaves out; PyTorch's default
DIFFICULTIES = ("easy", "medium", "hard")

# --- annotations -----------------------------------------------------------------------------------------------------

SPAN_LAYERS = ("entity", "term")
LAYERS = (*SPAN_LAYERS, "scene")
HUMAN_ROLES = ("annotator", "arbitrator", "committee")
ROLES = (*HUMAN_ROLES, "source")
BY_HUMANS = ("agreed", "arbitrated", "committee")
DECIDED = (*BY_HUMANS, "source")
TODO_REASONS = ("one_annotator", "needs_arbitrator", "needs_committee", "below_gate")

# --- rejects ---------------------------------------------------------------------------------------------------------

# stage -> the reasons for which it rejects a row. The runner refuses any other.
REJECT_REASONS = {
    "ingest": (
        *("no_key", "empty", "no_time", "bad_time", "inexact_number", "superseded", "duplicate_key"),
        *("corrupt_row", "encrypted", "broken", "no_text", "too_large", "unsupported"),  # by the readers
        *("no_annotator", "bad_layer", "bad_role", "unknown_record"),  # of annotations
    ),
    "clean": ("outlier", "empty", "mojibake", "boilerplate", "language"),
    "dedup": ("duplicate",),
    "mask": ("personal_data", "record_gone"),
    "annotate": (
        "unknown_record",  # the record is not in mask.records (a duplicate, or rejected before)
        "unknown_layer",
        "unknown_role",
        "no_annotator",  # a human's label without a name
        "quote_not_found",
        "repeated",
        "contradictory",  # one person: several scenes, or labels together with "nothing found"
        "source_not_trusted",
        "human_labelled",  # the source's label, where humans labelled too
    ),
    "split": (
        "bad_split",  # a row of a source with a given split, whose split is unknown
        "no_time",  # time mode needs occurred_at
        "cluster_crosses_cut",
        "text_crosses_cut",
    ),
    "select": (
        "no_text",
        "no_class",  # the label is missing
        "no_prompt",  # a value that the prompt names is missing
        "no_reply",  # a value that the target names is missing
        "no_task",  # a train row that no condition of `mix` takes
    ),
    "tokenize": ("unseen_class", "too_long"),
}

# What a quality check may name in the line `-- lists:` of its header, as $name in its query.
LISTS = {
    "parts": PARTS,
    "difficulties": DIFFICULTIES,
    "layers": LAYERS,
    "roles": ROLES,
    "decided": DECIDED,
    "todo_reasons": TODO_REASONS,
    "reject_reasons": tuple(
        {"stage": stage, "reason": reason} for stage, reasons in REJECT_REASONS.items() for reason in reasons
    ),
}
