"""A configuration that is written as YAML and read again is the same, whatever texts stand in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.models import Cluster
from ingestions.models import Ingestion
from ingestions.services.exchange import ingestions_export, ingestions_import
from ingestions.services.feed_text import read_documents, write_document
from tests.cast import cluster, configuration, make_ingestion, owner

__all__ = ["cluster", "owner"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["no", "yes", "~", "null", "NULL", "12:30", "007", "1e3", "1.5e3", "-.5", "+1", "0x10", "0o7", ".inf", ".NaN", "=",
     "<<", "2025-01-01", "true", "***", "${X}", "- a", "a: b", "# c", "'", '"', "|", "", " ", "a ", "é", "💥", "\u2028",
     "\x85", "\x7f", "a\nb", "a\r\nb", "\ufeff", "1_000", "y"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_a_document_is_read_back_as_it_was_written(body: dict[str, Any]) -> None:
    text = write_document(body, "a comment\nof two lines")
    (document,) = read_documents(text.encode(), "text", None)
    assert document.body == body
    assert [type(value) for value in document.body.values()] == [type(value) for value in body.values()]


NAMES = TEXTS.filter(lambda text: bool(text.strip()) and text.isprintable() and "/" not in text and "\\" not in text)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "format": st.fixed_dictionaries(
            {"type": st.sampled_from(["csv", "json", "parquet"])},
            optional={
                "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
                "schema": st.fixed_dictionaries({"hints": st.dictionaries(NAMES, st.just("bigint"), max_size=2)}),
                "bad_rows_limit": st.none() | st.integers(0, 9) | st.just("5%"),
            },
        ),
        "schedule": st.fixed_dictionaries(
            {"frequency": st.sampled_from([None, "daily", "continuous"]), "time": st.sampled_from([None, "02:30"])}
        ),
        "limits": st.fixed_dictionaries(
            {"files_per_batch": st.integers(1, 1000), "monthly_budget": st.none() | st.floats(0, 1e9)}
        ),
        "quality": st.fixed_dictionaries(
            {"expectations": st.lists(st.dictionaries(TEXTS, VALUES, max_size=2), max_size=2)}
        ),
        "transform": st.fixed_dictionaries({"sql": TEXTS}),
    },
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, name=NAMES, table=NAMES.filter(lambda text: text not in (".", "..")))
def test_what_is_exported_makes_the_same_ingestion_again(
    owner: Any, cluster: Any, changes: dict[str, Any], name: str, table: str
) -> None:
    Ingestion.objects.all().delete()  # what the example before left
    destination = {"catalog": "lake", "database": "shop", "table": table}
    first = make_ingestion(owner, cluster, **{**changes, "name": name, "destination": destination})
    text = ingestions_export(rows=[first], user=owner)
    assert yaml.safe_load(text)  # any reader of YAML takes it
    first.delete()
    (done,) = ingestions_import(data=text.encode(), name="text", owner=owner)
    assert done.action == "created"
    assert done.ingestion.config == first.config
    assert done.ingestion.name == first.name


def test_the_examples_name_is_a_text(owner: Any, cluster: Any) -> None:
    made = make_ingestion(owner, cluster, **configuration(cluster, name="no"))
    assert "name: 'no'" in ingestions_export(rows=[made], user=owner)


def test_a_checked_import_answers_the_same_and_keeps_nothing(owner: User, cluster: Cluster) -> None:
    text = yaml.safe_dump(configuration(cluster, name="Looked at")).encode()
    looked = ingestions_import(data=text, name="f", owner=owner, check_only=True)
    assert [(each.ingestion.name, each.action) for each in looked] == [("Looked at", "created")]
    assert not Ingestion.objects.filter(name="Looked at").exists()
    done = ingestions_import(data=text, name="f", owner=owner)
    assert [each.action for each in done] == ["created"]
    assert Ingestion.objects.filter(name="Looked at").exists()
