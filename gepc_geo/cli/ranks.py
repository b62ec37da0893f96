"""Commands under torchrun: only the first rank prints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout

from gepc_geo.cli.refusal import Refused
from gepc_geo.errors import InputError
from gepc_geo.utils import distributed


@contextmanager
def ranks() -> Iterator[None]:
    """Joins the ranks of torchrun; only the first rank prints.

    An :class:`InputError`, which every rank must raise
    (:func:`gepc_geo.utils.distributed.raise_on_all_ranks`), ends all ranks with one sentence and
    exit code 2.
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
        except KeyboardInterrupt:
            if distributed.is_first():
                raise
            raise SystemExit(130) from None
