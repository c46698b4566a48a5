from ingestions.models.alert import Alert, AlertDelivery, Trouble, WebhookSecret
from ingestions.models.ingestion import Credential, Ingestion
from ingestions.models.ledger import LedgerEntry, TableLease
from ingestions.models.ops import Heartbeat
from ingestions.models.run import Attempt, Batch, Run, RunError
from ingestions.models.schema import SchemaChange, SchemaVersion

__all__ = [
    "Alert",
    "AlertDelivery",
    "Attempt",
    "Batch",
    "Credential",
    "Heartbeat",
    "Ingestion",
    "LedgerEntry",
    "Run",
    "RunError",
    "SchemaChange",
    "SchemaVersion",
    "TableLease",
    "Trouble",
    "WebhookSecret",
]
