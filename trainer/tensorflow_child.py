"""`python -m trainer.tensorflow_child FOLDER PARENT`: a job for a worker on another backend.

It ends with its parent, whose process id it is told.
"""

import sys
from pathlib import Path

from commons.adapters.parent_death import end_with_parent


def main(folder: Path, parent: int) -> None:
    """Run the job in a folder."""
    # Before TensorFlow, which takes seconds to import: the parent may be killed meanwhile.
    end_with_parent(parent=parent)
    from trainer import job  # noqa: PLC0415
    from trainer.backends import answer  # noqa: PLC0415

    answer(folder, {"export": job.export, "measure": job.measure})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
