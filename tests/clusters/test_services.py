from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from autoloader.lib.errors import ConfigError, ConflictError
from clusters.models import Cluster
from clusters.services import cluster_create, cluster_delete, cluster_test, cluster_update
from clusters.sessions import target_of
from tests.cast import cluster, ingestion, owner

__all__ = ["cluster", "ingestion", "owner"]

URL = "sc://spark.example:15002"


def make(owner: User, **values: Any) -> Cluster:
    return cluster_create(owner=owner, **{"name": "One", "spark_connect_url": URL, **values})


def test_a_token_is_encrypted_and_kept_out_of_the_url(owner: User) -> None:
    made = make(owner, spark_connect_url=URL + "/;user_id=me;token=very-secret")
    assert made.url == URL + "/;user_id=me"
    assert target_of(Cluster.objects.get()).token == "very-secret"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM clusters_cluster")
        assert "very-secret" not in str(cursor.fetchall())


def test_prices_come_from_the_settings(owner: User) -> None:
    made = make(owner)
    assert (made.price_dbu_hour, made.price_storage_gb_month, made.currency) == (0.4, 0.023, "USD")
    assert make(owner, price_dbu_hour=0.0, currency="eur").currency == "EUR"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "), ("name", "x" * 201), ("spark_connect_url", "http://x"), ("workers", 0), ("dbu_per_worker", -1.0),
        ("price_dbu_hour", -0.1), ("currency", "E1"), ("default_catalog", "x" * 256),
    ],
)  # fmt: skip
def test_bad_values_name_their_field_and_keep_nothing(owner: User, field: str, value: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        make(owner, **{field: value})
    assert raised.value.field == field
    assert not Cluster.objects.exists()


def test_a_field_that_a_cluster_lacks_is_refused(owner: User) -> None:
    with pytest.raises(ConfigError, match="has no size"):
        make(owner, size=3)


def test_an_edit_keeps_the_token_unless_told(owner: User) -> None:
    made = make(owner, token="one")
    assert cluster_update(cluster=made, name="Two", token="***").token == "one"
    assert cluster_update(cluster=made, token="two").token == "two"
    assert cluster_update(cluster=made, token=None).token is None


def test_a_token_does_not_follow_to_another_address(owner: User) -> None:
    """Or whoever may edit a cluster could have its token sent to a host of their own."""
    made = make(owner, token="one")
    with pytest.raises(ConfigError, match="token is for the old one"):
        cluster_update(cluster=made, spark_connect_url="sc://elsewhere:15002")
    with pytest.raises(ConfigError):
        cluster_update(cluster=made, spark_connect_url="sc://spark.example:1", token="***")
    made.refresh_from_db()
    assert (made.url, made.token) == (URL, "one")
    assert cluster_update(cluster=made, spark_connect_url=URL + "/;user_id=x").token == "one"
    assert cluster_update(cluster=made, spark_connect_url="sc://elsewhere", token="new").token == "new"
    assert cluster_update(cluster=made, spark_connect_url="sc://third/;token=in-url").token == "in-url"


def test_a_new_address_forgets_the_last_test(owner: User) -> None:
    made = make(owner)
    Cluster.objects.update(last_test={"status": "success"})
    assert cluster_update(cluster=made, name="x").status == "running"
    assert cluster_update(cluster=made, spark_connect_url="sc://other").status == "unknown"


def test_a_cluster_in_use_and_the_embedded_one_stay(owner: User, ingestion: Any) -> None:
    with pytest.raises(ConflictError, match="used by 1 ingestion"):
        cluster_delete(cluster=ingestion.cluster)
    embedded = make(owner)
    embedded.is_embedded = True
    embedded.save()
    with pytest.raises(ConflictError):
        cluster_delete(cluster=embedded)
    with pytest.raises(ConfigError):
        cluster_update(cluster=embedded, spark_connect_url="sc://other")
    assert Cluster.objects.count() == 2


def test_a_failed_test_is_kept_with_its_remedy(owner: User) -> None:
    made = make(owner, spark_connect_url="sc://127.0.0.1:9")
    result = cluster_test(cluster=made)
    assert not result.ok
    made.refresh_from_db()
    assert made.status == "stopped"
    assert made.last_test is not None
    port = made.last_test["checks"][1]
    assert (port["name"], port["ok"]) == ("port", False)
    assert "Start the cluster" in port["hint"]


def test_a_url_that_is_null_is_left_as_it_is(db: None) -> None:
    cluster = cluster_create(owner=None, name="Lake", spark_connect_url="sc://spark.example:15002/")
    changed = cluster_update(cluster=cluster, spark_connect_url=None, token="word", name="Sea")
    assert (changed.name, changed.url) == ("Sea", cluster.url)
