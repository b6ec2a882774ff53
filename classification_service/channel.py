"""What the server that listens and its workers say to each other, a byte at a time."""

# From the server: a connection (with its file), stop soon, and nothing more will come.
CONNECTION, DRAIN, END = b"c", b"d", b"e"
# From a worker: it serves; and, while it stops, whether connections are open.
READY, BUSY, QUIET = b"r", b"b", b"q"
