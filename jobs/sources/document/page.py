"""A page as the child process gives it to its parent: a message of plain JSON, or the reason why it has no text.

Imported by what parses files and by what does not, so it needs no library.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finelake.jobs.sources.documents import Documents

METHODS = ("text_layer", "ocr", "docx")  # by which the text of a page was read
REASONS = ("encrypted", "broken", "no_text", "too_large")  # why a file or page has no text
NO_MEMORY = re.compile(r"bad[_ ]alloc|Insufficient memory|Failed to allocate|Unable to allocate", re.IGNORECASE)
Message = list[Any]


class Unreadable(Exception):
    """A file or page without a text: the reason of the reject, and what to add to its place in the detail."""

    def __init__(self, reason: str, detail: str | None = None):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def page_message(number: int, read: Callable[[], tuple[str, str]], source: "Documents") -> Message:
    """The message of a page whose text and method `read` gives. MemoryError passes through: it ends the child."""
    try:
        text, method = read()
        if len(text) > source.max_characters:
            raise Unreadable("too_large", f"more than {source.max_characters:,} characters (max_characters)")
    except Unreadable as error:
        return ["page", number, None, None, error.reason, error.detail]
    except Exception as error:  # a parser's surprise is the page's fault, not the run's
        if out_of_memory(error):
            raise MemoryError from None
        return ["page", number, None, None, "broken", type(error).__name__]
    return ["page", number, text, method, None, None]


def check_pages(count: int, source: "Documents") -> None:
    if count > source.max_pages:
        raise Unreadable("too_large", f"{count:,} pages (max_pages)")
    if not count:
        raise Unreadable("no_text")


@contextmanager
def file_errors() -> Iterator[None]:
    """A parser's surprise becomes the file's reject."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable("broken", type(error).__name__) from None


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, comes from a refused allocation; libraries in C++ give only a text."""
    if error is None:
        return False
    refused = isinstance(error, MemoryError) or bool(NO_MEMORY.search(str(error)))
    return refused or out_of_memory(error.__cause__ or error.__context__)


def named_time(file: str, pattern: str | None) -> str | None:
    """The date in a file's name by the pattern's groups year, month, day; None when it does not match."""
    found = re.search(pattern, Path(file).name) if pattern else None
    return f"{found['year']}-{found['month']}-{found['day']}" if found else None
