"""Pictures of the pages of a running installation: light and dark, wide and narrow.

``python -m tools.screenshots FOLDER --url http://127.0.0.1:8000 --user admin`` asks for the password, or takes it from
the variable ``AUTOLOADER_PASSWORD``. Pages that scroll sideways and messages of the browser's console are reported.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tools.programs import find_chromium

WIDTHS = {"wide": (1360, 900), "narrow": (360, 740)}
SCHEMES = ("light", "dark")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--path", action="append", default=[], help="a page beyond those that links lead to")
    options = parser.parse_args()
    password = os.environ.get("AUTOLOADER_PASSWORD") or getpass.getpass()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = find_chromium()
    if found is None:
        parser.error("there is no Chromium: run make test-setup")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found), args=["--no-sandbox"])
        pages: dict[str, str] = {}
        for scheme in SCHEMES:
            for name, size in WIDTHS.items():
                page = _open(browser, scheme, size, complaints)
                page.goto(f"{options.url}/signin/")
                page.screenshot(path=options.folder / f"signin-{scheme}-{name}.png")
                _sign_in(page, options.user, password)
                pages = pages or _pages(page, options.url, options.path)
                for title, path in pages.items():
                    page.goto(options.url + path)
                    page.wait_for_load_state("networkidle")
                    page.screenshot(path=options.folder / f"{title}-{scheme}-{name}.png", full_page=True)
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        complaints.append(f"{title} {scheme} {name}: scrolls sideways")
                page.context.close()
        browser.close()
    sys.stdout.write(("\n".join(sorted(set(complaints))) or "no complaints") + "\n")
    return 1 if complaints else 0


def _open(browser: Browser, scheme: str, size: tuple[int, int], complaints: list[str]) -> Page:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    return page


def _sign_in(page: Page, user: str, password: str) -> None:
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.click("main button")
    page.wait_for_url("**/ingestions/")


def _pages(page: Page, url: str, more: list[str]) -> dict[str, str]:
    """The fixed pages and the first of each kind that the lists lead to."""
    found = {"ingestions": "/ingestions/", "runs": "/runs/", "clusters": "/clusters/", "missing": "/nothing-here/"}
    found |= {"new": "/ingestions/new/", "import": "/ingestions/import/"}
    for title, start, link in (
        ("ingestion", "/ingestions/", "td a.name"),
        ("run", "/runs/", "td a.name"),
        ("cluster", "/clusters/", "td a.name"),
    ):
        page.goto(url + start)
        if page.locator(link).count():
            found[title] = str(page.locator(link).first.get_attribute("href"))
    if "ingestion" in found:
        for part in (
            "runs",
            "files",
            "settings",
            "rows",
            "edit",
            "preview",
            "dry-run",
            "cost",
            "clone",
            "refresh",
            "delete",
        ):
            found[f"ingestion-{part}"] = f"{found['ingestion']}{part}/"
        page.goto(url + found["ingestion-files"])
        if page.locator("td a.mono").count():
            found["file"] = str(page.locator("td a.mono").first.get_attribute("href"))
    return found | {f"extra{number}": path for number, path in enumerate(more, start=1)}


if __name__ == "__main__":
    sys.exit(main())
