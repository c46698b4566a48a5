"""Who is told of an ingestion's runs, what they were told lately, and whether it reached them."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from ingestions.models import Alert, Ingestion
from ingestions.services import present_alerts
from ingestions.services.alerts import alert_retry, alert_test
from ingestions.services.webhook_secrets import secret_renew
from ingestions.web.access import Request, find_ingestion, one, signed_in
from ingestions.web.heads import head
from ingestions.web.tell import attempt

SHOWN = 50


@require_safe
@signed_in
def show(request: Request, pk: uuid.UUID) -> HttpResponse:
    return _page(request, find_ingestion(request, pk))


def _page(request: HttpRequest, ingestion: Ingestion, **more: object) -> HttpResponse:
    rows = present_alerts.alerts(Alert.objects.filter(ingestion=ingestion))[:SHOWN]
    context = {
        **head(ingestion, "alerts"),
        "enabled": ingestion.alerts_enabled,
        "recipients": present_alerts.recipients_of(ingestion),
        "alerts": [(row, present_alerts.title(row), row.deliveries.all()) for row in rows],
        **more,
    }
    return render(request, "ingestions/alerts.html", context)


@require_POST
@signed_in
def test(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    done = "A test is on its way. Look at this page again in a few seconds to see whether it arrived."
    attempt(request, lambda: alert_test(ingestion=ingestion), done)
    return redirect(reverse("web:ingestion_alerts", args=[pk]))


@require_POST
@signed_in
def retry(request: Request, pk: uuid.UUID) -> HttpResponse:
    ingestion = find_ingestion(request, pk)
    alert = one(Alert.objects.filter(ingestion=ingestion), pk=_number(request.POST.get("alert", "")))
    attempt(request, lambda: alert_retry(alert=alert), "It is tried again now.")
    return redirect(reverse("web:ingestion_alerts", args=[pk]))


@require_POST
@signed_in
def secret(request: Request, pk: uuid.UUID) -> HttpResponse:
    """The answer itself shows the secret, once: it is not kept in a session, and reloading makes another."""
    ingestion = find_ingestion(request, pk)
    named = ingestion.alert_recipients
    number = _number(request.POST.get("recipient", ""))
    if not 0 <= number < len(named):
        messages.error(request, "The recipients were changed meanwhile. Choose again.")
        return redirect(reverse("web:ingestion_alerts", args=[pk]))
    made: list[str] = []
    done = "The secret is made. Requests are signed with it from now on."
    if not attempt(request, lambda: made.append(secret_renew(ingestion=ingestion, url=named[number])), done):
        return redirect(reverse("web:ingestion_alerts", args=[pk]))
    return _page(request, ingestion, secret=made[0], secret_number=number)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
