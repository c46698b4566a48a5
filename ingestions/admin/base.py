"""What the console's pages share: history that cannot be rewritten, states as badges, numbers that lead somewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autoloader.lib.errors import AutoloaderError
from ingestions.services.status import Badge

M = TypeVar("M", bound=Model)
C = TypeVar("C", bound=Model)

if TYPE_CHECKING:  # Django's classes are generic for the type checker only

    class ModelAdmin(admin.ModelAdmin[M]):
        pass

    class ModelForm(forms.ModelForm[M]):
        pass

    class Inline(admin.TabularInline[C, M]):
        pass
else:

    class _Generic:
        def __class_getitem__(cls, _: Any) -> type:
            return cls

    class ModelAdmin(_Generic, admin.ModelAdmin):
        pass

    class ModelForm(_Generic, forms.ModelForm):
        pass

    class Inline(_Generic, admin.TabularInline):
        pass


class Console(ModelAdmin[M]):
    """Looking only. What may be done is an action that calls a service."""

    list_per_page = 50
    show_full_result_count = False  # the ledger has millions of rows

    class Media:
        css = {"all": ["admin/autoloader.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """May use the actions; Django asks for it by this name."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")


def badge(found: Badge) -> SafeString:
    return format_html('<span class="al-badge {}">{}</span>', found.tone, found.label)


def link(row: Model | None, text: object = None) -> SafeString | str:
    """To the row's own page in the console."""
    if row is None:
        return "–"
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), text if text is not None else row)


def listed(model: type[Model], text: object, **filters: object) -> SafeString:
    """To the list of ``model`` with these filters."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return format_html('<a href="{}?{}">{}</a>', reverse(name), urlencode(filters), text)


def mono(text: object) -> SafeString:
    return format_html('<span class="al-mono">{}</span>', text)


def pretty(document: object) -> SafeString:
    """JSON as people read it."""
    return format_html('<pre class="al-mono">{}</pre>', json.dumps(document, indent=2, ensure_ascii=False, default=str))


def each(request: HttpRequest, rows: Iterable[M], act: Callable[[M], object], done: str) -> None:
    """Does it to each row and says what came of each."""
    for row in rows:
        try:
            act(row)
        except AutoloaderError as error:
            messages.error(request, f"{row}: {error.message} {error.hint}".strip())
        else:
            messages.success(request, f"{row}: {done}")
