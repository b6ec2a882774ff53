"""How much memory jobs take, as the system tells it."""

import mmap
import os
from pathlib import Path

from commons.adapters.job_memory import oom_kills, own_bytes

PAGE = os.sysconf("SC_PAGE_SIZE")


def process(proc: Path, number: int, statm: str, children: str | None = None) -> None:
    thread = proc / str(number) / "task" / str(number)
    thread.mkdir(parents=True)
    (proc / str(number) / "statm").write_text(statm)
    if children is not None:
        (thread / "children").write_text(children)


def test_what_processes_share_is_not_counted_and_children_are(tmp_path: Path) -> None:
    process(tmp_path, 7, "900 500 400 1 0 2 0", "8 9")
    process(tmp_path, 8, "90 50 20 1 0 2 0", "")
    process(tmp_path, 9, "9 5 1 1 0 2 0")
    assert own_bytes(7, tmp_path) == (100 + 30 + 4) * PAGE
    assert own_bytes(10, tmp_path) == 0


def test_memory_of_this_process_is_seen() -> None:
    before = own_bytes(os.getpid())
    taken = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    taken.write(b"x" * len(taken))
    assert before + 50 * 2**20 < own_bytes(os.getpid()) < before + 200 * 2**20
    taken.close()


def test_kills_for_want_of_memory_are_read_of_both_versions(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    groups = tmp_path / "self" / "cgroup"
    assert oom_kills(tmp_path, tmp_path) == 0
    groups.write_text("4:memory:/outside/name\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.oom_control").write_text("under_oom 0\noom_kill 3\n")
    assert oom_kills(tmp_path, tmp_path) == 3
    groups.write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "memory.events").write_text("oom 9\noom_kill 5\n")
    assert oom_kills(tmp_path, tmp_path) == 5
