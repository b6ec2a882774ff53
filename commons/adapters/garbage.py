"""What a started process tells Python's garbage collector."""

import gc


def spare_started() -> None:
    """Take all that is there out of garbage collection, when a process has started.

    Modules and routes live as long as the process. To walk over them for garbage takes some
    70 ms, which one request or another would wait for.
    """
    gc.collect()
    gc.freeze()
