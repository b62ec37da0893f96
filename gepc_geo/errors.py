"""The one exception that means "what you gave us cannot be used"."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used: a file, a value or a combination of options.

    The message is one sentence that names the file (or option), the value found and what was
    expected. The command line prints it and exits with code 2.
    """
