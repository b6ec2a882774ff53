"""The order of a batch order with a seed: the same in every language and for ever."""

import hashlib

from commons.order_view import example_order, permuted


def test_without_a_seed_everything_stays_where_it_is() -> None:
    assert example_order(None, 3, 4) == [0, 1, 2, 3]
    assert permuted("cab", None, str) == ["c", "a", "b"]


def test_a_seed_sorts_by_sha256_as_documented() -> None:
    digests = {hashlib.sha256(b"7/2/%d" % at).hexdigest(): at for at in range(5)}
    assert example_order(7, 2, 5) == [digests[key] for key in sorted(digests)]
    assert example_order(7, 2, 5) == [2, 4, 1, 0, 3], "what clients in the world rely on"


def test_another_seed_or_shard_is_another_order_of_the_same() -> None:
    orders = {tuple(example_order(seed, shard, 50)) for seed in range(3) for shard in range(1, 4)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)
