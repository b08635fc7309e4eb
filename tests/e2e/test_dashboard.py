# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser, against the real control plane, agent and nginx."""
import pathlib
import shutil
import socket
import tempfile

import pytest
from conftest import World
from harness import wire
from harness.base import until
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from test_controlplane_files import file, put

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

    def set_up(self):
        """To the first step of the wizard, for the target of this test."""
        self.js("location.hash = '#targets'")
        self.wait(lambda: self.is_shown(self.target_row), "the target")
        self.click(self.target_row + " a.button")
        self.wait(lambda: self.is_shown("#w-target"), "the first step")

    def step(self, title):
        self.wait(lambda: title in self.text("#wizard-title"), f"the step '{title}'")

    def next(self, title):
        self.click("#wizard-next")
        self.step(title)

    def summary(self):
        """Through all steps with what is filled in."""
        self.set_up()
        for title in ("Who issues", "What is in", "How is control", "When is it", "Is this right"):
            self.next(title)

    def order(self):
        """Through the wizard; the id of the new job, as soon as the page shows it."""
        before = self.jobs()
        self.summary()
        assert self.world.server.name in self.text("#wizard-view .summary")
        self.click("#wizard-next")
        self.wait(lambda: self.is_shown("#details"), "the job")
        self.click("#details-close")
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
    assert page.all(row + ' [data-state="not manageable"]') and not page.all(row + " a.button")


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


def test_the_wizard_says_what_is_wrong_at_the_field(page):
    page.expected = ["400"]
    before = page.world.plane.json("configs", "list")
    page.open()
    page.set_up()
    page.next("Who issues")
    page.next("What is in")
    page.fill("#w-names", "a name that is none!")
    page.click("#wizard-next")
    assert "none!" in page.text("#w-names-fault") and page.js("return document.activeElement.id") == "w-names"
    assert page.js("return document.getElementById('w-names').getAttribute('aria-invalid')") == "true"
    page.fill("#w-names", page.world.server.name)
    page.next("How is control")
    page.fill("#w-webroot", "www")
    page.next("When is it")
    page.fill("#w-days", "121")
    page.click("#wizard-next")
    assert "120" in page.text("#w-days-fault")
    page.fill("#w-days", "14")
    page.click("#wizard-back")
    page.step("How is control")
    assert page.js("return document.getElementById('w-webroot').value") == "www", "Back keeps what was typed"
    page.next("When is it")
    assert page.js("return document.getElementById('w-days').value") == "14"
    page.next("Is this right")
    page.js("draft.csr.key_type = 'rsa-1024'")  # what only the control plane finds
    page.click("#wizard-save")
    page.step("What is in")
    assert page.text("#w-key-fault") and page.js("return document.activeElement.id") == "w-key"
    page.click("#wizard-cancel")
    page.wait(lambda: page.is_shown("#targets-list"), "the lists")
    assert page.world.plane.json("configs", "list") == before


def test_saved_without_an_order_and_changed(page):
    page.open()
    jobs = page.jobs()
    page.summary()
    page.click("#wizard-save")
    page.wait(lambda: page.text(page.target_row + " a.button") == "Change…", "the configuration")
    assert page.jobs().keys() == jobs.keys(), "nothing was asked to be ordered"
    made = next(c for c in page.world.plane.json("configs", "list")["configurations"] if c["target"] == page.world.server.target)
    assert (made["schedule"]["renew_days"], made["dcv"]["method"], made["issuer"]["connector"]) == (30, "http-01", "builtin")
    page.set_up()
    assert page.js("return document.getElementById('w-target').disabled"), "a configuration stays with its target"
    for title in ("Who issues", "What is in", "How is control", "When is it"):
        page.next(title)
    page.fill("#w-days", "7")
    page.next("Is this right")
    page.world.plane.json("configs", "edit", made["id"], "--renew-days", "9")
    page.expected = ["412"]
    page.click("#wizard-save")
    page.wait_text("#wizard-fault", "Somebody else")
    assert page.world.plane.json("configs", "show", made["id"])["schedule"]["renew_days"] == 9


def test_the_inventory_filters_on_the_server(page, tmp_path):
    agent = wire.WireAgent(page.world.plane, tmp_path, "files-1")
    agent.enroll(page.world.plane.token())
    files = [file(i, days=5 if i == 7 else 90, status="managed" if i == 7 else "monitored",
                  problems=["weak_key"] if i == 9 else []) for i in range(250)]
    for number in range(3):
        assert put(agent, files[number * 100:number * 100 + 100], "scn_ui", number + 1, number == 2).status == 204
    page.open()
    page.click("#nav a", "Inventory")
    mine = f'#files-list tr[data-id^="{agent.id} "]'
    page.wait(lambda: page.all("#files-list tr[data-id]"), "files")
    page.js("document.getElementById('f-agent').value = arguments[0];"
            "document.getElementById('f-agent').dispatchEvent(new Event('input', {bubbles: true}))", agent.id)
    page.wait_text("#files-count", "100 of 250 files")
    page.click("#files-more")
    page.wait_text("#files-count", "200 of 250 files")
    page.click("#files-more")
    page.wait_text("#files-count", "250 of 250 files")
    assert not page.is_shown("#files-more") and len(page.all(mine)) == 250
    for field, value, path in (("f-days", "30", "00007"), ("f-status", "managed", "00007"), ("f-problem", "weak_key", "00009")):
        page.js("const e = document.getElementById(arguments[0]); e.value = arguments[1];"
                "e.dispatchEvent(new Event('input', {bubbles: true}))", field, value)
        page.wait_text("#files-count", "1 of 1 file")
        assert path in page.text("#files-list tbody")
        page.js("const e = document.getElementById(arguments[0]); e.value = '';"
                "e.dispatchEvent(new Event('input', {bubbles: true}))", field)
        page.wait_text("#files-count", "of 250 files")
    page.fill("#f-q", "host42.example")
    page.wait_text("#files-count", "1 of 1 file")
    page.click("#files-list button", "Details")
    page.wait(lambda: page.is_shown("#details"), "the certificate")
    text = page.text("#details-body")
    assert "host42.example.com" in text and "/etc/ssl/00042.pem" in text and f"{42:064x}" in text
    page.click("#details-close")
    page.emulate(PHONE)
    page.click("#f-reset")
    page.wait_text("#files-count", "100 of")
    assert page.overflow() == [0, []]


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
    page.set_up()
    for title in ("Who issues", "What is in", "How is control", "When is it", "Is this right"):
        assert page.overflow() == [0, []]
        page.next(title)
    assert page.overflow() == [0, []]
    page.click("#wizard-cancel")
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
