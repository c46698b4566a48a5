"""Addresses of the pages."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from ingestions.web import (
    alerts,
    backfilling,
    clusters,
    completeness,
    configure,
    dropping,
    files,
    ingestions,
    looking,
    making,
    runs,
    schema,
    session,
)

app_name = "web"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="web:ingestions"), name="home"),
    path("signin/", session.signin, name="signin"),
    path("signout/", LogoutView.as_view(), name="signout"),
    path("ingestions/", ingestions.index, name="ingestions"),
    path("ingestions/new/", making.new, name="ingestion_new"),
    path("ingestions/import/", making.import_, name="ingestion_import"),
    path("ingestions/export/", configure.export_all, name="ingestions_export"),
    path("ingestions/<uuid:pk>/", ingestions.show, name="ingestion"),
    path("ingestions/<uuid:pk>/activate/", ingestions.activate, name="ingestion_activate"),
    path("ingestions/<uuid:pk>/pause/", ingestions.pause, name="ingestion_pause"),
    path("ingestions/<uuid:pk>/resume/", ingestions.resume, name="ingestion_resume"),
    path("ingestions/<uuid:pk>/settings/", configure.settings, name="ingestion_settings"),
    path("ingestions/<uuid:pk>/edit/", configure.edit, name="ingestion_edit"),
    path("ingestions/<uuid:pk>/clone/", configure.clone, name="ingestion_clone"),
    path("ingestions/<uuid:pk>/export/", configure.export, name="ingestion_export"),
    path("ingestions/<uuid:pk>/preview/", looking.preview, name="ingestion_preview"),
    path("ingestions/<uuid:pk>/dry-run/", looking.dry_run, name="ingestion_dry_run"),
    path("ingestions/<uuid:pk>/completeness/", completeness.show, name="ingestion_completeness"),
    path("ingestions/<uuid:pk>/cost/", looking.cost, name="ingestion_cost"),
    path("ingestions/<uuid:pk>/refresh/", dropping.refresh, name="ingestion_refresh"),
    path("ingestions/<uuid:pk>/backfill/", backfilling.backfill, name="ingestion_backfill"),
    path("ingestions/<uuid:pk>/delete/", dropping.delete, name="ingestion_delete"),
    path("ingestions/<uuid:pk>/rows/", ingestions.first_rows, name="ingestion_rows"),
    path("ingestions/<uuid:pk>/run/", ingestions.run_now, name="ingestion_run"),
    path("ingestions/<uuid:pk>/runs/", runs.of_ingestion, name="ingestion_runs"),
    path("ingestions/<uuid:pk>/files/", files.of_ingestion, name="ingestion_files"),
    path("ingestions/<uuid:pk>/schema/", schema.show, name="ingestion_schema"),
    path("ingestions/<uuid:pk>/alerts/", alerts.show, name="ingestion_alerts"),
    path("ingestions/<uuid:pk>/alerts/test/", alerts.test, name="ingestion_alerts_test"),
    path("ingestions/<uuid:pk>/alerts/retry/", alerts.retry, name="ingestion_alerts_retry"),
    path("ingestions/<uuid:pk>/alerts/secret/", alerts.secret, name="ingestion_alerts_secret"),
    path("schema-changes/<int:pk>/approve/", schema.approve, name="schema_change_approve"),
    path("schema-changes/<int:pk>/reject/", schema.reject, name="schema_change_reject"),
    path("runs/", runs.index, name="runs"),
    path("runs/<uuid:pk>/", runs.show, name="run"),
    path("runs/<uuid:pk>/retry/", runs.retry, name="run_retry"),
    path("runs/<uuid:pk>/cancel/", runs.cancel, name="run_cancel"),
    path("runs/<uuid:pk>/files/", files.of_run, name="run_files"),
    path("files/<int:pk>/", files.show, name="file"),
    path("files/<int:pk>/retry/", files.retry, name="file_retry"),
    path("files/<int:pk>/skip/", files.skip, name="file_skip"),
    path("clusters/", clusters.index, name="clusters"),
    path("clusters/<uuid:pk>/", clusters.show, name="cluster"),
    path("clusters/<uuid:pk>/test/", clusters.test, name="cluster_test"),
    path("clusters/<uuid:pk>/try-again/", clusters.try_again, name="cluster_try_again"),
]
