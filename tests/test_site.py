"""The built site: what a stakeholder sees, in a real browser, over http and from the folder."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.chromium import chromium

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (390, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    """The site, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    handler = functools.partial(Quiet, directory=str(built / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Watched:
    """A page whose console errors, failed and foreign requests are kept."""

    def __init__(self, page: Page, own: tuple[str, ...]) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(f"console: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("requestfailed", self.failed)
        page.on("response", lambda answer: self.faults.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
        page.on(
            "request",
            lambda request: None if request.url.startswith((*own, "data:", "blob:")) else self.faults.append(request.url),
        )

    def failed(self, request: Request) -> None:
        """Keep a failed request; one that was cut short because the test went on to the next page is none."""
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} ({request.failure})")


def open_page(browser: Browser, own: str, scheme: str = "light", width: int = 1440) -> Watched:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    return Watched(context.new_page(), (own, "about:"))


def pages(built: Path) -> list[str]:
    return sorted(
        path.relative_to(built / "site").as_posix() for path in (built / "site").rglob("*.html") if path.name != "404.html"
    )


def test_every_page_opens_without_an_error_or_a_foreign_request_and_fits_every_width(
    built: Path, browser: Browser, address: str
) -> None:
    found = pages(built)
    assert len(found) > 50
    for scheme, width in (("light", WIDTHS[0]), ("dark", WIDTHS[1])):
        watched = open_page(browser, address, scheme, width)
        for name in found:
            watched.page.goto(f"{address}/{name}")
            beyond = watched.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert beyond <= 0, f"{name} is {beyond} px wider than {width} px"
        assert watched.faults == []
        watched.page.context.close()


def test_pages_opened_from_the_folder_make_no_request_to_a_host(built: Path, browser: Browser) -> None:
    watched = open_page(browser, (built / "site").as_uri())
    for name in (
        "index.html",
        "generated/backlog/index.html",
        "generated/deliverables/data-flow.html",
        "generated/notebooks/before.html",
    ):
        watched.page.goto((built / "site" / name).as_uri())
    assert watched.faults == []


@pytest.mark.parametrize("way", ["http", "folder"])
def test_the_search_finds_a_rule(built: Path, browser: Browser, address: str, way: str) -> None:
    start = f"{address}/index.html" if way == "http" else (built / "site/index.html").as_uri()
    watched = open_page(browser, address if way == "http" else (built / "site").as_uri())
    watched.page.goto(start)
    watched.page.locator("input[name=query]").press_sequentially("quarantine")  # the search listens to keys
    watched.page.locator(".md-search-result__link").first.wait_for(state="attached")
    assert watched.page.locator(".md-search-result__link").count() > 0
    assert watched.faults == []


def test_the_home_page_answers_its_three_questions_in_the_first_screen(built: Path, browser: Browser, address: str) -> None:
    watched = open_page(browser, address)
    watched.page.goto(f"{address}/index.html")
    cards = watched.page.locator(".verdict")
    assert cards.count() == 3
    record = json.loads((built / "runs/latest.json").read_text(encoding="utf-8"))
    assert f"{record['rows']['loaded']:,} of {record['rows']['read']:,}" in cards.nth(0).inner_text()
    assert f"{record['quality']['overall']:g} %" in cards.nth(1).inner_text()
    assert "of 140 criteria" in cards.nth(2).inner_text()
    for number in range(3):
        box = cards.nth(number).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


class TestTheBacklogPage:
    @pytest.fixture
    def page(self, browser: Browser, address: str) -> Iterator[Page]:
        watched = open_page(browser, address)
        watched.page.goto(f"{address}/generated/backlog/index.html")
        yield watched.page
        assert watched.faults == []
        watched.page.context.close()

    def shown(self, page: Page) -> list[str]:
        return page.locator(".item:visible .item__id").all_inner_texts()

    def test_it_shows_all_stories_at_first(self, page: Page) -> None:
        assert len(self.shown(page)) == 35
        assert page.locator("#backlog-count").inner_text() == "35 of 35 stories, 91 points"

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("theme", "Make it Observable", 15),
            ("category", "UI & Design", 3),
            ("role", "Developer", 5),
            ("skill", "compliance", 1),
            ("points", "5", 2),
        ],
    )
    def test_each_filter_narrows_it(self, page: Page, name: str, value: str, expected: int) -> None:
        page.locator(f"#backlog-filters [name={name}]").select_option(value)
        assert len(self.shown(page)) == expected

    def test_a_skill_means_the_whole_skill(self, page: Page) -> None:
        page.locator("[name=skill]").select_option("monitoring")
        cards = page.locator(".item:visible")
        skills = [cards.nth(number).get_attribute("data-skill") or "" for number in range(cards.count())]
        assert skills
        assert all("[monitoring]" in text for text in skills)

    def test_filters_and_words_work_together_and_can_be_cleared(self, page: Page) -> None:
        page.locator("[name=theme]").select_option("ETL Productionisation")
        page.locator("input[name=text]").fill("ROTATION retention")
        assert self.shown(page) == ["C4"]
        page.locator("#backlog-filters button[type=reset]").click()
        page.wait_for_function("document.querySelectorAll('.item:not([hidden])').length === 35")

    def test_nothing_found_is_said(self, page: Page) -> None:
        page.locator("input[name=text]").fill("no such words anywhere")
        assert page.locator("#backlog-none").is_visible()

    def test_a_filtered_list_can_be_sent_to_a_colleague(self, page: Page, browser: Browser, address: str) -> None:
        page.locator("[name=category]").select_option("UI & Design")
        sent = page.url
        other = open_page(browser, address)
        other.page.goto(sent)
        assert self.shown(other.page) == ["D1", "D2", "D3"]
        other.page.context.close()

    def test_a_story_leads_to_its_page_with_all_criteria(self, page: Page) -> None:
        page.locator(".item a", has_text="Data Flow Visualization").first.click()
        page.wait_for_url("**/g1.html")
        headings = page.locator("h3").all_inner_texts()
        assert [text.split()[0] for text in headings] == ["G1.1", "G1.2", "G1.3", "G1.4"]


def test_a_page_says_when_it_has_grown_old(browser: Browser, address: str) -> None:
    watched = open_page(browser, address)
    watched.page.goto(f"{address}/index.html")
    note = watched.page.locator(".stale").first
    assert not note.is_visible()
    watched.page.clock.install(time="2036-01-01T00:00:00Z")
    watched.page.goto(f"{address}/index.html")
    assert note.is_visible()
    assert "nox -s run" in note.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "generated/backlog/index.html", "generated/deliverables/gdpr.html"])
def test_text_has_enough_contrast(browser: Browser, address: str, scheme: str, name: str) -> None:
    watched = open_page(browser, address, scheme)
    watched.page.goto(f"{address}/{name}")
    ratios = watched.page.evaluate(
        """() => {
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const rgba = (text) => {
            canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
          };
          const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] / 255 + under[i] * (1 - top[3] / 255)).concat(255);
          const light = (c) => {
            const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = (element) => {
            if (!element) return [255, 255, 255, 255];
            const own = rgba(getComputedStyle(element).backgroundColor);
            return own[3] === 255 ? own : over(own, ground(element.parentElement));
          };
          return [...document.querySelectorAll(".state, .badge, .verdict__answer, .item__story, .item__facts, .md-typeset td")].map((e) => {
            const under = ground(e), text = over(rgba(getComputedStyle(e).color), under);
            const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), e.className + ": " + e.textContent.slice(0, 30)];
          });
        }"""
    )
    assert ratios
    assert [what for ratio, what in ratios if ratio < 4.5] == []
