"""Every address of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from autoloader.api import api
from ingestions.api.docs import redoc, swagger
from ingestions.api.operations import health_view, metrics_view
from ingestions.api.problems import unknown_path

handler500 = "autoloader.faults.failed"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    re_path(r"^api(?P<rest>/.*)?$", unknown_path),
    path("docs", swagger, name="swagger"),
    path("redoc", redoc, name="redoc"),
    path("health", health_view, name="health"),
    path("metrics", metrics_view, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("ingestions.web.urls")),
]
