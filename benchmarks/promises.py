"""Staging, auditing and publishing of a batch, against a bare append of the same rows by the same reader."""

from __future__ import annotations

import uuid

from benchmarks.s3_server import FastS3
from ingestions.engine import sources
from ingestions.engine.config import Credentials, IngestionConfig
from ingestions.engine.formats.shape import Shape
from ingestions.engine.formats.sniff import sniff
from ingestions.engine.ledger import AttemptState, Entry, State
from ingestions.engine.loader.base import Plan
from ingestions.engine.sources.base import SparkAccess

_TABLE = "promises"
#: as a batch is staged at first.
PLAN = Plan(careful=frozenset())


class Promises:
    """The files below ``path`` as one batch for a table of its own."""

    def __init__(self, spark_url: str, storage: FastS3, path: str) -> None:
        self.config = IngestionConfig.model_validate(
            {
                "name": _TABLE,
                "cluster_id": "-",
                "source": {"type": "s3", "path": path, "credentials": storage.credentials()},
                "format": {"type": "json"},
                "destination": {"catalog": "local", "database": "bench", "table": _TABLE},
            }
        )
        source = sources.open_source(
            self.config.source,
            Credentials.model_validate(storage.credentials()),
            local_roots=[],
            allowed_networks=["127.0.0.0/8"],
            alias_key="bench",
        )
        files = list(source.list())
        shape = sniff(source, files[0], self.config.format)
        assert isinstance(shape, Shape)
        self.entries = [Entry(at, file, State.CLAIMED, shape) for at, file in enumerate(files)]
        self.access: SparkAccess = source.spark_access()
        self.source = source
        self._open(spark_url)
        self.loader.create(self.loader.infer(self.entries))
        self.attempts = 0

    def _open(self, spark_url: str) -> None:
        from clusters.connect import Session
        from clusters.url import Target
        from ingestions.engine.loader.loader import SparkTableLoader

        self.session = Session(Target(spark_url))
        self.session.prepare(self.access.conf)
        from ingestions.engine.loader import open_loader

        loader = open_loader(
            self.session.spark,
            session_id=self.session.session_id,
            config=self.config,
            access=self.access,
            weigh=self.source.weigh,
        )
        assert isinstance(loader, SparkTableLoader)
        self.loader = loader

    def bare(self) -> None:
        """One append, without branch, audit and proof."""
        rows, _ = self.loader.frame(self.entries, str(uuid.uuid4()), careful=PLAN.careful)
        rows.writeTo(self.loader.table).append()

    def kept(self) -> None:
        """All that a batch goes through from its branch to its publication, and the branch's end."""
        self.attempts += 1
        branch, batch_id = f"autoloader_bench_{self.attempts}", str(uuid.uuid4())
        base = self.loader.open_branch(branch)
        attempt = AttemptState(self.attempts, branch, base, self.session.session_id, branch, open=True)
        assert self.loader.find_batch(branch, batch_id) is None
        staged = self.loader.stage(self.entries, batch_id=batch_id, attempt=attempt, plan=PLAN)
        audit = self.loader.audit(staged, attempt, self.entries)
        assert len(audit.files) == len(self.entries)
        self.loader.publish(attempt, staged)
        self.loader.drop_branch(branch)

    def close(self) -> None:
        self.session.release()
        self.source.close()
