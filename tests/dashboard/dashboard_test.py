"""The dashboard in Chromium, over the monitor's real judge and web server: what it says."""

import json
import os
import signal
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "system"))
from run import SMALL, Run, tandem  # noqa: E402
from page import DashboardPage, checkpoint, main  # noqa: E402


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
        harness.tell("checkpoint", checkpoint(1, index=0, gap_100=None))
        page = self.open(harness)
        index = self.card(page, "Index of co-adaptation")
        index.locator(".value >> text=0").wait_for()
        self.assertRegex(index.locator(".value").inner_text(), r"^0\b")
        self.assertEqual(index.get_attribute("data-level"), "fine")
        self.assertEqual(index.locator(".nodata").count(), 0)
        self.assertEqual(self.card(page, "Gap over 100 steps").locator(".nodata").inner_text(), "no data yet")

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
        self.until(page, "/has not answered for ([3-9]|\\d\\d) s/.test(document.getElementById('connection').textContent)")
        self.assertIn("+0.020", self.card(page, "Index of co-adaptation").inner_text(), "the last figures stay")
        self.picture(page, "down")
        again = self.start()
        self.assertEqual(again.address, address, "a restarted monitor keeps its address")
        page.wait_for_selector("body:not([data-state=down])", timeout=20000)
        self.until(page, "document.querySelectorAll('#chart-index canvas').length > 0")

    def test_the_end_of_the_run_is_no_failure(self):
        harness = self.start()
        self.feed(harness, healthy=6)
        page = self.open(harness)
        self.state(page, "live")
        harness.tell("end", {"outcome": "done", "reason": "goal reached", "report": "/runs/x/report.html"})
        self.state(page, "over")
        unanswered = []
        page.on("requestfailed", lambda request: unanswered.append(request.url))
        harness.stop()
        end = time.monotonic() + 30
        while len(unanswered) < 3:  # 1, 2 and 4 s after the last answer; silent for 2.5 s a monitor is down
            self.assertLess(time.monotonic(), end, "the page has stopped asking")
            page.wait_for_timeout(50)
        self.assertEqual(page.locator("body").get_attribute("data-state"), "over")
        self.assertIn("ended with the run", page.locator("#freshness").inner_text())
        said = page.locator("#connection").inner_text()
        self.assertIn("The run is over: goal reached.", said)
        self.assertIn("/runs/x/report.html", said)
        self.assertNotIn("not answered", said)
        self.assertIn("Last verdict", page.locator("#verdict-title").inner_text())
        self.picture(page, "over")

    def test_a_page_that_never_had_an_answer_says_so(self):
        harness = self.start()
        page = self.open(harness, path="style.css")
        html = urllib.request.urlopen(harness.url, timeout=5).read().decode()
        self.assertIn("Connecting to the monitor", html)
        page.route("**/api/report", lambda route: route.abort())
        page.goto(harness.url)
        self.state(page, "down")
        self.assertIn("Nothing was heard of it yet", page.locator("#connection").inner_text())


class LiveRunTest(DashboardPage):
    """A short run of all five services, watched from its first step to its report."""

    def test_a_run_is_watched_while_it_trains_and_its_report_agrees(self):
        run = Run(os.path.join(self.folder.name, "run"), "mbpo/pendulum.yaml", *SMALL, "stop.max_env_steps=100000",
                  "stop.return_at_least=1000")
        self.addCleanup(lambda: run.process.poll() is None and (run.process.kill(), run.process.communicate()))
        endpoints = run.wait_for(lambda: run.endpoints("monitor"), "endpoints of the monitor")
        self.url = f"http://{endpoints['dashboard']}/"
        page = self.open(self, longest_pause_ms=200)  # a monitor that ends answers for 1.5 s
        self.state(page, "live")
        self.card(page, "Index of co-adaptation").locator(".scale").wait_for(timeout=60000)
        for chart in ("gaps", "evidence"):
            page.wait_for_selector(f"#chart-{chart} canvas", timeout=60000)
        before = page.locator("#run-facts").inner_text()
        self.until(page, f"document.getElementById('run-facts').textContent !== {json.dumps(before)}")
        status = tandem("status", run.folder)
        self.assertIn(f"dashboard: {self.url}", status.stdout)
        self.assertRegex(status.stdout, r"verdict: [a-z ]+\. ")
        self.assertRegex(status.stdout, r"evidence for an alarm: ")
        told = json.loads(tandem("status", "--json", run.folder).stdout)
        self.assertEqual(told["dashboard"], self.url)
        self.assertIn(told["judgement"]["verdict"], ("warming_up", "healthy", "warning", "exploiting", "pessimistic", "void"))

        os.kill(endpoints["pid"], signal.SIGKILL)  # the launcher starts it again at the same address
        page.locator("#log-table tr[data-kind=restart]").first.wait_for()
        self.state(page, "live")
        self.picture(page, "live-run")

        run.interrupt()
        self.state(page, "over")
        run.finish(timeout=60)
        self.assertIn(f"The run was interrupted. Its report: {run.folder}/report.html",
                      page.locator("#connection").inner_text())
        last = [record for record in run.records() if record["kind"] == "progress"][-1]
        report = self.open(None, f"file://{run.folder}/report.html")
        self.assertIn(last["verdict_sentence"], report.locator(".verdict").inner_text())
        self.assertIn("Evidence for an alarm", report.locator(".verdict").inner_text())
        self.assertGreater(report.locator("#evidence canvas").count(), 0)
        self.assertGreater(report.locator("#gaps canvas").count(), 0)
        self.assertIn("restart", report.locator("body").inner_text())
        self.picture(report, "report")


if __name__ == "__main__":
    main()
