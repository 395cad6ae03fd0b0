"""The dashboard in Chromium, over the monitor's real judge and web server.

With TANDEM_SCREENSHOTS set to a folder it also leaves pictures there, to be looked at.
"""

import json
import os
import signal
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "system"))
from run import SMALL, Run, tandem  # noqa: E402
from page import CHROMIUM, Harness, checkpoint, exploited, missing  # noqa: E402

SCREENSHOTS = os.environ.get("TANDEM_SCREENSHOTS")


def setUpModule():
    from playwright.sync_api import sync_playwright
    globals()["player"] = sync_playwright().start()
    # No sandbox: it needs rights that a container does not have, and the page is our own.
    globals()["browser"] = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def tearDownModule():
    browser.close()
    player.stop()


class DashboardPage(unittest.TestCase):
    """A browser, and a dashboard in a folder of its own. A page that breaks its rules fails the test."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="td")
        self.addCleanup(self.folder.cleanup)
        self.complaints = []

    def start(self, **options):
        harness = Harness(self.folder.name, **options)
        self.addCleanup(harness.stop)
        return harness

    def open(self, harness, path="", **options):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(20000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda m: self.complaints.append(m.text) if "Content Security Policy" in m.text else None)
        url = (harness.url if harness else "") + path
        own = harness.url if harness else url
        page.on("request", lambda r: None if r.url.startswith((own, "data:"))
                else self.complaints.append(f"asks elsewhere: {r.url}"))
        page.goto(url)
        return page

    def tearDown(self):
        self.assertEqual(self.complaints, [])

    def picture(self, page, name):
        if SCREENSHOTS:
            page.wait_for_timeout(300)
            page.screenshot(path=os.path.join(SCREENSHOTS, f"{name}.png"), full_page=True)

    def until(self, page, condition, timeout=30):
        """Waits for an expression to be true. The page forbids eval, so Playwright's own way is barred."""
        end = time.monotonic() + timeout
        while not page.evaluate(condition):
            self.assertLess(time.monotonic(), end, f"never: {condition}")
            page.wait_for_timeout(50)

    def state(self, page, state):
        page.wait_for_selector(f"body[data-state={state}]")

    def card(self, page, title):
        return page.locator(f'[data-card="{title}"]')

    def feed(self, harness, healthy, exploiting=0):
        for number in range(1, healthy + exploiting + 1):
            harness.tell("checkpoint", checkpoint(number) if number <= healthy else exploited(number))
        harness.tell("report", {"env_steps": 250 * (healthy + exploiting + 1), "fresh_steps_scored": 250 * (healthy + exploiting),
                              "model_version": healthy + exploiting, "policy_version": 99, "training_return": 480})


