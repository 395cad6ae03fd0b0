"""Alerts and recording rules: valid, tested for firing and for silence, each with its runbook."""

import glob
import os
import re
import subprocess
import tempfile
import unittest

from monitoring import RECORDED, ROOT, RULE_TESTS, RULES, RUNBOOKS, alerts, has, promtool, read, records, \
    unknown_metrics

SECTIONS = ['## Meaning', '## Check', '## Likely causes', '## Do', '## Do not']
NEEDS_PROMTOOL = unittest.skipUnless(has('promtool'), 'promtool is not installed; ./dev installs it')
FIRING = 'expr: group by (alertname) (ALERTS{alertstate="firing"})'


def in_test_of(alert):
    return os.path.join(ROOT, 'tests', 'alerting', 'rules', f'{alert}.yml')


def without_comments(text):
    return re.sub(r'^\s*#.*$', '', text, flags=re.MULTILINE)


class RulesTest(unittest.TestCase):
    @NEEDS_PROMTOOL
    def test_promtool_accepts_them(self):
        code, said = promtool('check', 'rules', '--lint-fatal', *RULES)
        self.assertEqual(code, 0, said)

    @NEEDS_PROMTOOL
    def test_they_give_and_fire_what_they_should(self):
        code, said = promtool('test', 'rules', *RULE_TESTS)
        self.assertEqual(code, 0, said)

    @NEEDS_PROMTOOL
    def test_the_test_of_each_alert_notices_one_that_always_or_never_fires(self):
        for alert in alerts():
            for planted in ('vector(1)', 'vector(1) < 0'):
                with self.subTest(alert=alert, planted=planted), tempfile.TemporaryDirectory() as folder:
                    text, count = re.subn(rf'(- alert: {alert}\n        expr: )\|\n(?:          .*\n)+',
                                          rf'\g<1>{planted}\n', read(RULES[1]))
                    self.assertEqual(count, 1)
                    for name, content in (('alerts.yml', text), ('test.yml', read(in_test_of(alert)).replace(
                            '../../../deploy/prometheus/alerts.yml', 'alerts.yml').replace(
                            '../../../deploy/prometheus/rules.yml', RULES[0]))):
                        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
                            file.write(content)
                    code, said = promtool('test', 'rules', os.path.join(folder, 'test.yml'))
                    self.assertNotEqual(code, 0)
                    self.assertIn('got: ', said, 'it failed for another reason')

    def test_each_alert_is_tested_both_ways_against_all_alerts(self):
        for alert in alerts():
            with self.subTest(alert):
                text = read(in_test_of(alert))
                self.assertIn(f"""labels: '{{alertname="{alert}"}}'""", text)
                self.assertIn('exp_samples: []', text)
                expressions = set(re.findall(r'^ +(expr: .*)$', text, re.MULTILINE))
                self.assertEqual(expressions, {FIRING})

    def test_each_alert_says_what_the_reader_needs(self):
        for alert, text in alerts().items():
            with self.subTest(alert):
                self.assertRegex(text, r'\n        labels: \{severity: (critical|warning)\}\n')
                self.assertRegex(text, r'\n        keep_firing_for: \d+m\n')
                self.assertRegex(text, r'\n          summary: \S')
                self.assertRegex(text, r'\n          description: >-\n +\S')
                self.assertIn(f'\n          runbook_url: docs/runbooks/{alert}.md\n', text)
                dashboard = re.search(r'\n          dashboard_url: http://localhost:3000/d/([a-z-]+)', text).group(1)
                self.assertTrue(os.path.exists(
                    os.path.join(ROOT, 'deploy', 'grafana', 'dashboards', f'{dashboard}.json')), dashboard)

    def test_the_evidence_has_no_delay_and_its_threshold_is_not_copied(self):
        text = alerts()['TandemCoadaptationConfirmed']
        self.assertNotIn('\n        for:', text)
        self.assertIn('>= tandem_coadaptation_evidence_threshold_log10', text)

    def test_every_metric_exists(self):
        for path in RULES:
            with self.subTest(path):
                self.assertEqual(unknown_metrics(without_comments(read(path))), set())

    def test_every_recorded_name_has_three_parts_and_is_tested(self):
        tests = read(in_test_of('records'))
        self.assertTrue(records())
        for name in records():
            with self.subTest(name):
                self.assertRegex(name, f'^{RECORDED.pattern}$')
                self.assertIn(name, tests)


class RunbookTest(unittest.TestCase):
    def test_each_alert_has_one_and_each_one_an_alert(self):
        pages = {os.path.basename(path)[:-3] for path in glob.glob(os.path.join(RUNBOOKS, 'Tandem*.md'))}
        self.assertEqual(pages, set(alerts()))

    def test_each_has_its_sections_in_order(self):
        for alert in alerts():
            with self.subTest(alert):
                text = read(os.path.join(RUNBOOKS, f'{alert}.md'))
                self.assertTrue(text.startswith(f'# {alert}\n'))
                self.assertEqual(re.findall(r'^## .*$', text, re.MULTILINE), SECTIONS)

    def test_the_index_lists_all(self):
        index = read(os.path.join(RUNBOOKS, 'README.md'))
        self.assertEqual(sorted(re.findall(r'\]\((\w+)\.md\)', index)), sorted(alerts()))

    def test_metrics_named_exist(self):
        for path in glob.glob(os.path.join(RUNBOOKS, '*.md')):
            with self.subTest(path):
                code = '\n'.join(re.findall(r'`([^`]+)`', read(path)))
                self.assertEqual({name for name in unknown_metrics(code)
                                  if not os.path.exists(os.path.join(ROOT, 'services', name[len('tandem_'):]))},
                                 set())

    @NEEDS_PROMTOOL
    def test_queries_are_valid(self):
        rules = []
        for path in sorted(glob.glob(os.path.join(RUNBOOKS, 'Tandem*.md'))):
            queries = re.findall(r'```promql\n(.*?)```', read(path), re.DOTALL)
            self.assertTrue(queries, path)
            for query in ''.join(queries).strip().split('\n'):
                rules.append(f'      - record: a:b{len(rules)}:c\n        expr: |\n          {query}\n')
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'queries.yml')
            with open(path, 'w', encoding='utf-8') as file:
                file.write('groups:\n  - name: runbooks\n    rules:\n' + ''.join(rules))
            code, said = promtool('check', 'rules', path)
            self.assertEqual(code, 0, said)


class AlertmanagerTest(unittest.TestCase):
    CONFIG = os.path.join(ROOT, 'deploy', 'alertmanager', 'alertmanager.yml')

    @unittest.skipUnless(has('amtool'), 'amtool is not installed')
    def test_amtool_accepts_it_and_routes_by_severity(self):
        result = subprocess.run(['amtool', 'check-config', self.CONFIG], capture_output=True, text=True,
                                timeout=30, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        for severity, receiver in (('critical', 'page'), ('warning', 'ticket')):
            result = subprocess.run(['amtool', 'config', 'routes', 'test', f'--config.file={self.CONFIG}',
                                     f'severity={severity}', 'alertname=TandemRunStalled'],
                                    capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(result.stdout.strip(), receiver, result.stderr)

    def test_it_names_only_alerts_that_exist(self):
        named = set(re.findall(r'\bTandem\w+', without_comments(read(self.CONFIG))))
        self.assertTrue(named)
        self.assertEqual(named - set(alerts()), set())

    def test_receivers_of_routes_exist(self):
        text = read(self.CONFIG)
        self.assertEqual(set(re.findall(r'receiver: (\w+)', text)), set(re.findall(r'- name: (\w+)', text)))


if __name__ == '__main__':
    unittest.main()
