"""What has started is no longer looked through for garbage."""

import gc

from commons.adapters.garbage import spare_started


class Loop:
    def __init__(self) -> None:
        self.me = self


def test_what_was_there_is_spared_and_what_comes_later_is_not() -> None:
    try:
        spare_started()
        assert gc.get_freeze_count() > 10_000
        Loop()
        assert gc.collect() >= 1
        assert not any(isinstance(each, Loop) for each in gc.get_objects())
    finally:
        gc.unfreeze()
