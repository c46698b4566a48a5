from __future__ import annotations

from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Credential, Ingestion
from tests.api.support import check_list, follow
from tests.cast import Api, QueryCount, make_ingestion, make_run, make_schema_version


def test_it_lists_the_newest_first(as_reader: Api, owner: User, cluster: Cluster) -> None:
    for name in ("First", "Second", "Third"):
        make_ingestion(owner, cluster, name=name)
    assert [row["name"] for row in check_list(as_reader.get("/ingestions"), 3)] == ["Third", "Second", "First"]


def test_only_ones_own_are_listed(as_reader: Api, as_stranger: Api, ingestion: Ingestion) -> None:
    assert [row["id"] for row in check_list(as_reader.get("/ingestions"), 1)] == [str(ingestion.pk)]
    assert check_list(as_stranger.get("/ingestions"), 0) == []


def test_a_superuser_sees_all(as_superuser: Api, ingestion: Ingestion) -> None:
    check_list(as_superuser.get("/ingestions"), 1)


def test_it_filters_by_status_and_text(as_reader: Api, owner: User, cluster: Cluster) -> None:
    make_ingestion(owner, cluster, name="Orders")
    make_ingestion(owner, cluster, name="Returns", status="active")
    make_ingestion(
        owner, cluster, name="Stock", destination={"catalog": "lake", "database": "shop", "table": "returned_goods"}
    )
    assert [row["name"] for row in check_list(as_reader.get("/ingestions", status="active"), 1)] == ["Returns"]
    assert [row["name"] for row in check_list(as_reader.get("/ingestions", q="RETURN"), 2)] == ["Stock", "Returns"]
    assert check_list(as_reader.get("/ingestions", q="%"), 0) == []


def test_pages_lead_to_their_neighbours(as_reader: Api, owner: User, cluster: Cluster) -> None:
    for number in range(5):
        make_ingestion(owner, cluster, name=f"Feed {number}")
    first = as_reader.get("/ingestions", limit=2, q="feed")
    second = follow(as_reader, first)
    third = follow(as_reader, second)
    names = [row["name"] for page in (first, second, third) for row in check_list(page, 5)]
    assert names == [f"Feed {number}" for number in (4, 3, 2, 1, 0)]
    assert 'rel="prev"' not in first["Link"]
    assert 'rel="next"' not in third["Link"]
    assert follow(as_reader, third, "prev").json() == second.json()


def test_an_offset_beyond_the_end_is_an_empty_page(as_reader: Api, ingestion: Ingestion) -> None:
    assert check_list(as_reader.get("/ingestions", offset=10), 1) == []


def test_each_row_tells_of_its_last_run_and_schema(as_reader: Api, ingestion: Ingestion) -> None:
    make_run(ingestion, files=1)
    last = make_run(ingestion)
    make_schema_version(ingestion, 1)
    make_schema_version(ingestion, 2)
    listed = as_reader.get("/ingestions").json()[0]
    assert listed["metadata"]["last_run_id"] == str(last.pk)
    assert listed["metadata"]["schema_version"] == 2
    assert listed == as_reader.get(f"/ingestions/{ingestion.pk}").json()


def test_a_long_list_costs_no_more_queries_than_a_short_one(
    as_reader: Api, owner: User, cluster: Cluster, queries_of: QueryCount
) -> None:
    def add(count: int) -> None:
        for _ in range(count):
            row = make_ingestion(owner, cluster)
            row.credential = Credential.objects.create(
                owner=owner, name="", cloud="s3", secret={"sas_token": "x"}, inline=True
            )
            row.save()
            make_run(row, files=1, errors=1)
            make_schema_version(row, 1)

    add(1)
    as_reader.get("/ingestions")  # notes that the token was used
    short = queries_of(lambda: as_reader.get("/ingestions"))
    add(29)
    long = queries_of(lambda: check_list(as_reader.get("/ingestions"), 30))
    assert long == short
