from __future__ import annotations

import threading
from functools import partial

from autoloader.lib.threads import DaemonThreads


def test_as_much_as_there_are_threads_is_done_at_once() -> None:
    threads, release, done = DaemonThreads(2, "test"), threading.Event(), list[int]()

    def work(number: int) -> None:
        release.wait(10)
        done.append(number)

    assert [threads.submit(partial(work, number)) for number in range(3)] == [True, True, False]
    assert (threads.free, threads.wait(0.01)) == (0, False)
    release.set()
    assert threads.wait(10)
    assert (sorted(done), threads.free) == ([0, 1], 2)
    assert threads.submit(lambda: work(3))
    threads.close(10)
    assert sorted(done) == [0, 1, 3]


def test_one_thread_does_one_piece_after_the_other() -> None:
    ended = list[str]()
    threads = DaemonThreads(1, "test", lambda: ended.append(threading.current_thread().name))
    for _ in range(3):
        assert threads.submit(lambda: None)
        assert threads.wait(10)
    threads.close(10)
    assert ended == ["test-0"]
