"""The dashboards against the rules of Grafana's dashboard linter that can be checked without Grafana."""

import json
import os
import re
import sys
import tempfile
import unittest

from monitoring import NAME, RECORDED, ROOT, RUNBOOKS, alerts, documented, has, promtool, read, records, \
    unknown_metrics

GRAFANA = os.path.join(ROOT, 'deploy', 'grafana')
sys.dont_write_bytecode = True  # the sources stay as they are
sys.path.insert(0, GRAFANA)
import generate  # noqa: E402

SELECTOR = re.compile(r'([a-z_:][a-z0-9_:]*)\{([^}]*)\}')
# Functions that may see a counter at once.
OVER_TIME = re.compile(r'(?:rate|increase|changes)\(([a-z0-9_]+)\{')


def load(name):
    return json.loads(read(os.path.join(GRAFANA, 'dashboards', name)))


def panels(dashboard):
    return [panel for panel in dashboard['panels'] if panel['type'] != 'row']


def expressions(dashboard):
    """Every expression with where it stands."""
    for panel in panels(dashboard):
        for target in panel['targets']:
            yield panel['title'], target['expr']
    for annotation in dashboard['annotations']['list']:
        yield annotation['name'], annotation['expr']


def substituted(expression):
    """As Grafana sends it when everything is chosen."""
    for name, value in (('$__rate_interval', '1m'), ('$job', '.+'), ('$instance', '.+'), ('$run', '.*')):
        expression = expression.replace(name, value)
    return expression


