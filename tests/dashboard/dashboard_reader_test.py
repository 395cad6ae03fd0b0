"""The dashboard in Chromium: what its reader can do."""

import os
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from page import DashboardPage, main  # noqa: E402


class DashboardReaderTest(DashboardPage):
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
    main()
