"""The front door: the `dicebox` command, the Python client, and `up` (all on one machine).

`house.House` runs the services of one data folder as child processes; `front` is the one
address they share; `connect` finds the house of a data folder or opens the folder itself.
"""

from dicebox.client import Client

__all__ = ["Client"]
