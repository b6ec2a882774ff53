"""Where in the blobs the bytes are: by hash, so that no text of a person is ever a path."""


def shard_blob(sha256: str) -> str:
    """Return the name of the blob that holds a shard."""
    return f"shards/{sha256[:2]}/{sha256}"
