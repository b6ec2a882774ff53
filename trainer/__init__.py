"""One genome in, one trained network out.

Jobs (`trainer.job:train`, `trainer.job:export`) are run by an engine's worker processes;
`dicebox train` and `python -m trainer` train a single genome on their own, also on a machine
that shares nothing with the services but their address. `python -m trainer.worker` makes a
machine one of many that run jobs for evolvers elsewhere; it shares the blobs with them, and a
broker (`worker_process`). The examples come from the sensory
service as a batch order, once a machine, into a memory-mapped cache.

All of it can be killed at any moment and goes on where it was: the cache by its journal
(`adapters.filling`), a training by its checkpoints (`checkpoint`), the stand-alone trainer by
its milestones (`milestones`).

Keras and TensorFlow are imported here and nowhere else, and here only in the modules that
build and train (`adapters.keras_network`, `training`, `export`). `KERAS_BACKEND=jax` trains on
JAX; what leaves the trainer is made on TensorFlow in any case (`backends`).
"""

import os

# Before Keras is imported: it reads this once.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Several workers may share an accelerator: each takes of its memory what it needs, when it does.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
