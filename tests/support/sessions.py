"""What Spark Connect's sessions of one process do to each other."""

from __future__ import annotations

from unittest.mock import patch

from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator


def keep_shared_channel() -> None:
    """The client closes what all sessions share when any one of them is collected, on whichever thread the collector
    runs, and then locks up against one that is in use. Not from here on, in this process."""
    patch.object(ExecutePlanResponseReattachableIterator, "shutdown", lambda: None).start()


def let_go_of_clients() -> None:
    """Ends the client's release calls, which all sessions of a process share.

    A session object that is still alive waits for them when it is collected, and each of them tries a server that has
    gone for ten minutes.
    """
    pool = ExecutePlanResponseReattachableIterator._release_thread_pool
    ExecutePlanResponseReattachableIterator._release_thread_pool = None
    if pool is not None:
        pool.terminate()
