"""What only the trainer touches: Keras networks, and the cache of examples."""
