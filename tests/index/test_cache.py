from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from frames.index.cache import ByteBoundedCache

ENTRY_BYTES = 200  # what is counted beside a value's own size


def test_the_least_recently_used_leaves_first() -> None:
    cache = ByteBoundedCache(4 * (100 + ENTRY_BYTES))
    for name in "abcd":
        cache.put(name, name.upper(), 100)
    cache.get("a")
    cache.put("e", "E", 100)
    assert cache.get("b") is None
    assert [cache.get(name) for name in "acde"] == ["A", "C", "D", "E"]


def test_a_value_over_a_quarter_of_the_bound_is_not_kept() -> None:
    cache = ByteBoundedCache(10_000)
    cache.put("small", 1, 100)
    cache.put("large", 2, 2_500)
    assert cache.get("large") is None
    assert cache.get("small") == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5_000)), max_size=60))
def test_it_never_holds_more_than_its_bound(puts: list[tuple[int, int]]) -> None:
    cache = ByteBoundedCache(8_000)
    for key, size in puts:
        cache.put(key, key, size)
        assert cache.size_bytes <= 8_000
    held = sum(cache.get(key) is not None for key in range(10))
    assert (cache.size_bytes == 0) == (held == 0)


def test_threads_do_not_disturb_its_count() -> None:
    cache = ByteBoundedCache(50_000)

    def work(seed: int) -> None:
        for n in range(2_000):
            cache.put((seed * n) % 300, n, n % 500)
            cache.get(n % 300)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < cache.size_bytes <= cache.max_bytes
    cache.clear()
    assert cache.size_bytes == 0