class DashboardTest(DashboardPage):
    # ---- what the page says -----------------------------------------------------------------------

    def test_before_the_first_checkpoint_it_says_that_there_is_no_data_yet(self):
        page = self.open(self.start())
        self.state(page, "live")
        self.assertEqual(page.locator("#banner").get_attribute("data-verdict"), "warming_up")
        self.assertIn("no data yet", self.card(page, "Index of co-adaptation").inner_text())
        self.assertEqual(self.card(page, "Index of co-adaptation").get_attribute("data-level"), "none")
        self.assertIn("No data yet", page.locator("#chart-index").inner_text())
        self.assertIn("Nothing has happened yet", page.locator("#log-table").inner_text())
        self.picture(page, "empty")

    def test_zero_is_not_no_data(self):
        harness = self.start()
        harness.tell("checkpoint", checkpoint(1, index=0, gap_25=None))
        page = self.open(harness)
        index = self.card(page, "Index of co-adaptation")
        index.locator(".value >> text=0").wait_for()
        self.assertRegex(index.locator(".value").inner_text(), r"^0\b")
        self.assertEqual(index.get_attribute("data-level"), "fine")
        self.assertEqual(index.locator(".nodata").count(), 0)
        self.assertEqual(self.card(page, "Gap over 25 steps").locator(".nodata").inner_text(), "no data yet")

    def test_the_verdict_stands_first_in_words_with_its_evidence(self):
        harness = self.start()
        self.feed(harness, healthy=12, exploiting=14)
        answer = json.load(urllib.request.urlopen(harness.url + "api/report", timeout=5))
        page = self.open(harness)
        self.state(page, "live")
        page.wait_for_selector("#banner[data-verdict=exploiting]")
        self.assertIn("exploits", page.locator("#verdict-title").inner_text())
        self.assertIn(answer["report"]["sentence"], page.locator("#verdict-sentence").inner_text())
        self.assertGreater(page.locator("#verdict-icon svg").count(), 0, "a sign beside the colour")
        evidence = self.card(page, "Evidence for an alarm")
        self.assertEqual(evidence.get_attribute("data-level"), "alarm")
        self.assertIn("above the alarm line", evidence.inner_text())
        self.assertIn("26 checkpoints judged", evidence.inner_text())
        self.assertIn("one in 200", evidence.inner_text())
        gap = self.card(page, "Gap over whole episodes")
        self.assertIn("+0.90", gap.inner_text())
        self.assertIn("tolerates +0.20", gap.inner_text())
        self.assertIn("5 fresh episodes", gap.inner_text())
        self.assertGreater(page.locator("#log-table tr[data-kind=alarm]").count(), 0)
        order = page.evaluate("""() => ['verdict', 'numbers', 'charts', 'knobs', 'log'].map(
            (id) => document.getElementById(id).getBoundingClientRect().top)""")
        self.assertEqual(order, sorted(order))
        self.picture(page, "exploiting-light")

    def test_a_healthy_run_says_so(self):
        harness = self.start()
        self.feed(harness, healthy=12)
        page = self.open(harness)
        page.wait_for_selector("#banner[data-verdict=healthy]")
        self.assertIn("Healthy", page.locator("#verdict-title").inner_text())
        self.assertNotEqual(self.card(page, "Evidence for an alarm").get_attribute("data-level"), "alarm")
        self.picture(page, "healthy-light")

    def test_new_checkpoints_come_in_by_themselves(self):
        harness = self.start()
        self.feed(harness, healthy=3)
        page = self.open(harness)
        self.card(page, "Evidence for an alarm").get_by_text("3 checkpoints judged").wait_for()
        harness.tell("checkpoint", checkpoint(4, index=0.123))
        self.card(page, "Index of co-adaptation").get_by_text("+0.12").wait_for()

    def test_asking_twice_at_once_takes_nothing_twice(self):
        harness = self.start()
        self.feed(harness, healthy=3)
        counts = self.open(harness).evaluate("""async () => {
            const { Feed } = await import(new URL("feed.js", document.baseURI).href);
            const feed = new Feed(() => {});
            await Promise.all([feed.refresh(), feed.refresh(), feed.refresh()]);
            clearTimeout(feed.timer);
            return [feed.checkpoints.length, feed.next.checkpoint];
        }""")
        self.assertEqual(counts, [3, 3])

    # ---- freshness --------------------------------------------------------------------------------

    def test_old_figures_are_stale(self):
        harness = self.start()
        self.feed(harness, healthy=6)
        page = self.open(harness)
        self.state(page, "live")
        harness.tell("advance", 163)
        self.state(page, "stale")
        self.assertRegex(page.locator("#connection").inner_text(), r"Stale since 2 min 4\d s")
        self.picture(page, "stale")

    def test_a_silent_monitor_is_down_and_its_return_is_noticed(self):
        harness = self.start()
        self.feed(harness, healthy=6)
        page = self.open(harness)
        self.state(page, "live")
        address = harness.address
        harness.stop()
        self.state(page, "down")
        self.until(page, "/not answering since ([3-9]|\\d\\d) s/.test(document.getElementById('connection').textContent)")
        self.assertIn("+0.020", self.card(page, "Index of co-adaptation").inner_text(), "the last figures stay")
        self.picture(page, "down")
        again = self.start()
        self.assertEqual(again.address, address, "a restarted monitor keeps its address")
        page.wait_for_selector("body:not([data-state=down])", timeout=20000)
        self.until(page, "document.querySelectorAll('#chart-index canvas').length > 0")

    def test_a_page_that_never_had_an_answer_says_so(self):
        harness = self.start()
        page = self.open(harness, path="style.css")
        html = urllib.request.urlopen(harness.url, timeout=5).read().decode()
        self.assertIn("Connecting to the monitor", html)
        page.route("**/api/report", lambda route: route.abort())
        page.goto(harness.url)
        self.state(page, "down")
        self.assertIn("Nothing was heard of it yet", page.locator("#connection").inner_text())

    # ---- what the reader can do -------------------------------------------------------------------

    def test_the_axis_is_env_steps_or_time_and_stands_in_the_address(self):
        harness = self.start()
        self.feed(harness, healthy=12)
        page = self.open(harness)
        page.wait_for_selector("#chart-index canvas")
        plot = page.locator("#chart-index .plot")
        plot.focus()
        page.keyboard.press("End")
        self.assertIn("env step 3,250: index 0.02", page.locator("#reading").inner_text())
        page.get_by_label("time", exact=True).check()
        self.assertIn("x=time", page.url)
        plot.focus()
        page.keyboard.press("End")
        self.assertRegex(page.locator("#reading").inner_text(), r"^\d\d:\d\d:\d\d: index")
        again = self.open(harness, path=page.url.removeprefix(harness.url))
        self.assertTrue(again.get_by_label("time", exact=True).is_checked())

    def test_smoothed_curves_come_with_the_raw_ones(self):
        harness = self.start()
        self.feed(harness, healthy=12)
        page = self.open(harness, path="#curves=smooth")
        page.wait_for_selector("#chart-index canvas")
        self.assertTrue(page.get_by_label("with smoothed").is_checked())
        # What is drawn is what uPlot holds: each curve twice.
        smooth = page.evaluate("import('/charts.js').then(({ smoothed }) => smoothed([0, 1, null, 1], 0.5))")
        self.assertEqual(smooth, [0, 0.5, None, 0.75])

    def test_everything_works_with_the_keyboard(self):
        harness = self.start()
        self.feed(harness, healthy=12)
        page = self.open(harness)
        page.wait_for_selector("#chart-index canvas")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "Skip to the charts")
        page.keyboard.press("Enter")
        self.until(page, "document.activeElement.id === 'charts'")
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("""() => { const e = document.activeElement;
                const outline = getComputedStyle(e).outlineStyle;
                return [e.closest('section, header, footer')?.id || e.closest('header, footer')?.tagName || '',
                        e.className || e.id || e.tagName, outline !== 'none' || e === document.body]; }""").__str__())
        text = "\n".join(reached)
        for part in ("chart-index', 'plot'", "chart-gap-curve', 'plot'", "log-filter", "FOOTER"):
            self.assertIn(part, text)
        self.assertNotIn("False]", text, "each shows that it has the focus")
        plot = page.locator("#chart-evidence .plot")
        plot.focus()
        page.keyboard.press("Home")
        first = page.locator("#reading").inner_text()
        page.keyboard.press("ArrowRight")
        self.assertNotEqual(page.locator("#reading").inner_text(), first)
        page.keyboard.press("+")
        self.assertIn("zoom=", page.url)
        page.keyboard.press("0")
        self.assertNotIn("zoom=", page.url)
        key = page.locator("#chart-index .keys button").first
        key.focus()
        page.keyboard.press("Enter")
        self.assertEqual(key.get_attribute("aria-pressed"), "false")
        self.assertTrue(page.evaluate("document.activeElement.getAttribute('aria-pressed') === 'false'"), "focus stays")

    def test_light_and_dark_follow_the_system_or_the_reader(self):
        harness = self.start()
        self.feed(harness, healthy=12, exploiting=14)
        background = "getComputedStyle(document.body).backgroundColor"
        light = self.open(harness)
        dark = self.open(harness, color_scheme="dark")
        self.assertEqual(dark.locator("html").get_attribute("data-theme"), "dark")
        self.assertNotEqual(light.evaluate(background), dark.evaluate(background))
        light.get_by_label("Theme").select_option("dark")
        self.assertEqual(light.evaluate(background), dark.evaluate(background))
        self.assertIn("theme=dark", light.url)
        dark.wait_for_selector("#chart-index canvas")
        self.picture(dark, "exploiting-dark")

    def test_text_stands_out_from_its_ground(self):
        harness = self.start()
        self.feed(harness, healthy=6, exploiting=14)
        for scheme in ("light", "dark"):
            page = self.open(harness, color_scheme=scheme)
            page.wait_for_selector("#chart-index canvas")
            weak = page.evaluate(CONTRAST)
            self.assertEqual(weak, [], scheme)

    def test_a_narrow_window_needs_no_sideways_scrolling(self):
        harness = self.start()
        self.feed(harness, healthy=12, exploiting=14)
        page = self.open(harness)
        page.set_viewport_size({"width": 360, "height": 740})
        page.wait_for_selector("#chart-index canvas")
        self.until(page, "document.documentElement.scrollWidth <= innerWidth")
        self.picture(page, "narrow")

    def test_the_data_can_be_taken(self):
        harness = self.start()
        self.feed(harness, healthy=3)
        page = self.open(harness)
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        with open(download.value.path(), encoding="utf-8", newline="") as file:
            lines = file.read().split("\r\n")
        self.assertEqual(len(lines), 5, "names, three checkpoints, the end")
        self.assertEqual(download.value.suggested_filename, "tandem.csv")

    # ---- overrides --------------------------------------------------------------------------------

    def test_a_run_without_a_token_shows_no_form_and_takes_no_override(self):
        harness = self.start()
        page = self.open(harness)
        self.state(page, "live")
        self.assertFalse(page.locator("#override").is_visible())
        request = urllib.request.Request(harness.url + "api/override", method="POST", headers={"Content-Type": "application/json"},
                                         data=b'{"knob": "real_share", "value": 0.5, "reason": "me", "token": ""}')
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        self.assertEqual(caught.exception.code, 403)

    def test_an_override_needs_the_token_and_is_logged(self):
        harness = self.start(token="a secret of many letters")
        self.feed(harness, healthy=6)
        page = self.open(harness)
        form = page.locator("#override")
        form.wait_for()
        form.get_by_label("Knob").select_option("real_share")
        self.assertIn("from 0 to 1", page.locator("#override-range").inner_text())
        form.get_by_label("Value").fill("0.5")
        form.get_by_label("Reason").fill("Ada: trying <b>more</b> real rows")
        form.get_by_label("Token").fill("a guess")
        form.get_by_role("button", name="Set").press("Enter")
        page.wait_for_selector("#override-result[data-ok=false]")
        self.assertIn("Refused", page.locator("#override-result").inner_text())
        self.assertIn("Every knob has its recipe's value", page.locator("#knobs-note").inner_text())
        form.get_by_label("Token").fill("a secret of many letters")
        form.get_by_role("button", name="Set").press("Enter")
        page.wait_for_selector("#override-result[data-ok=true]")
        row = page.locator("#knob-table tbody tr")
        row.wait_for()
        self.assertRegex(row.inner_text(), r"real share\s+0\.5\s+0\.05")
        self.assertIn("trying <b>more</b> real rows", row.inner_text(), "text, not markup")
        self.assertGreater(page.locator("#log-table tr[data-kind=override]").count(), 0)
        self.picture(page, "override")
        form.get_by_role("button", name="Give back").click()
        self.until(page, "document.getElementById('knobs-note').textContent.startsWith('Every knob')")


