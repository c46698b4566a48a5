"""``manage.py alert``: what people were told of unattended runs, and whether it reached them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from autoloader.lib.commands import AddVerb, Exit
from autoloader.lib.errors import NotFoundError
from ingestions.engine import recipients
from ingestions.management.cli import CliCommand, acting_user, find
from ingestions.models import Alert, AlertDelivery, Ingestion
from ingestions.services import present_alerts
from ingestions.services.alert_delivery import claim, deliver
from ingestions.services.alerts import alert_retry, alert_test
from ingestions.services.webhook_secrets import secret_renew

#: a scheduler may have a delivery in hand; it takes no longer than this.
PATIENCE_SECONDS = 60


class Command(CliCommand):
    help = "Shows alerts and their deliveries, sends a test, tries again, makes a webhook's secret."

    def add_verbs(self, verbs: AddVerb) -> None:
        listed = self.verb(verbs, "list", "alerts and their deliveries, the newest first")
        listed.add_argument("ingestion", nargs="?", help="id or name (default: all)")
        listed.add_argument("--state", choices=AlertDelivery.State.values, help="only with a delivery in this state")
        listed.add_argument("--limit", type=int, default=50)
        self.verb(verbs, "test", "send a test to all recipients and say what came of it").add_argument(
            "ingestion", help="id or name"
        )
        self.verb(verbs, "retry", "try again what of an alert was not delivered").add_argument(
            "alert", type=int, help="its number"
        )
        secret = self.verb(verbs, "secret", "make a new secret for a webhook and show it, once")
        secret.add_argument("ingestion", help="id or name")
        secret.add_argument("recipient", nargs="?", help="its address (default: the only webhook there is)")

    def do_list(self, **options: Any) -> Exit:
        user = acting_user(options["user"])
        rows = Alert.objects.visible_to(user)
        if options["ingestion"]:
            rows = rows.filter(ingestion=find(Ingestion.objects.visible_to(user), options["ingestion"], "ingestion"))
        if options["state"]:
            rows = rows.with_delivery(options["state"])
        self._show(present_alerts.alerts(rows).order_by("-pk")[: max(1, options["limit"])], options)
        return Exit.OK

    def do_test(self, **options: Any) -> Exit:
        return self._now(alert_test(ingestion=self.ingestion(options)), options)

    def do_retry(self, **options: Any) -> Exit:
        alert = Alert.objects.visible_to(acting_user(options["user"])).filter(pk=options["alert"]).first()
        if alert is None:
            raise NotFoundError("not_found", f"There is no alert {options['alert']}.", "See `manage.py alert list`.")
        alert_retry(alert=alert)
        return self._now(alert, options)

    def do_secret(self, **options: Any) -> Exit:
        row = self.ingestion(options)
        hooks = [each for each in row.alert_recipients if recipients.is_webhook(each)]
        url = options["recipient"] or (hooks[0] if len(hooks) == 1 else "")
        secret = secret_renew(ingestion=row, url=url)
        if options["json"]:
            self.out({"recipient": recipients.shown(url), "secret": secret})
            return Exit.OK
        self.say(f"Requests to {recipients.shown(url)} are signed with this from now on. It is not shown again.")
        self.stdout.write(secret)
        return Exit.OK

    def _now(self, alert: Alert, options: dict[str, Any]) -> Exit:
        """Delivers here what no scheduler has in hand, and waits for the rest."""
        limit = time.monotonic() + PATIENCE_SECONDS
        open_ = alert.deliveries.filter(Q(tries=0) | ~Q(claimed_until=None), state=AlertDelivery.State.WAITING)
        while (pending := list(open_.order_by("pk"))) and time.monotonic() < limit:
            for each in pending:
                if (held := claim(each)) is not None:
                    deliver(held)
            time.sleep(0.2)
        rows = present_alerts.alerts(Alert.objects.filter(pk=alert.pk))
        self._show(rows, options)
        whole = not alert.deliveries.exclude(state=AlertDelivery.State.DELIVERED).exists()
        return Exit.OK if whole else Exit.FAILED

    def _show(self, rows: Iterable[Alert], options: dict[str, Any]) -> None:
        if options["json"]:
            self.out([present_alerts.alert(row) for row in rows])
            return
        self.table(
            ("alert", "kind", "ingestion", "at", "to", "state", "tries", "next try", "reason"),
            (
                (
                    row.pk,
                    present_alerts.title(row),
                    row.ingestion.name,
                    shown["created_at"],
                    each["recipient"],
                    each["state"],
                    each["tries"],
                    each["next_try_at"] or "",
                    each["reason"],
                )
                for row in rows
                for shown in [present_alerts.alert(row)]
                for each in shown["deliveries"]
            ),
            "Nobody was told anything yet.",
        )
