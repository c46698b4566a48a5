"""Clusters and tokens: what reaches the outside, and who reaches us."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.models import ApiToken
from accounts.services import token_revoke
from autoloader.lib.errors import ConfigError
from clusters.breaker import cluster_try_again
from clusters.models import Cluster, ClusterBreaker
from clusters.services import cluster_test, cluster_update
from clusters.url import MASK
from ingestions.admin.base import Console, ModelForm, badge, each, listed, mono, pretty
from ingestions.models import Ingestion
from ingestions.services import status

#: fields that are the model's own; address and token are the service's to set.
PLAIN = (
    "name", "workers", "dbu_per_worker", "price_dbu_hour", "price_storage_gb_month", "currency", "default_catalog",
    "max_runs",
)  # fmt: skip


class ClusterForm(ModelForm[Cluster]):
    """The token is write-only: what is set is never sent to a browser."""

    spark_connect_url = forms.CharField(max_length=4000, label="Spark Connect URL")
    new_token = forms.CharField(
        required=False, label="Token", widget=forms.PasswordInput(render_value=False), strip=True,
        help_text="Leave it empty to keep the one that is set. A new address needs it again.",
    )  # fmt: skip

    class Meta:
        model = Cluster
        fields = PLAIN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["spark_connect_url"].initial = self.instance.url
        if self.instance.is_embedded:
            self.fields["spark_connect_url"].disabled = True

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = {name: self.cleaned_data[name] for name in PLAIN if name in self.cleaned_data}
        given["max_runs"] = given.get("max_runs") or 0
        if not self.instance.is_embedded:
            given["spark_connect_url"] = self.cleaned_data.get("spark_connect_url", "")
        return given | {"token": self.cleaned_data.get("new_token") or MASK}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and self.instance.pk:
            try:
                cluster_update(cluster=self.instance, **self.values(), check_only=True)
            except ConfigError as error:
                field = "new_token" if error.field == "token" else error.field
                raise forms.ValidationError(
                    {field if field in self.fields else "name": f"{error.message} {error.hint}"}
                ) from None
        return cleaned


@admin.register(Cluster)
class ClusterAdmin(Console[Cluster]):
    form = ClusterForm
    list_display = ("name", "state", "url_shown", "owner", "token_set", "max_runs", "ingestions", "last_test_at")
    list_filter = ("is_embedded",)
    search_fields = ("name", "url")
    list_select_related = ("owner", "breaker")
    readonly_fields = (
        "id",
        "owner",
        "state",
        "token_set",
        "last_test_shown",
        "last_test_at",
        "created_at",
        "updated_at",
    )
    actions = ("test_connection", "try_again")

    def get_fields(self, request: HttpRequest, obj: Cluster | None = None) -> Any:
        return (*PLAIN[:1], "spark_connect_url", "token_set", "new_token", *PLAIN[1:],
                "owner", "state", "last_test_at", "last_test_shown")  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("clusters.change_cluster")

    def save_model(self, request: HttpRequest, obj: Cluster, form: Any, change: bool) -> None:
        cluster_update(cluster=obj, **form.values())

    @admin.display(description="status")
    def state(self, row: Cluster) -> SafeString:
        return badge(status.cluster_badge(row))

    @admin.display(description="Spark Connect URL", ordering="url")
    def url_shown(self, row: Cluster) -> SafeString:
        return mono(row.url)

    @admin.display(description="token set", boolean=True)
    def token_set(self, row: Cluster) -> bool:
        return bool(row.token)

    @admin.display(description="ingestions")
    def ingestions(self, row: Cluster) -> SafeString:
        return listed(Ingestion, "its ingestions", cluster__id__exact=row.pk)

    @admin.display(description="last connection test")
    def last_test_shown(self, row: Cluster) -> SafeString:
        return pretty(row.last_test)

    @admin.action(description="Test the connection", permissions=["act"])
    def test_connection(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        for row in rows[:3]:  # each may take half a minute
            result = cluster_test(cluster=row, budget_seconds=25)
            wrong = next((check for check in result.checks if not check.ok), None)
            if wrong is None:
                messages.success(request, f"{row}: every step passed.")
            else:
                messages.error(request, f"{row}: {wrong.name}: {wrong.detail} {wrong.hint}")

    @admin.action(description="Try again now, where runs wait for it", permissions=["act"])
    def try_again(self, request: HttpRequest, rows: QuerySet[Cluster]) -> None:
        each(request, rows, lambda row: cluster_try_again(cluster=row), "runs go to it again.")


@admin.register(ClusterBreaker)
class ClusterBreakerAdmin(Console[ClusterBreaker]):
    list_display = ("cluster", "is_open", "reason", "failures", "trips", "opened_at", "next_try_at")
    list_select_related = ("cluster",)
    search_fields = ("cluster__name",)
    fields = (*list_display, "prober")
    readonly_fields = fields

    @admin.display(description="runs wait", boolean=True)
    def is_open(self, row: ClusterBreaker) -> bool:
        return row.is_open


@admin.register(ApiToken)
class ApiTokenAdmin(Console[ApiToken]):
    list_display = ("name", "prefix", "user", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("scope",)
    search_fields = ("name", "prefix", "user__username")
    list_select_related = ("user",)
    fields = list_display
    readonly_fields = fields
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        each(request, rows, lambda row: token_revoke(token=row), "is revoked.")
