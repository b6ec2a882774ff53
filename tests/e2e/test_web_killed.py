"""The page while the services it talks to are killed, and when they are there again."""

import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from commons.messages import RunRequest
from dicebox.client import Client
from tests.dicebox_processes import until
from tests.web_house import opened, photograph

# It breeds for real, and wants the machine's cores for itself.
pytestmark = [pytest.mark.e2e, pytest.mark.alone]

EVALUATIONS = 6


def test_services_killed_during_a_run_are_named_and_the_run_goes_on_where_it_was(
    browser, box
) -> None:
    _, url = box.up()
    with Client(url) as client, opened(browser, url) as page:
        run = client.evolution.start(
            RunRequest(dataset="photos", seconds=None, evaluations=EVALUATIONS, workers=1)
        ).id
        page.goto(f"{url}/#evolve/{run}")
        until(lambda: client.evolution.run(run).progress.evaluated >= 2, 120)
        for process in box.processes():
            os.kill(process, 9)
        until(box.left_nothing)
        expect(page.locator("#outages")).to_contain_text(
            "Runs: The service does not answer", timeout=30_000
        )
        photograph(page, "evolve-killed")
        box.start("up", "--port", urlsplit(url).port)
        expect(page.locator("#outages")).to_be_empty(timeout=60_000)
        badge = page.locator("#run-view .badge").first
        expect(badge).to_have_text("interrupted", timeout=60_000)
        page.click("text=Go on where it was")
        expect(badge).to_have_text("complete", timeout=180_000)
        photograph(page, "evolve-killed-complete")
        found = client.evolution.run(run)
        assert (found.progress.evaluated, found.resumed) == (EVALUATIONS, 1)
