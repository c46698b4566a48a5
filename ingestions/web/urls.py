"""Addresses of the pages."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from ingestions.web import clusters, files, ingestions, runs, session

app_name = "web"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="web:ingestions"), name="home"),
    path("signin/", session.signin, name="signin"),
    path("signout/", LogoutView.as_view(), name="signout"),
    path("ingestions/", ingestions.index, name="ingestions"),
    path("ingestions/<uuid:pk>/", ingestions.show, name="ingestion"),
    path("ingestions/<uuid:pk>/rows/", ingestions.first_rows, name="ingestion_rows"),
    path("ingestions/<uuid:pk>/run/", ingestions.run_now, name="ingestion_run"),
    path("ingestions/<uuid:pk>/runs/", runs.of_ingestion, name="ingestion_runs"),
    path("ingestions/<uuid:pk>/files/", files.of_ingestion, name="ingestion_files"),
    path("runs/", runs.index, name="runs"),
    path("runs/<uuid:pk>/", runs.show, name="run"),
    path("runs/<uuid:pk>/cancel/", runs.cancel, name="run_cancel"),
    path("runs/<uuid:pk>/files/", files.of_run, name="run_files"),
    path("files/<int:pk>/", files.show, name="file"),
    path("clusters/", clusters.index, name="clusters"),
    path("clusters/<uuid:pk>/", clusters.show, name="cluster"),
    path("clusters/<uuid:pk>/test/", clusters.test, name="cluster_test"),
]
