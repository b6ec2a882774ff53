"""What clients may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one client may take, and all together; times in seconds.

    Args:
        headers: How many a request may have.
        head_bytes: How large they may be together.
        head_s: In which they come.
        body_s: In which a body comes, and besides so long as it comes with
        body_bytes_per_s: bytes a second.
        idle_s: How long a connection may be silent between requests;
        drain_idle_s: the same while the process ends.
        write_s: How long a client may read nothing of what it asked for.
        linger_s: How long a refused request is read on, so that its client sees the reply,
        linger_bytes: and how much of it.
        connections: How many there may be.
        bodies_bytes: How much all bodies that are on their way may take, in memory and on disk.
    """

    headers: int = 100
    head_bytes: int = 16 * 1024
    head_s: float = 10.0
    body_s: float = 30.0
    body_bytes_per_s: float = 64 * 1024
    idle_s: float = 75.0
    drain_idle_s: float = 1.0
    write_s: float = 30.0
    linger_s: float = 5.0
    linger_bytes: int = 256 * 1024 * 1024
    connections: int = 4096
    bodies_bytes: int = 512 * 1024 * 1024
