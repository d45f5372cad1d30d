"""Figures as SVG to stand in a page."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

# Text stays text (the reader's own fonts have Chinese), and the same figures give the same bytes.
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "finelake", "font.family": "sans-serif", "font.size": 9}


def svg(draw: Callable[[Figure], None], width: float, height: float) -> Markup:
    """What `draw` draws, inches wide and high. Matplotlib escapes the texts in it."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # measured here, drawn by the reader's fonts
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])
