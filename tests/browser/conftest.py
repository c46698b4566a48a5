"""Chromium against a real server of this process. One browser for all tests, a context (cookies, storage) a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.cast import cluster, ingestion, owner, run
from tools.programs import find_chromium

__all__ = ["cluster", "ingestion", "owner", "run"]

WIDE, NARROW = (1360, 900), (360, 740)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = find_chromium()
    assert found is not None, "there is no Chromium: run make test-setup"
    # Playwright's synchronous interface runs a loop of its own in this thread; Django would refuse its database there.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found), args=["--no-sandbox"])
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """A person at a browser. What the console says is kept: a page of ours makes it say nothing."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.page: Page = context.new_page()
        self.console: list[str] = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, name: str = "owner", password: str = "a long pass phrase") -> Page:  # the cast's
        page = self.go("/signin/")
        page.fill("#id_username", name)
        page.fill("#id_password", password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/ingestions/")
        return page

    def faults(self) -> list[str]:
        """What axe has against the page, rule and place; only what WCAG 2.2 AA asks for and good practice."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['target']} {node['failureSummary']}" for fault in found for node in fault["nodes"]
        ]

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


NewVisit = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Browser, live_server: Any, owner: User) -> Iterator[NewVisit]:
    """``visit(dark=False, size=WIDE, script=True)``."""
    contexts = []

    def new(*, dark: bool = False, size: tuple[int, int] = WIDE, script: bool = True, **more: Any) -> Visit:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            **more,
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        return Visit(context, live_server.url)

    yield new
    for context in contexts:
        context.close()
