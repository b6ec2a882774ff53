"""`dicebox` and `python -m dicebox`: the command, for which Ctrl-C holds from its first moment."""

import os
import signal
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    """Run the command and end the process with its exit code."""
    # A SIGINT that the parent has us ignore (nohup, a job in the background) stays ignored.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        # Importing takes a third of a second, in which nothing has begun that could be left over.
        signal.signal(signal.SIGINT, _leave)
    from dicebox.command import main as run  # noqa: PLC0415 - see above

    run(interruptible=interruptible)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"dicebox: interrupted\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
