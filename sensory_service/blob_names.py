"""Where in the blobs bytes are that this service alone reads; shards: `commons.blob_names`."""


def pack_blob(sha256: str) -> str:
    """Return the name of the blob that holds a pack."""
    return f"packs/{sha256[:2]}/{sha256}"


def image_blob(sha256: str) -> str:
    """Return the name of the blob that holds an image."""
    return f"images/{sha256[:2]}/{sha256[2:4]}/{sha256}"
