"""How much of everything the benchmark of the sensory service uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts of one run.

    Args:
        uploads: Images that are sent one in a request.
        forms: Images that are sent as multipart forms.
        imported: Images of MNIST to import, all if None.
        rows: Rows of the catalog.
        questions: How often a page is asked for.
        stream_bytes: Size of the large import.
    """

    uploads: int
    forms: int
    imported: int | None
    rows: int
    questions: int
    stream_bytes: int


FULL = Sizes(3000, 10_000, None, 1_000_000, 20, 2_000_000_000)
QUICK = Sizes(200, 400, 600, 5000, 2, 30_000_000)
