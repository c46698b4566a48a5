"""A run's way to its store: one that does not answer is tried now and then by one run, and the others wait for that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.utils import timezone

from autoloader.lib.breaker import Breaker, Waits
from autoloader.lib.errors import AutoloaderError, TransientError
from clusters.breaker import policy
from ingestions.engine.config import IngestionConfig
from ingestions.engine.sources.base import Source
from ingestions.engine.sources.location import locate
from ingestions.models import Run, SourceBreaker
from ingestions.services import breakers
from ingestions.services.breakers import NOT_WAITING, SOURCE, Awaited, of_store, runs_wake

logger = logging.getLogger(__name__)

#: errors that say that the store itself was not there; others (a wrong key, a file that is gone) are not its fault.
AWAY = frozenset({"storage_unreachable", "storage_busy", "name_not_resolved"})


class StoreWaits(Waits):
    """The breaker of a store is open."""

    def __init__(self, awaited: Awaited, why: str, until: datetime) -> None:
        super().__init__(awaited.what[:1].upper() + awaited.what[1:], why, until)
        self.awaited = awaited


def store_of(run: Run, config: IngestionConfig) -> str | None:
    """Bucket and endpoint; ``None`` for folders of this machine, which have no breaker."""
    if config.source.type == "local":
        return None
    credential = run.ingestion.credential
    endpoint = str(credential.public.get("endpoint_url") or "") if credential is not None else ""
    bucket = f"{locate(config.source).base.partition('://')[0]}://{locate(config.source).bucket}"
    return f"{bucket} at {endpoint}"[:500] if endpoint else bucket[:500]


def source_breaker(store: str) -> Breaker[SourceBreaker]:
    return Breaker(
        SourceBreaker.objects.filter(store=store),
        lambda: SourceBreaker.objects.get_or_create(store=store),
        policy(),
        what=f"The store {store}",
    )


def source_try_again(*, store: str) -> bool:
    """Closes the breaker: runs that wait for the store go on at once. ``False`` where none had to wait."""
    return source_breaker(store).close()


@contextmanager
def source_gate(run: Run, config: IngestionConfig, open_: Callable[[], Source]) -> Iterator[Source]:
    """The open source, closed at the end. Raises :class:`StoreWaits` where the store is not to be asked now, or where
    the body found it away once too often."""
    store = store_of(run, config)
    if store is None:
        source = open_()
        try:
            yield source
        finally:
            source.close()
        return
    gate = _Gate(run, of_store(store), source_breaker(store))
    with gate.judged():
        tries = gate.enter()
        source = open_()
        try:
            if tries:
                next(iter(source.list()), None)
                gate.answered()
            yield source
        finally:
            source.close()
    gate.worked()


class _Gate:
    def __init__(self, run: Run, awaited: Awaited, breaker: Breaker[SourceBreaker]) -> None:
        self._run = run
        self._awaited = awaited
        self._breaker = breaker

    def enter(self) -> bool:
        """Whether this run is the one that tries."""
        try:
            tries = self._breaker.admit(by=self._run.lease_token)
        except Waits as waits:
            raise StoreWaits(self._awaited, waits.why, waits.until) from None
        if self._run.waits_for.startswith(SOURCE):
            Run.objects.filter(pk=self._run.pk, lease_token=self._run.lease_token).update(**NOT_WAITING)
        return tries

    def answered(self) -> None:
        if self._breaker.answered(by=self._run.lease_token):
            logger.info("the store answers again", extra={"store": self._awaited.what})
            runs_wake(now=timezone.now())

    def worked(self) -> None:
        self._breaker.worked()

    @contextmanager
    def judged(self) -> Iterator[None]:
        try:
            yield
        except Waits:
            raise
        except AutoloaderError as error:
            if isinstance(error, TransientError) and error.code in AWAY:
                if waits := self._breaker.failed(by=self._run.lease_token, why=error.message):
                    told = StoreWaits(self._awaited, waits.why, waits.until)
                    breakers.told_all(self._awaited, told)
                    raise told from error
            else:
                self.answered()
            raise
