"""The one exception that is the user's to mend."""


class UserError(Exception):
    """A mistake in files, parameters or environment: one sentence naming the thing, the reason and the mend.

    The command line prints it without a traceback and exits with code 2.
    """
