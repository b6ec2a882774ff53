"""For a server that forks its workers: what they do at SIGTERM until they have begun to serve."""

import os
import signal


def end_while_starting() -> None:
    """Let SIGTERM end each process that is forked from now on, until it handles the signal itself.

    A worker inherits the handler of its parent, which notes in the worker's copy of its memory
    that the server is to end. So a worker that is told to end while it still starts would go on,
    and its parent would wait for it as long as for the slowest request.
    """
    ends = {signal.SIGTERM}

    def start_over() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ends),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ends),
        after_in_child=start_over,
    )
