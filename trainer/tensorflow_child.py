"""`python -m trainer.tensorflow_child FOLDER`: a job for a worker on another backend."""

import sys
from pathlib import Path

from trainer import job
from trainer.backends import answer

if __name__ == "__main__":
    answer(Path(sys.argv[1]), {"export": job.export, "measure": job.measure})
