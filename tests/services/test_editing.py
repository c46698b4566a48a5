from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from autoloader.lib.errors import ConfigError, ConflictError
from clusters.models import Cluster
from ingestions.models import Credential, Ingestion, Run
from ingestions.services import execution
from ingestions.services.configuration import InvalidConfig
from ingestions.services.editing import StaleEdit, ingestion_update
from ingestions.services.lifecycle import STEPS, ingestion_activate, step_to
from ingestions.services.merging import changed, merged, value_at
from ingestions.services.runs import run_retry
from tests.cast import cluster, ingestion, make_cluster, make_ingestion, make_run, owner

__all__ = ["cluster", "ingestion", "owner"]


def test_objects_merge_and_the_rest_replaces() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    assert merged(old, {"a": {"c": [3]}, "d": None}) == {"a": {"b": 1, "c": [3]}, "d": None}
    assert merged(old, {"a": 5, "f": {"g": None}}) == {"a": 5, "d": {"e": 1}, "f": {"g": None}}
    assert old == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}


def test_what_differs_is_named() -> None:
    old = {"a": {"b": 1, "c": [1]}, "d": None, "e": 1}
    assert changed(old, {"a": {"b": 2, "c": [1, 2]}, "d": {"x": 1}, "e": True}) == ["a.b", "a.c", "d", "e"]
    assert changed(old, old) == []
    assert value_at(old, "a.b") == 1
    assert value_at(old, "d.x.y") is None


@pytest.mark.parametrize(
    "changes", [None, [], "text", {"status": "flying"}, {"config_version": True}, {"config_version": "1"}]
)
def test_what_is_no_edit_is_refused(ingestion: Ingestion, owner: User, changes: Any) -> None:
    with pytest.raises(InvalidConfig):
        ingestion_update(ingestion=ingestion, changes=changes, user=owner)


def test_parts_that_are_no_objects_are_refused_by_their_names(ingestion: Ingestion, owner: User) -> None:
    for changes, field in (({"source": "x"}, "source"), ({"source": {"credentials": "x"}}, "source.credentials")):
        with pytest.raises(InvalidConfig) as refused:
            ingestion_update(ingestion=ingestion, changes=changes, user=owner)
        assert refused.value.errors[0]["loc"].startswith(field)


def test_a_deleted_ingestion_is_not_found(ingestion: Ingestion, owner: User) -> None:
    Ingestion.objects.all().delete()
    with pytest.raises(ConfigError) as refused:
        ingestion_update(ingestion=ingestion, changes={"name": "X"}, user=owner)
    assert refused.value.status == 404


def test_another_store_starts_without_the_old_ones_keys(owner: User, tmp_path: Any, settings: Any) -> None:
    settings.LOCAL_ROOTS = [str(tmp_path)]
    embedded = make_cluster(owner, is_embedded=True)
    made = make_ingestion(owner, embedded)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    ingestion_update(ingestion=made, changes={"source": {"credentials": keys}}, user=owner)
    local = {"source": {"type": "local", "path": str(tmp_path)}}
    edited = ingestion_update(ingestion=made, changes=local, user=owner)
    assert "another store" in edited.effects[0]
    assert any("forgotten" in effect for effect in edited.effects)
    assert not Credential.objects.exists()


def test_every_status_knows_what_each_verb_does(owner: User, cluster: Cluster) -> None:
    for status in Ingestion.Status.values:
        made = make_ingestion(owner, cluster, status=status)
        for wanted in Ingestion.Status.values:
            if wanted == status:
                assert step_to(made, wanted) is None
            elif (status, {"active": "activate", "paused": "pause"}.get(wanted, "")) in STEPS:
                step = step_to(made, wanted)
                assert step is not None
                assert step.to == wanted
            else:
                with pytest.raises(ConflictError) as refused:
                    step_to(made, wanted)
                assert refused.value.hint


def test_a_run_goes_on_with_the_cluster_it_started_on(ingestion: Ingestion, owner: User, cluster: Cluster) -> None:
    run = Run.objects.create(ingestion=ingestion, status="running")
    config = execution._frozen(run)
    other = make_cluster(owner, name="Elsewhere")
    ingestion_update(ingestion=ingestion, changes={"cluster_id": "Elsewhere", "name": "Sales"}, user=owner)
    again = Run.objects.get(pk=run.pk)
    assert again.ingestion.cluster == other
    assert execution._frozen(again) == config
    assert execution._cluster(again, config) == cluster
    cluster.delete()
    with pytest.raises(ConfigError) as refused:
        execution._cluster(again, config)
    assert refused.value.code == "cluster_gone"


@pytest.mark.django_db(transaction=True)
def test_of_two_edits_at_once_one_is_kept() -> None:
    person = User.objects.create_user("owner")
    made = make_ingestion(person, make_cluster(person))
    start = threading.Barrier(4)
    outcomes: list[str] = []

    def edit(number: int) -> None:
        try:
            start.wait()
            changes = {"limits": {"files_per_batch": number}, "config_version": 1}
            ingestion_update(ingestion=made, changes=changes, user=person)
            outcomes.append("kept")
        except StaleEdit:
            outcomes.append("stale")
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "stale", "stale", "stale"]
    made.refresh_from_db()
    assert made.config_version == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_retries_at_once_one_starts() -> None:
    person = User.objects.create_user("owner")
    run = make_run(make_ingestion(person, make_cluster(person)), files=1, errors=1)
    Run.objects.filter(pk=run.pk).update(status="failed")
    start = threading.Barrier(3)
    outcomes: list[str] = []

    def retry() -> None:
        try:
            start.wait()
            run_retry(run=run)
            outcomes.append("started")
        except ConflictError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=retry) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["run_active", "run_active", "started"]


def test_a_step_is_taken_once(ingestion: Ingestion, owner: User) -> None:
    ingestion_activate(ingestion=ingestion, user=owner)
    with pytest.raises(ConflictError):
        ingestion_activate(ingestion=ingestion, user=owner)
