# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser, against the real control plane, agent and nginx."""
import pathlib
import shutil
import socket
import tempfile

import pytest
from conftest import World
from harness.base import until
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
UNMANAGEABLE = "dynamic.clmbot.test"


class Page:
    """The page as a person uses it: looks for what is there, clicks what can be clicked."""

    def __init__(self, driver, world):
        self.driver = driver
        self.world = world
        self.url = world.plane.operator_url.rstrip("/")
        self.expected = []  # what the browser's console may say in this test
        target = world.server.target
        self.target_row = f'#targets-list tr[data-id="{world.agent.id} {target}"]'

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        return self.js("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", css)

    def is_shown(self, css):
        return self.js("const e = document.querySelector(arguments[0]); return !!e && e.checkVisibility()", css)

    def wait(self, condition, what, seconds=20):
        return until(condition, seconds, what)

    def wait_text(self, css, text, seconds=20):
        self.wait(lambda: text in self.text(css), f"'{text}' in {css}", seconds)

    def click(self, css, text=None):
        """Rows are replaced and move when lists change: then the element is looked for again."""
        def attempt():
            try:
                for element in self.all(css):
                    if (text is None or element.text == text) and element.is_enabled() and element.is_displayed():
                        self.js("arguments[0].scrollIntoView({block: 'center'})", element)  # not below the header
                        element.click()
                        return True
            except (ElementClickInterceptedException, StaleElementReferenceException):
                pass
            return False

        self.wait(attempt, f"something to click: {css} {text or ''}")

    def fill(self, css, text):
        field = self.driver.find_element(By.CSS_SELECTOR, css)
        field.clear()
        field.send_keys(text)

    def load(self):
        self.driver.get(self.url + "/")

    def sign_in(self, token=None):
        self.wait(lambda: self.is_shown("#signin"), "the form")
        self.fill("#token", token or (self.world.plane.data / "operator.token").read_text().strip())
        self.click("#signin button")

    def open(self):
        """Signed in, with lists. Each test begins in a tab that knows nothing."""
        self.load()
        self.js("sessionStorage.clear()")
        self.load()
        self.sign_in()
        self.wait(lambda: self.is_shown(self.target_row), "the target")

    def emulate(self, screen, scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def jobs(self):
        return {row: self.text(f'#jobs-list tr[data-id="{row}"]') for row in self.js(
            "return [...document.querySelectorAll('#jobs-list tr[data-id]')].map(r => r.dataset.id)")}

    def order(self):
        """Through the dialog; the id of the new job, as soon as the page shows it."""
        before = self.jobs()
        self.click(self.target_row + " button", "Order…")
        assert self.js("return document.getElementById('order-names').value") == self.world.server.name
        self.click("#order-submit")
        return self.new_job(before, "Order")

    def new_job(self, before, name):
        new = self.wait(lambda: [k for k, text in self.jobs().items() if k not in before], f"a job: {name}")
        assert self.jobs()[new[0]].startswith(name)
        return new[0]

    def wait_job(self, job_id, state, seconds=40):
        css = f'#jobs-list tr[data-id="{job_id}"]'
        self.wait(lambda: self.all(f'{css} [data-state="{state}"]'), f"{job_id} to be {state}", seconds)
        return self.text(css)

    def cert_row(self):
        ids = [c["id"] for c in self.world.plane.json("certs", "list")["certificates"]
               if c["target"] == self.world.server.target]
        assert len(ids) == 1, "the page made a second certificate of the same kind"
        return f'#certificates-list tr[data-id="{ids[0]}"]'

    def wait_certificate(self, state):
        row = self.cert_row()
        self.wait(lambda: self.all(f'{row} [data-state="{state}"]') and not self.all(f"{row} progress"),
                  f"the certificate to be {state}")
        return row

    def overflow(self):
        """Elements that stick out, and by how much the page is too wide."""
        return self.js("""
            const wide = [...document.querySelectorAll('button, td, input, h2, .tile, .badge, code')]
              .filter(e => e.checkVisibility() && !e.classList.contains('hide') && e.getBoundingClientRect().right > innerWidth + 0.5);
            return [Math.max(0, document.scrollingElement.scrollWidth - innerWidth), wide.map(e => e.outerHTML.slice(0, 120))]""")


def _driver(work):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={work / 'browser'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


@pytest.fixture(scope="module")
def shared():
    work = pathlib.Path(tempfile.mkdtemp(prefix="clmbot-e2e."))
    work.chmod(0o755)
    world = World(work, "nginx")
    driver = None
    try:
        tls = world.server.tls
        world.server.write_conf(http_extra=f"""server {{
            listen 127.0.0.1:{world.server.https} ssl; server_name {UNMANAGEABLE};
            ssl_certificate {tls}/$ssl_server_name.pem; ssl_certificate_key {tls}/$ssl_server_name.key; }}""")
        world.up()
        driver = _driver(work)
        yield driver, world
    finally:
        if driver:
            driver.quit()
        world.down()
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture
def page(shared):
    it = Page(*shared)
    it.emulate(DESKTOP)
    it.driver.get_log("browser")
    yield it
    _nothing_from_elsewhere(it)
    severe = [e for e in it.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")
              and not any(text in e["message"] for text in it.expected)]
    assert not severe, severe


def _nothing_from_elsewhere(page):
    urls = page.js("return performance.getEntries().filter(e => e.entryType === 'resource' || e.entryType === 'navigation')"
                   ".map(e => e.name)")
    assert len(urls) > 4, urls
    assert not [u for u in urls if not u.startswith(page.url + "/")], urls


def test_a_wrong_token_is_refused_and_the_right_one_is_not(page):
    page.expected = ["401"]
    page.load()
    page.js("sessionStorage.clear()")
    page.load()
    page.sign_in("a-token-that-is-wrong")
    page.wait_text("#signin-error", "not valid")
    assert not page.is_shown("#main")
    page.sign_in()
    page.wait(lambda: page.is_shown("#main"), "the lists")
    page.wait_text("#link", "Live")
    page.driver.refresh()
    page.wait(lambda: page.is_shown("#main"), "the lists after a reload of the page")
    page.click("#signout")
    assert page.is_shown("#signin") and not page.is_shown("#main")
    page.driver.refresh()
    page.wait(lambda: page.is_shown("#signin"), "the form: the token is forgotten")


def test_shows_agents_and_targets_with_the_reason(page):
    page.open()
    assert socket.gethostname() in page.text("#agents-list")
    assert page.all('#agents-list [data-state="online"]')
    row = f'#targets-list tr[data-id="{page.world.agent.id} nginx:{UNMANAGEABLE}"]'
    assert "$ssl_server_name" in page.text(row)
    assert page.all(row + ' [data-state="not manageable"]') and not page.all(row + " button")


def test_order_verify_and_roll_back(page):
    server = page.world.server
    page.open()
    first = server.served()
    page.wait_job(page.order(), "succeeded")
    row = page.wait_certificate("verified")
    second = server.served()
    assert second != first and second == server.installed()
    assert "89 days left" in page.text(row)

    before = page.jobs()
    page.click(row + " button", "Verify")
    page.wait_job(page.new_job(before, "Verify"), "succeeded")
    assert server.served() == second

    before = page.jobs()
    page.click(row + " button", "Deploy")
    assert "nothing to change" in page.wait_job(page.new_job(before, "Deploy"), "skipped")

    before = page.jobs()
    page.click(row + " button", "Roll back")
    page.click("#confirm-no")
    assert page.jobs().keys() == before.keys(), "rolled back without a yes"
    page.click(row + " button", "Roll back")
    page.click("#confirm-yes")
    page.wait_job(page.new_job(before, "Roll back"), "succeeded")
    page.wait_certificate("rolled_back")
    assert server.served() == first


def test_a_job_shows_its_progress_and_then_its_reason(page):
    server = page.world.server
    page.open()
    old = server.served()
    server.hang()
    try:
        job = page.order()
        css = f'#jobs-list tr[data-id="{job}"]'
        page.wait(lambda: page.all(css + " progress") and page.all(css + ' [data-state="running"]'), "progress")
        text = page.wait_job(job, "rolled_back")
    finally:
        server.resume()
    assert "still serves the old certificate" in text
    assert not page.all(css + " progress")
    assert "still serves the old certificate" in page.text(page.wait_certificate("rolled_back"))
    assert server.served() == old
    page.click(css + " button", "Details")
    page.wait(lambda: page.is_shown("#details"), "the details")
    assert "still serves the old certificate" in page.text("#details .callout")
    assert [e.text for e in page.all("#details .steps li.bad span:nth-child(1)")] == ["verify — failed"]
    assert job in page.text("#details .facts")
    assert page.js("return [...document.querySelectorAll('#details .proof code')].map(e => e.title)") == [old] * 3
    page.click("#details-close")
    assert not page.is_shown("#details")


def test_what_the_control_plane_refuses_is_one_line(page):
    page.expected = ["400", "422"]
    page.open()
    page.click(page.target_row + " button", "Order…")
    page.fill("#order-names", "no_name!")
    page.click("#order-submit")
    page.wait(lambda: page.is_shown("#notice"), "the notice")
    text = page.text("#notice-text")
    assert text and "\n" not in text and "no_name!" in text
    page.click("#notice-close")
    assert not page.is_shown("#notice")


def test_a_lost_connection_is_told_and_comes_back(page):
    page.expected = ["net::ERR", "Failed to load resource"]
    page.open()
    page.world.plane.stop()
    page.wait_text("#link", "No connection")
    page.world.plane.start()
    page.wait_text("#link", "Live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(page, scheme):
    page.emulate(PHONE, scheme)
    page.open()
    if not page.jobs():
        page.wait_job(page.order(), "succeeded")
    assert page.js("return innerWidth") == PHONE["width"]
    assert page.overflow() == [0, []]
    page.click("#jobs-list button", "Details")
    page.wait(lambda: page.is_shown("#details"), "the details")
    page.click("#details summary")
    assert page.overflow() == [0, []]
    page.click("#details-close")
    page.click(page.target_row + " button", "Order…")
    assert page.overflow() == [0, []]
    page.click("#order-cancel")
    red = page.js("return Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 64) == (scheme == "dark")


def test_nothing_inline_can_run(page):
    page.expected = ["Content Security Policy"]
    page.open()
    page.js("""
        const script = document.createElement('script');
        script.textContent = 'window.inlineRan = true';
        document.body.append(script);
        document.body.setAttribute('style', 'opacity: 0.5');""")
    assert page.js("return [window.inlineRan, getComputedStyle(document.body).opacity]") == [None, "1"]