class LiveRunTest(DashboardPage):
    """A short run of all five services, watched from its first step to its report."""

    def test_a_run_is_watched_while_it_trains_and_its_report_agrees(self):
        run = Run(os.path.join(self.folder.name, "run"), "mbpo/pendulum.yaml", *SMALL, "stop.max_env_steps=100000",
                  "stop.return_at_least=1000")
        self.addCleanup(lambda: run.process.poll() is None and (run.process.kill(), run.process.communicate()))
        endpoints = run.wait_for(lambda: run.endpoints("monitor"), "endpoints of the monitor")
        self.url = f"http://{endpoints['dashboard']}/"
        page = self.open(self)
        self.state(page, "live")
        self.card(page, "Index of co-adaptation").locator(".scale").wait_for(timeout=60000)
        page.wait_for_selector("#chart-gaps canvas", timeout=30000)
        before = page.locator("#run-facts").inner_text()
        self.until(page, f"document.getElementById('run-facts').textContent !== {json.dumps(before)}")
        status = tandem("status", run.folder)
        self.assertIn(f"dashboard: {self.url}", status.stdout)
        self.assertRegex(status.stdout, r"verdict: [a-z ]+\. ")
        self.assertRegex(status.stdout, r"evidence for an alarm: ")
        told = json.loads(tandem("status", "--json", run.folder).stdout)
        self.assertEqual(told["dashboard"], self.url)
        self.assertIn(told["judgement"]["verdict"], ("warming_up", "healthy", "warning", "exploiting", "pessimistic"))

        os.kill(endpoints["pid"], signal.SIGKILL)  # the launcher starts it again at the same address
        page.locator("#log-table tr[data-kind=restart]").first.wait_for()
        self.state(page, "live")
        self.picture(page, "live-run")

        run.interrupt()
        run.finish(timeout=60)
        last = [record for record in run.records() if record["kind"] == "progress"][-1]
        report = self.open(None, f"file://{run.folder}/report.html")
        self.assertIn(last["verdict_sentence"], report.locator(".verdict").inner_text())
        self.assertIn("Evidence for an alarm", report.locator(".verdict").inner_text())
        self.assertGreater(report.locator("#evidence canvas").count(), 0)
        self.assertGreater(report.locator("#gaps canvas").count(), 0)
        self.assertIn("restart", report.locator("body").inner_text())
        self.picture(report, "report")


# Every visible text against what is behind it: below a ratio of 4.5 (3 for large text) it is weak.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > .5) return c; } return [255, 255, 255]; };
  const weak = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.hidden, .skip, svg, noscript, [hidden]')) continue;
    const style = getComputedStyle(e), a = light(parse(style.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) weak.push(`${e.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


if __name__ == "__main__":
    why = missing()
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    unittest.main()
