"""One genome in, one trained network out.

Jobs (`trainer.job:train`, `trainer.job:export`) are run by an engine's worker processes;
`dicebox train` and `python -m trainer` train a single genome on their own. The examples come
from the sensory service as a batch order, once a machine, into a memory-mapped cache.

Keras and TensorFlow are imported here and nowhere else, and here only in the modules that
build and train (`adapters.keras_network`, `training`, `export`).
"""