class DashboardsTest(unittest.TestCase):
    def setUp(self):
        names = sorted(os.listdir(os.path.join(GRAFANA, 'dashboards')))
        self.dashboards = {name: load(name) for name in names}

    def for_each_panel(self, check):
        for name, dashboard in self.dashboards.items():
            for panel in panels(dashboard):
                with self.subTest(dashboard=name, panel=panel['title']):
                    check(panel)

    def for_each_expression(self, check):
        for name, dashboard in self.dashboards.items():
            for where, expression in expressions(dashboard):
                with self.subTest(dashboard=name, panel=where):
                    check(expression)

    def test_they_are_what_the_generator_writes(self):
        self.assertEqual({name: read(os.path.join(GRAFANA, 'dashboards', name)) for name in self.dashboards},
                         generate.dashboards(), 'run deploy/grafana/generate.py')

    def test_they_are_fixed(self):
        for name, dashboard in self.dashboards.items():
            self.assertEqual(dashboard['uid'], name[:-len('.json')])
            self.assertLessEqual(len(dashboard['uid']), 40)
            self.assertIs(dashboard['editable'], False)
            self.assertEqual(dashboard['refresh'], '10s')

    def test_variables(self):
        for name, dashboard in self.dashboards.items():
            with self.subTest(name):
                variables = {variable['name']: variable for variable in dashboard['templating']['list']}
                self.assertEqual((variables['datasource']['type'], variables['datasource']['query']),
                                 ('datasource', 'prometheus'))
                for wanted in ('job', 'instance', 'run'):
                    variable = variables[wanted]
                    self.assertEqual(variable['type'], 'query')
                    self.assertEqual(variable['datasource']['uid'], '${datasource}')
                    self.assertEqual(variable['refresh'], 2, 'follows the time range')
                    self.assertTrue(variable['multi'] and variable['includeAll'] and variable['label'])
                    self.assertEqual(variable['allValue'], '.*' if wanted == 'run' else '.+')
                used = set(re.findall(r'\$\{?([a-z]\w*)', json.dumps(dashboard)))
                self.assertEqual(used - set(variables), set())

    def test_each_panel_explains_itself(self):
        def check(panel):
            self.assertTrue(panel['title'] and panel['description'] and panel['targets'])
            self.assertTrue(panel['fieldConfig']['defaults']['unit'])
            self.assertEqual(panel['datasource']['uid'], '${datasource}')
            self.assertIn(panel['type'], ('timeseries', 'stat', 'state-timeline'))
            for target in panel['targets']:
                self.assertEqual(target['datasource']['uid'], '${datasource}')
                self.assertTrue(target['legendFormat'])

        self.for_each_panel(check)

    def test_titles_and_numbers_are_given_once(self):
        for dashboard in self.dashboards.values():
            for field in ('title', 'id'):
                values = [panel[field] for panel in panels(dashboard)]
                self.assertEqual(len(values), len(set(values)))

    def test_nothing_is_stacked_and_thresholds_are_drawn(self):
        drawn = []

        def check(panel):
            defaults = panel['fieldConfig']['defaults']
            values = [step['value'] for step in defaults['thresholds']['steps']]
            self.assertIsNone(values[0])
            self.assertEqual(values[1:], sorted(values[1:]))
            if panel['type'] == 'timeseries':
                self.assertEqual(defaults['custom']['stacking']['mode'], 'none')
                self.assertEqual(defaults['custom']['thresholdsStyle']['mode'], 'line' if values[1:] else 'off')
                drawn.append(len(values) > 1)

        self.for_each_panel(check)
        self.assertGreater(sum(drawn), 10)

    def test_panels_do_not_overlap(self):
        for dashboard in self.dashboards.values():
            taken = set()
            for panel in dashboard['panels']:
                place = panel['gridPos']
                cells = {(place['x'] + i, place['y'] + j) for i in range(place['w']) for j in range(place['h'])}
                self.assertFalse(cells & taken, panel['title'])
                self.assertLessEqual(place['x'] + place['w'], 24)
                taken |= cells

    def test_every_selector_has_the_variables(self):
        def check(expression):
            selectors = SELECTOR.findall(expression)
            self.assertTrue(selectors)
            for _, matchers in selectors:
                self.assertIn('job=~"$job"', matchers)
                self.assertIn('instance=~"$instance"', matchers)
            bare = SELECTOR.sub('', expression)
            self.assertEqual(NAME.findall(bare) + RECORDED.findall(bare), [], 'a metric without matchers')

        self.for_each_expression(check)

    def test_every_range_fits_the_scrapes(self):
        def check(panel):
            for target in panel['targets']:
                for window in re.findall(r'rate\([^)]*\[([^]]+)\]', target['expr']):
                    self.assertEqual(window, '$__rate_interval')

        self.for_each_panel(check)

    def test_counters_are_seen_over_time_and_nothing_else_is(self):
        table = documented()
        def check(expression):
            over_time = OVER_TIME.findall(expression)
            for name in NAME.findall(RECORDED.sub('', expression)):
                base = re.sub(r'_(bucket|sum|count)$', '', name)
                kind, _ = table.get(name) or table.get(base) or (None, None)
                # What is not documented is another test's business; a start that changes is a restart.
                if kind and name != 'process_start_time_seconds':
                    self.assertEqual(name in over_time, kind in ('counter', 'histogram'), name)

        self.for_each_expression(check)

    def test_every_metric_exists(self):
        def check(expression):
            self.assertEqual(unknown_metrics(expression), set())

        self.for_each_expression(check)

    @unittest.skipUnless(has('promtool'), 'promtool is not installed; ./dev installs it')
    def test_promtool_reads_every_expression(self):
        everything = [expression for name in self.dashboards for _, expression in expressions(self.dashboards[name])]
        rules = [{'record': f'panel:number{number}:value', 'expr': substituted(expression)}
                 for number, expression in enumerate(everything)]
        self.assertNotIn('$', json.dumps(rules))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'rules.yml')  # JSON is YAML
            for planted in (None, {'record': 'planted:fault:value', 'expr': 'rate(up)'}):
                with open(path, 'w', encoding='utf-8') as file:
                    json.dump({'groups': [{'name': 'panels', 'rules': rules + ([planted] if planted else [])}]}, file)
                code, said = promtool('check', 'rules', path)
                self.assertEqual(code != 0, planted is not None, said)

    def test_every_alert_is_linked_from_a_panel_of_the_dashboard_that_it_names(self):
        linked = set()
        for name, dashboard in self.dashboards.items():
            for panel in panels(dashboard):
                for link in panel['links']:
                    alert = re.fullmatch(r'\$\{runbooks\}/(\w+)\.md', link['url']).group(1)
                    self.assertTrue(os.path.exists(os.path.join(RUNBOOKS, f'{alert}.md')), alert)
                    linked.add((alert, name[:-len('.json')]))
        named = {(alert, re.search(r'/d/([a-z-]+)', text).group(1)) for alert, text in alerts().items()}
        self.assertEqual(named - linked, set())

    def test_every_recording_rule_is_used(self):
        used = ''.join(json.dumps(dashboard) for dashboard in self.dashboards.values())
        used += ''.join(alerts().values())
        used += ''.join(read(os.path.join(RUNBOOKS, page)) for page in os.listdir(RUNBOOKS))
        self.assertEqual({name for name in records() if name not in used}, set())

    def test_compose_mounts_what_grafana_is_told(self):
        compose = read(os.path.join(ROOT, 'deploy', 'compose', 'compose.yaml'))
        provider = read(os.path.join(GRAFANA, 'provisioning', 'dashboards', 'tandem.yaml'))
        folder = re.search(r'path: (\S+)', provider).group(1)
        self.assertIn(f'../grafana/dashboards:{folder}:ro', compose)
        self.assertIn('../grafana/provisioning:/etc/grafana/provisioning:ro', compose)
        self.assertIn('allowUiUpdates: false', provider)
        source = read(os.path.join(GRAFANA, 'provisioning', 'datasources', 'prometheus.yaml'))
        self.assertIn('uid: tandem-prometheus', source)
        variable = re.search(r'url: \$(\w+)', source).group(1)
        self.assertRegex(compose, rf'{variable}: http://prometheus:9090')
        self.assertIn('"tandem-prometheus"', json.dumps(self.dashboards))


if __name__ == '__main__':
    unittest.main()
