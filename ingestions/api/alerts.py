"""What people were told of unattended runs, and whether it reached them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from ingestions.api import find
from ingestions.api.auth import ApiRequest
from ingestions.api.documented import operation
from ingestions.api.paging import Limit, Offset, page
from ingestions.api.schemas import Answer, Body, Id, Instant
from ingestions.models import Alert
from ingestions.services import present_alerts
from ingestions.services.alerts import alert_retry, alert_test
from ingestions.services.webhook_secrets import secret_renew

router = Router(tags=["Alerts"])
Of = Annotated[Id | None, Query(None, description="Only those of this ingestion.")]
AlertKind = Literal["failed", "still_failing", "recovered", "files_set_aside", "test"]
DeliveryState = Literal["waiting", "delivered", "given_up"]


class DeliveryAnswer(Answer):
    id: Id = Field(description="The same at each try: a receiver tells duplicates by it.")
    channel: Literal["email", "webhook"]
    recipient: str = Field(description="Of a webhook's address, its host and the end.")
    state: DeliveryState
    tries: int
    next_try_at: Instant | None
    ended_at: Instant | None
    reason: str = Field(description="Why the last try failed.")


class AlertAnswer(Answer):
    id: int
    kind: AlertKind
    ingestion_id: Id
    run_id: Id | None
    incident_id: Id = Field(description="The same for all that is told of one row of failures.")
    created_at: Instant
    subject: str | None = Field(description="Written before the first delivery.")
    text: str | None
    deliveries: list[DeliveryAnswer]


class SecretBody(Body):
    recipient: str = Field(max_length=1000, description="A webhook among `quality.alert_recipients`.")


class SecretAnswer(Answer):
    secret: str = Field(description="Shown this once and never again.")


def _shown(alert: Alert) -> dict[str, Any]:
    return present_alerts.alert(present_alerts.alerts(Alert.objects.filter(pk=alert.pk)).get())


@router.get(
    "/alerts",
    summary="List alerts",
    **operation("alert_list", scope="read", ok={200: list[AlertAnswer]}, problems=(404, 422)),
)
def index(
    request: ApiRequest,
    response: HttpResponse,
    limit: Limit,
    offset: Offset,
    ingestion_id: Of,
    kind: Annotated[AlertKind | None, Query(None)],
    state: Annotated[DeliveryState | None, Query(None, description="Only those with a delivery in this state.")],
) -> list[dict[str, Any]]:
    """The newest first, each with its deliveries: to whom, in which state, why not, and when it is tried again."""
    rows = Alert.objects.filter(ingestion__in=find.ingestions(request, ingestion_id))
    if kind is not None:
        rows = rows.filter(kind=kind)
    if state is not None:
        rows = rows.with_delivery(state)
    shown = page(request, response, present_alerts.alerts(rows).order_by("-pk"), limit=limit, offset=offset)
    return [present_alerts.alert(row) for row in shown]


@router.post(
    "/alerts/{alert_id}/retry",
    summary="Deliver an alert again",
    **operation("alert_retry", scope="write", ok={202: AlertAnswer}, problems=(404, 409)),
)
def retry(request: ApiRequest, alert_id: str) -> Status[dict[str, Any]]:
    """What of it was not delivered is tried at once. 409 where it has reached everybody."""
    found = find.alert(request, alert_id)
    alert_retry(alert=found)
    return Status(202, _shown(found))


@router.post(
    "/ingestions/{ingestion_id}/alerts/test",
    summary="Send a test alert",
    **operation("alert_test", scope="write", ok={202: AlertAnswer}, problems=(400, 404, 409)),
)
def test(request: ApiRequest, ingestion_id: Id) -> Status[dict[str, Any]]:
    """To all recipients, whether alerts are on or not; each is tried once, within seconds: the list of alerts says what
    came of it. 400 without recipients, 409 right after another test.
    """
    return Status(202, _shown(alert_test(ingestion=find.ingestion(request, ingestion_id))))


@router.post(
    "/ingestions/{ingestion_id}/alerts/secret",
    summary="Make a new secret for a webhook",
    **operation("alert_secret", scope="write", ok={201: SecretAnswer}, problems=(400, 404, 413, 422)),
)
def secret(request: ApiRequest, ingestion_id: Id, body: SecretBody) -> Status[dict[str, Any]]:
    """Requests to this address are signed with it from now on, for all ingestions of the owner. The answer is the only
    place where it ever stands.
    """
    return Status(201, {"secret": secret_renew(ingestion=find.ingestion(request, ingestion_id), url=body.recipient)})
