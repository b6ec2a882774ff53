"""What runs in the environments of the peers: it knows nothing of Dicebox.

The folder of a script is on its path, so the scripts import each other by bare names.
"""
