"""The words the services share, and the seams between them.

The modules here are pure (stdlib, numpy, pydantic); everything that touches a disk, a
socket or a library of the outside lives in `commons.adapters`.
"""
