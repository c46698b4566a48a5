"""Pages for when something is wrong can be made whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string


@pytest.mark.parametrize("name", ["500.html", "503.html", "403_csrf.html"])
def test_they_need_no_collected_files(name: str, settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    assert 'href="/static/css/pages.css"' in render_to_string(name)
