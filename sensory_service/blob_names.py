"""Where in the blobs the bytes are: by hash, so that no text of a person is ever a path."""


def shard_blob(sha256: str) -> str:
    """Return the name of the blob that holds a shard."""
    return f"shards/{sha256[:2]}/{sha256}"


def pack_blob(sha256: str) -> str:
    """Return the name of the blob that holds a pack."""
    return f"packs/{sha256[:2]}/{sha256}"


def image_blob(sha256: str) -> str:
    """Return the name of the blob that holds an image."""
    return f"images/{sha256[:2]}/{sha256[2:4]}/{sha256}"
