"""Looking before loading: previews, dry runs, cost. Nothing is saved and nothing is written."""

from __future__ import annotations

from typing import Annotated, Any

from ninja import Query, Router

from autoloader.lib.bounded import Bounded
from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.looking_schemas import CostAnswer, DryRunAnswer, PreviewAnswer
from ingestions.api.schemas import Id
from ingestions.engine.config import IngestionConfig
from ingestions.services import looking

router = Router(tags=["Looking before loading"])
CLUSTER = Bounded(what="the cluster")
STORE = Bounded(what="the store")
AT_FAULT = (400, 404, 409, 413, 422, 502, 504)
OfIngestion = Annotated[
    Id | None, Query(None, description="An ingestion whose secrets stand behind `***` in the body.")
]


@router.post(
    "/test",
    summary="Preview a configuration",
    **operation("ingestion_test", scope="run", ok={200: PreviewAnswer}, problems=AT_FAULT, by_alias=True),
)
def test(request: ApiRequest, config: IngestionConfig, ingestion_id: OfIngestion) -> dict[str, Any]:
    """The first files' rows as they would be loaded, read by the cluster. Nothing is saved."""
    known = find.ingestion(request, ingestion_id) if ingestion_id else None
    subject = looking.subject_posted(body=config.to_json(), user=request.auth.user, ingestion=known)
    return CLUSTER.call(lambda: looking.preview(subject=subject))


@router.post(
    "/estimate-cost",
    summary="Estimate the cost of a configuration",
    **operation("ingestion_estimate", scope="run", ok={200: CostAnswer}, problems=AT_FAULT),
)
def estimate(request: ApiRequest, config: IngestionConfig, ingestion_id: OfIngestion) -> dict[str, Any]:
    """By a model, from what is in the source and the schedule; each factor with its unit. Nothing is saved."""
    known = find.ingestion(request, ingestion_id) if ingestion_id else None
    subject = looking.subject_posted(body=config.to_json(), user=request.auth.user, ingestion=known)
    return looking.estimate_cost(subject=subject, bounded=STORE)


@router.post(
    "/{ingestion_id}/preview",
    summary="Preview an ingestion",
    **operation("ingestion_preview", scope="run", ok={200: PreviewAnswer}, problems=AT_FAULT, by_alias=True),
)
def preview(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    """The same for an ingestion that is saved: its first files, loaded or not."""
    subject = looking.subject_of(find.ingestion(request, ingestion_id))
    return CLUSTER.call(lambda: looking.preview(subject=subject))


@router.post(
    "/{ingestion_id}/estimate-cost",
    summary="Estimate the cost of an ingestion",
    **operation("ingestion_estimate_saved", scope="run", ok={200: CostAnswer}, problems=AT_FAULT),
)
def estimate_saved(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    subject = looking.subject_of(find.ingestion(request, ingestion_id))
    return looking.estimate_cost(subject=subject, bounded=STORE)


@router.post(
    "/{ingestion_id}/dry-run",
    summary="Say what the next run would do",
    **operation("ingestion_dry_run", scope="run", ok={200: DryRunAnswer}, problems=AT_FAULT),
)
def dry_run(request: ApiRequest, ingestion_id: Id) -> dict[str, Any]:
    """Files, rows by a sample, the exact DDL, the cost. Nothing changes: no file, no ledger, no table."""
    return looking.dry_run(ingestion=find.ingestion(request, ingestion_id), bounded=CLUSTER)
