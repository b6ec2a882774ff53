"""`python -m dicebox.child PARENT MODULE`: a service's process that ends when the house does."""

import runpy
import signal
import sys

from commons.adapters.parent_death import end_with_parent

if __name__ == "__main__":
    end_with_parent(signal.SIGTERM, parent=int(sys.argv.pop(1)))
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
