"""Loading a range of a source at any time."""

from __future__ import annotations

from ninja import Router, Status

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.schemas import BackfillBody, Id, IdempotencyKey, RunAccepted
from ingestions.services.backfill import backfill_start

router = Router(tags=["Ingestions"])


@router.post(
    "/{ingestion_id}/backfill",
    summary="Load a range of the source",
    **operation("ingestion_backfill", scope="run", ok={202: RunAccepted}, problems=(400, 404, 409, 413, 422)),
)
def backfill(
    request: ApiRequest, ingestion_id: Id, body: BackfillBody, idempotency_key: IdempotencyKey
) -> Status[dict[str, str]]:
    """A run with the trigger `backfill`, over files of these times and names: those not seen yet, and those that were
    left out for their time (`schedule.start`, `source.modified_after`). Loaded ones stay as they are. 409 while a run
    is active.
    """
    ingestion = find.ingestion(request, ingestion_id)
    run = backfill_start(
        ingestion=ingestion, user=request.auth.user, idempotency_key=idempotency_key or "", **body.model_dump()
    )
    return Status(202, {"run_id": str(run.pk), "ingestion_id": str(ingestion.pk), "status": "accepted"})
