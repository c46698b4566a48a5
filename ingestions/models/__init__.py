from ingestions.models.alert import Alert, AlertDelivery, Trouble, WebhookSecret
from ingestions.models.ingestion import Credential, Ingestion
from ingestions.models.ledger import LedgerEntry, TableLease
from ingestions.models.listing import Census, Listing
from ingestions.models.ops import Heartbeat, LimitLock, SourceBreaker
from ingestions.models.run import Attempt, Batch, Run, RunError
from ingestions.models.schema import SchemaChange, SchemaVersion

__all__ = [
    "Alert",
    "AlertDelivery",
    "Attempt",
    "Batch",
    "Census",
    "Credential",
    "Heartbeat",
    "Ingestion",
    "LedgerEntry",
    "LimitLock",
    "Listing",
    "Run",
    "RunError",
    "SchemaChange",
    "SchemaVersion",
    "SourceBreaker",
    "TableLease",
    "Trouble",
    "WebhookSecret",
]
