"""``manage.py cluster``: add, test, list, show, delete."""

from __future__ import annotations

import getpass
import os
import sys
import uuid
from typing import Any

from django.contrib.auth import get_user_model

from autoloader.lib.commands import AddVerb, Ended, Exit, VerbCommand, as_table, clean
from autoloader.lib.errors import ConfigError, NotFoundError
from clusters.breaker import cluster_try_again
from clusters.models import Cluster
from clusters.services import cluster_create, cluster_delete, cluster_test, cluster_update

TOKEN_VARIABLE = "AUTOLOADER_CLUSTER_TOKEN"  # noqa: S105  # the name of a variable


class Command(VerbCommand):
    help = "Spark clusters: where the work is done."

    def add_verbs(self, add: AddVerb) -> None:
        parser = add("add", self.add, "tell Autoloader about a cluster")
        parser.add_argument("name")
        parser.add_argument("url", help="Spark Connect URL: sc://host:15002/;use_ssl=true;user_id=loader")
        parser.add_argument(
            "--token", choices=("ask", "stdin"), help=f"how the token is given; else {TOKEN_VARIABLE}, where it is set"
        )
        parser.add_argument("--owner", metavar="USER", help="whose it is; without, everybody may use it")
        parser.add_argument("--catalog", default="", help="the catalog that tables are made in")
        parser.add_argument("--workers", type=int, default=1)
        parser.add_argument("--dbu-per-worker", type=float, default=1.0)
        parser.add_argument("--max-runs", type=int, default=0, help="runs that work on it at once; 0: no bound")
        parser.add_argument("--price-dbu-hour", type=float)
        parser.add_argument("--price-storage-gb-month", type=float)
        parser.add_argument("--currency", default="USD")
        for name, function, text in (
            ("test", self.test, "test the connection step by step; exit code 1 where a step fails"),
            ("show", self.show_one, "one cluster"),
            ("limit", self.limit, "bound how many runs work on a cluster at once"),
            ("try-again", self.try_again, "let the runs that wait for a cluster go to it at once"),
            ("delete", self.delete, "forget a cluster that no ingestion uses"),
        ):
            verb = add(name, function, text)
            verb.add_argument("cluster", help="id or name")
            if name == "limit":
                verb.add_argument("runs", type=int, help="so many at once at most; 0: no bound")
        add("list", self.list, "all clusters, by name")

    def add(self, options: dict[str, Any]) -> None:
        prices = {name: options[name] for name in ("price_dbu_hour", "price_storage_gb_month") if options[name]}
        cluster = cluster_create(
            owner=_user(options["owner"]),
            name=options["name"],
            spark_connect_url=options["url"],
            token=_token(options["token"]),
            workers=options["workers"],
            dbu_per_worker=options["dbu_per_worker"],
            max_runs=options["max_runs"],
            default_catalog=options["catalog"],
            currency=options["currency"],
            **prices,
        )
        self.show(
            document(cluster),
            lambda: [f"Added {clean(cluster.name)} ({cluster.pk}).", f"Test it: manage.py cluster test {cluster.pk}"],
        )

    def test(self, options: dict[str, Any]) -> None:
        cluster = _found(options["cluster"])
        result = cluster_test(cluster=cluster)
        self.show(result.to_json(), lambda: _lines(result.to_json()["checks"]))
        if not result.ok:
            raise Ended(Exit.FAILED)

    def list(self, options: dict[str, Any]) -> None:
        clusters = Cluster.objects.select_related("owner", "breaker")
        rows = [
            (cluster.name, _status(cluster), cluster.url, cluster.owner or "everybody", cluster.pk)
            for cluster in clusters
        ]
        self.show(
            [document(cluster) for cluster in clusters],
            lambda: (
                as_table(("NAME", "STATUS", "URL", "OWNER", "ID"), rows)
                if rows
                else ["No cluster yet. Add one: manage.py cluster add NAME URL"]
            ),
        )

    def show_one(self, options: dict[str, Any]) -> None:
        cluster = _found(options["cluster"])
        self.show(document(cluster), lambda: (f"{key}: {clean(value)}" for key, value in document(cluster).items()))

    def try_again(self, options: dict[str, Any]) -> None:
        cluster = _found(options["cluster"])
        waited = cluster_try_again(cluster=cluster)
        said = (
            f"Runs go to {clean(cluster.name)} again." if waited else f"No run has to wait for {clean(cluster.name)}."
        )
        self.show({"id": str(cluster.pk), "waited": waited}, lambda: [said])

    def limit(self, options: dict[str, Any]) -> None:
        cluster = cluster_update(cluster=_found(options["cluster"]), max_runs=options["runs"])
        bound = f"at most {cluster.max_runs} at once" if cluster.max_runs else "as many as there are workers"
        self.show(document(cluster), lambda: [f"Runs on {clean(cluster.name)}: {bound}."])

    def delete(self, options: dict[str, Any]) -> None:
        cluster = _found(options["cluster"])
        gone = {"id": str(cluster.pk), "deleted": True}
        cluster_delete(cluster=cluster)
        self.show(gone, lambda: [f"Deleted {clean(cluster.name)}."])


