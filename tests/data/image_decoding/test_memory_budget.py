"""Threads share a number of bytes, in the order in which they ask for them."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from attendet.data.image_decoding.memory_budget import MemoryBudget


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_threads_never_hold_more_than_the_capacity() -> None:
    budget, held, peak, lock = MemoryBudget(100), [0], [0], threading.Lock()

    def work(amount: int) -> None:
        with budget.reserve(amount):
            with lock:
                held[0] += amount
                peak[0] = max(peak[0], held[0])
            time.sleep(0.002)
            with lock:
                held[0] -= amount

    threads = [threading.Thread(target=work, args=(10 + 7 * (number % 9),)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 50 < peak[0] <= 100
    assert budget.free == 100


def test_small_parts_do_not_hold_up_a_large_one() -> None:
    budget, order = MemoryBudget(100), list[int]()

    def work(amount: int) -> None:
        with budget.reserve(amount):
            order.append(amount)

    with budget.reserve(60):
        large = threading.Thread(target=work, args=(100,))
        large.start()
        wait_until(lambda: len(budget._waiting) == 1)
        small = threading.Thread(target=work, args=(10,))
        small.start()
        wait_until(lambda: len(budget._waiting) == 2)
        assert order == []
    large.join()
    small.join()
    assert order == [100, 10]


def test_the_bytes_are_free_after_an_error() -> None:
    budget = MemoryBudget(10)
    with pytest.raises(KeyError), budget.reserve(10):
        raise KeyError
    assert budget.free == 10


def test_more_than_the_capacity_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="at most 10 bytes, got 11"), MemoryBudget(10).reserve(11):
        pass


def test_a_forked_process_does_not_wait_for_threads_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = MemoryBudget(10)
    with budget.reserve(10):
        pid = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: pid + 1)
        with budget.reserve(8):
            assert budget.free == 2
