"""Limits of a process under which no command works."""

import resource

import pytest

from finelake.lake import limits
from finelake.lake.errors import UserError


@pytest.fixture
def allowed(monkeypatch):
    """The limits of this process, as the module sees them; none at first."""
    found = dict.fromkeys((resource.RLIMIT_AS, resource.RLIMIT_FSIZE), resource.RLIM_INFINITY)
    monkeypatch.setattr("finelake.lake.limits.resource.getrlimit", lambda limit: (found[limit], resource.RLIM_INFINITY))
    return found


def test_a_process_without_limits_may_run(allowed):
    limits.check()


@pytest.mark.parametrize(
    ("limit", "least", "message"),
    [
        (
            resource.RLIMIT_AS,
            2048 << 20,
            r"^the address space of a process is limited to 2,047 MB \(`ulimit -v`\), which is too little for the "
            r"libraries that Finelake uses; raise the limit to 2,048 MB or remove it$",
        ),
        (resource.RLIMIT_FSIZE, 16 << 20, r"^the size of a file is limited to 15 MB \(`ulimit -f`\), .* 16 MB"),
    ],
)
def test_a_limit_that_is_too_low_is_named_with_what_suffices(allowed, limit, least, message):
    allowed[limit] = least
    limits.check()
    allowed[limit] = least - 1
    with pytest.raises(UserError, match=message):
        limits.check()
