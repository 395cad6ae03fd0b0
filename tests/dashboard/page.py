"""What the tests of the dashboard share: a dashboard with figures, and a browser that looks at it.

With TANDEM_SCREENSHOTS set to a folder they also leave pictures there, to be looked at.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SCREENSHOTS = os.environ.get("TANDEM_SCREENSHOTS")
BINARIES = os.path.join(os.environ["TANDEM_BINARY_DIR"], "bin")
CHROMIUM = os.environ.get("TANDEM_CHROMIUM") or shutil.which("chromium")


def missing():
    """Why the page cannot be tested here; None where it can."""
    if CHROMIUM is None:
        return "Chromium is not installed (Debian's package chromium)"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed (packages/python-browser.txt)"
    return None


class Harness:
    """The monitor's judge and dashboard as a process that is fed by commands; see harness.cc."""

    def __init__(self, folder, token="", address="127.0.0.1:0"):
        token_file = ""
        if token:
            token_file = os.path.join(folder, "token")
            with open(os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                      encoding="utf-8") as file:
                file.write(token + "\n")
        self.process = subprocess.Popen(
            [os.path.join(BINARIES, "dashboard_harness"), address, folder, token_file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise AssertionError(self.process.communicate()[1])

    @property
    def url(self):
        return f"http://{self.address}/"

    def tell(self, command, argument=None):
        text = command if argument is None else f"{command} {argument if isinstance(argument, (int, float)) else json.dumps(argument)}"
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "done", self.process.communicate()[1]

    def stop(self):
        """As a monitor that dies: at once, without a word."""
        self.process.kill()
        self.process.communicate()


def checkpoint(number, **figures):
    """A checkpoint of a healthy run; `figures` replace or, with None, take away."""
    steps = 250 * (number + 1)
    known = {
        "number": number, "env_steps": steps, "model_env_steps": steps - 250, "policy_updates": 10 * steps,
        "model_version": number, "policy_version": 5 * number, "fresh_steps": 250, "fresh_episodes": 5,
        "wall_seconds": 1.7e9 + 20 * number,
        "index": 0.02, "index_reward": 0.01, "index_dynamics": 0.01, "index_termination": 0, "index_error": 0.01,
        "residual": 0.03, "clipped_share": 0,
        "gap_5": 0.01, "gap_25": 0.02, "gap_100": 0.03, "gap_episode": 0.03, "gap_episode_error": 0.02,
        "model_return": 512, "real_return": 500, "return_scale": 480, "evaluation_return": 540,
        "error_onpolicy": 0.21, "error_heldout": 0.2, "error_ratio": 1.05,
        "open_loop_1": 0.2, "open_loop_5": 0.3, "open_loop_10": 0.4, "open_loop_20": 0.6,
        "coverage_onpolicy": 0.88, "coverage_heldout": 0.89, "visibility": 0.4, "disagreement_ratio": 1.2,
        "c2st_auc": 0.6, "effective_sample_share": 0.5, "policy_shift": 0.2,
        "horizon": 4, "real_share": 0.05, "pessimism": 0, "update_to_data": 10,
    }
    known.update(figures)
    return {name: value for name, value in known.items() if value is not None}


def exploited(number):
    """A checkpoint at which the policy looks far better in the model than it is."""
    return checkpoint(number, index=0.6, index_dynamics=0.58, gap_5=0.2, gap_25=0.5, gap_100=0.8,
                      gap_episode=0.9, model_return=900, real_return=470)


class DashboardPage(unittest.TestCase):
    """A browser, and a dashboard in a folder of its own. A page that breaks its rules fails the test."""

    @classmethod
    def setUpClass(cls):
        from playwright.sync_api import sync_playwright
        cls.player = sync_playwright().start()
        cls.addClassCleanup(cls.player.stop)
        # No sandbox: it needs rights that a container does not have, and the page is our own.
        cls.browser = cls.player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="td")
        self.addCleanup(self.folder.cleanup)
        self.complaints = []

    def start(self, **options):
        harness = Harness(self.folder.name, **options)
        self.addCleanup(harness.stop)
        return harness

    def open(self, harness, path="", longest_pause_ms=None, **options):
        """longest_pause_ms: the page's timers wait no longer, so that it asks more often than each second."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.addCleanup(context.close)
        page = context.new_page()
        if longest_pause_ms is not None:
            page.add_init_script("{ const wait = setTimeout; window.setTimeout = (what, ms, ...rest) => "
                                 f"wait(what, Math.min(ms, {longest_pause_ms}), ...rest); }}")
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


def main():
    """Runs the tests of the script, or says why they cannot be run."""
    why = missing()
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    unittest.main()
