"""Alerts over REST: listed, tried again, tested; and a webhook's secret, shown once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from clusters.models import Cluster
from ingestions.models import Alert, AlertDelivery, Ingestion, WebhookSecret
from tests.api.support import check_list, check_problem
from tests.cast import Api, QueryCount, configuration, make_alert, make_cluster, make_ingestion, make_run, person

HOOK = "https://hooks.example.com/services/T000/B000/XXXXXXXXXXXX"


@pytest.fixture
def told(owner: User, cluster: Cluster) -> Ingestion:
    quality = {"alerts_enabled": True, "alert_recipients": ["ops@example.com", HOOK]}
    return make_ingestion(owner, cluster, quality=quality)


def test_they_are_listed_with_what_became_of_each_delivery(as_reader: Api, told: Ingestion) -> None:
    run = make_run(told)
    make_alert(told, run=run, tries=2, reason="It answered 500.", channel="webhook", recipient=HOOK)
    make_alert(told, "delivered")
    rows = check_list(as_reader.get("/alerts", ingestion_id=told.pk), 2)
    assert [(row["kind"], row["run_id"]) for row in rows] == [("test", None), ("failed", str(run.pk))]
    (delivery,) = rows[1]["deliveries"]
    assert (delivery["state"], delivery["tries"], delivery["reason"]) == ("waiting", 2, "It answered 500.")
    assert delivery["recipient"] == "https://hooks.example.com/…XXXX"
    assert delivery["next_try_at"].endswith("Z")


def test_the_list_is_filtered_by_kind_and_state(as_reader: Api, told: Ingestion) -> None:
    make_alert(told, run=make_run(told))
    make_alert(told, "given_up")
    assert check_list(as_reader.get("/alerts", state="given_up"), 1)[0]["kind"] == "test"
    check_list(as_reader.get("/alerts", kind="failed"), 1)
    check_list(as_reader.get("/alerts", kind="recovered"), 0)
    assert as_reader.get("/alerts", state="lost").status_code == 422


def test_a_longer_list_costs_no_more_queries(as_reader: Api, told: Ingestion, queries_of: QueryCount) -> None:
    make_alert(told)
    few = queries_of(lambda: as_reader.get("/alerts"))
    for _ in range(20):
        make_alert(told)
    assert queries_of(lambda: as_reader.get("/alerts")) == few


def test_a_test_is_put_into_the_outbox(as_owner: Api, as_runner: Api, told: Ingestion) -> None:
    path = f"/ingestions/{told.pk}/alerts/test"
    check_problem(as_runner.post(path), 403, "scope_too_low")
    answer = as_owner.post(path)
    assert answer.status_code == 202
    assert answer.json()["kind"] == "test"
    assert [each["channel"] for each in answer.json()["deliveries"]] == ["email", "webhook"]
    check_problem(as_owner.post(path), 409, "test_too_soon")


def test_without_recipients_there_is_no_test(as_owner: Api, ingestion: Ingestion) -> None:
    check_problem(as_owner.post(f"/ingestions/{ingestion.pk}/alerts/test"), 400, "no_recipient")


def test_what_did_not_arrive_is_tried_again(as_owner: Api, told: Ingestion) -> None:
    delivery = make_alert(told, "given_up", tries=8)
    answer = as_owner.post(f"/alerts/{delivery.alert_id}/retry")
    assert answer.status_code == 202
    assert [(each["state"], each["tries"]) for each in answer.json()["deliveries"]] == [("waiting", 0)]
    AlertDelivery.objects.update(state="delivered")
    check_problem(as_owner.post(f"/alerts/{delivery.alert_id}/retry"), 409, "nothing_to_retry")


def test_a_secret_is_shown_once_and_replaces_the_one_before(as_owner: Api, told: Ingestion) -> None:
    path = f"/ingestions/{told.pk}/alerts/secret"
    first, second = (as_owner.post(path, {"recipient": HOOK}).json()["secret"] for _ in range(2))
    assert first != second
    row = WebhookSecret.objects.get()
    assert (row.secret, row.owner, row.url) == (second, told.owner, HOOK)
    seen = as_owner.get(f"/ingestions/{told.pk}").content + as_owner.get("/alerts").content
    assert second.encode() not in seen
    for wrong in ("ops@example.com", "https://elsewhere.example.com/"):
        check_problem(as_owner.post(path, {"recipient": wrong}), 404, "recipient_not_found")


def test_somebody_elses_are_not_there(as_owner: Api, as_reader: Api) -> None:
    other = person("other")
    theirs = make_ingestion(other, make_cluster(other), quality={"alert_recipients": [HOOK]})
    alert = make_alert(theirs, "given_up").alert_id
    check_list(as_reader.get("/alerts"), 0)
    check_problem(as_owner.post(f"/alerts/{alert}/retry"), 404, "alert_not_found")
    for verb, body in (("test", None), ("secret", {"recipient": HOOK})):
        check_problem(as_owner.post(f"/ingestions/{theirs.pk}/alerts/{verb}", body), 404, "ingestion_not_found")
    assert Alert.objects.count() == 1


@pytest.mark.parametrize(
    ("recipient", "said"),
    [
        ("nobody", "no e-mail address"),
        ("a b@example.com", "no e-mail address"),
        ("a@example.com\nBcc: b@example.com", "no e-mail address"),
        ("a@example.com, b@example.com", "no e-mail address"),
        ("", "no e-mail address"),
        ("http://hooks.example.com/x", "begins with https://"),
        ("ftp://hooks.example.com/x", "no https:// address"),
        ("https://", "no https:// address"),
        ("https://user:word@hooks.example.com/x", "no https:// address"),
        ("https://hooks.example.com/x#y", "no https:// address"),
        ("https://hooks.example.com:99999/", "no https:// address"),
        ("https://hooks.example.com/a b", "blank"),
        ("https://metadata.google.internal/x", "never called"),
        ("https://hooks.example.com/" + "x" * 1000, "longer than 1,000"),
    ],
)
def test_a_recipient_that_cannot_be_told_is_refused(as_owner: Api, cluster: Cluster, recipient: str, said: str) -> None:
    body = configuration(cluster, quality={"alert_recipients": ["fine@example.com", recipient]})
    answer = as_owner.post("/ingestions", body)
    problem = check_problem(answer, 400, "bad_recipient")
    assert said in problem["detail"], problem
    assert problem["errors"][0]["loc"] == "quality.alert_recipients.1"


@pytest.mark.parametrize("named", [["a@x", "a@x"], [f"{number}@x" for number in range(51)]])
def test_no_recipient_is_named_twice_and_not_too_many_are(as_owner: Api, cluster: Cluster, named: list[str]) -> None:
    answer = as_owner.post("/ingestions", configuration(cluster, quality={"alert_recipients": named}))
    assert answer.status_code == 400


def test_alerts_that_reach_nobody_are_kept_with_a_warning(as_owner: Api, cluster: Cluster, settings: Any) -> None:
    def warnings(**quality: Any) -> str:
        body = configuration(cluster, quality={"alerts_enabled": True, **quality})
        return " ".join(as_owner.post("/ingestions", body).json()["warnings"])

    assert "tells nobody" in warnings()
    assert "EMAIL_HOST" in warnings(alert_recipients=["ops@example.com"])
    assert warnings(alert_recipients=[HOOK]) == ""
    settings.EMAIL_HOST = "mail.example.com"
    assert warnings(alert_recipients=["ops@example.com"]) == ""
