"""From pinned tables to a measured model: plan, loader, model, loop, evaluation. Imports neither jobs nor pyspark."""

import os

import torch

# The libraries read these when they are imported, so they are set before any of our modules imports one: no bars and
# advice between a stage's own lines, and no search for a GPU where there is none.
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