def document(cluster: Cluster) -> dict[str, Any]:
    """As REST answers it; whether a token is set, never which."""
    return {
        "id": str(cluster.pk),
        "name": cluster.name,
        "status": cluster.status,
        "spark_connect_url": cluster.url,
        "token": "***" if cluster.token else None,
        "default_catalog": cluster.default_catalog,
        "workers": cluster.workers,
        "dbu_per_worker": cluster.dbu_per_worker,
        "pricing": {"dbu_hour": cluster.price_dbu_hour, "storage_gb_month": cluster.price_storage_gb_month},
        "currency": cluster.currency,
        "max_runs": cluster.max_runs,
        "is_embedded": cluster.is_embedded,
        "owner": cluster.owner.get_username() if cluster.owner else None,
        "last_test_at": cluster.last_test_at.isoformat() if cluster.last_test_at else None,
        "awaited": _awaited(cluster),
    }


def _awaited(cluster: Cluster) -> dict[str, Any] | None:
    """Why runs wait for it; ``None`` where they do not."""
    if (breaker := cluster.awaited) is None:
        return None
    next_try = breaker.next_try_at.isoformat() if breaker.next_try_at else None
    return {"reason": breaker.reason, "tries": breaker.trips, "next_try_at": next_try}


def _status(cluster: Cluster) -> str:
    if (breaker := cluster.awaited) is None:
        return cluster.status
    return f"awaited, next try {breaker.next_try_at:%H:%M:%S} UTC" if breaker.next_try_at else "awaited"


def _lines(checks: Any) -> list[str]:
    lines = []
    for check in checks:
        verdict = "warning" if check["warning"] else "ok" if check["ok"] else "FAILED"
        lines.append(f"{verdict:8} {check['name']}: {clean(check['detail'])}")
        if check["hint"]:
            lines.append(f"{'':8} → {clean(check['hint'])}")
    return lines


def _found(wanted: str) -> Cluster:
    try:
        rows = list(Cluster.objects.filter(pk=uuid.UUID(wanted)))
    except ValueError:
        rows = list(Cluster.objects.filter(name=wanted)[:10])
    if not rows:
        raise NotFoundError("cluster_not_found", f"There is no cluster {wanted!r}.", "See `manage.py cluster list`.")
    if len(rows) > 1:
        ids = ", ".join(str(row.pk) for row in rows)
        raise ConfigError("ambiguous_name", f"Several clusters are called {wanted!r}: {ids}.", "Give the id.")
    return rows[0]


def _user(name: str | None) -> Any:
    if name is None:
        return None
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is None:
        raise ConfigError("unknown_user", f"There is no active user {name!r}.", "Give the name of one with --owner.")
    return user


def _token(how: str | None) -> str | None:
    """Never an argument: those stand in the list of processes and in the shell's history."""
    if how == "ask":
        return getpass.getpass("Token: ") or None
    if how == "stdin":
        return sys.stdin.readline().strip() or None
    return os.environ.get(TOKEN_VARIABLE) or None
