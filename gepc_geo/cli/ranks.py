"""A command that torchrun starts several times at once speaks with one voice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from gepc_geo.cli.refusal import Refused
from gepc_geo.errors import InputError
from gepc_geo.utils import distributed


@contextmanager
def ranks() -> Iterator[None]:
    """Joins the ranks of torchrun, of which only the first prints.

    Bad input, which all ranks have to raise (see :func:`gepc_geo.utils.distributed.raise_on_all_ranks`), ends all of
    them with exit code 2 and one sentence.
    """
    with distributed.process_group(), ExitStack() as silence:
        if not distributed.is_first():
            nowhere = silence.enter_context(
                open(os.devnull, "w", encoding="utf-8", errors="replace")
            )
            silence.enter_context(redirect_stdout(nowhere))
        try:
            yield
        except InputError as error:
            if distributed.world() == 1:
                raise
            if distributed.is_first():
                Refused(str(error)).show()
            distributed.exit_barrier()
            raise SystemExit(Refused.exit_code) from None
