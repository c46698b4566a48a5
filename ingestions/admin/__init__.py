"""The operators' console: everything can be seen, history cannot be rewritten, actions call the services."""

from __future__ import annotations

from django.contrib import admin
from django_q.models import Schedule

from ingestions.admin import access, alert, ingestion, ledger, listing, run, schema

__all__ = ["access", "alert", "ingestion", "ledger", "listing", "run", "schema"]

admin.site.site_header = "Autoloader"
admin.site.site_title = "Autoloader"
admin.site.index_title = "Operations"
admin.site.site_url = "/"

# One malformed row of the queue's own schedules stops all of them; ingestions have schedules of their own.
if admin.site.is_registered(Schedule):
    admin.site.unregister(Schedule)
