"""A real Prometheus reads the five services of a real run with the rules that are deployed.

The `for` of alerts is shortened to 8 s: Prometheus itself takes 5 s until it begins to scrape. Nothing else is changed.
"""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

from dashboards_test import GRAFANA, expressions, load, substituted
from metrics_test import gauges_out_of_range
from monitoring import ROOT, RULES, RUNBOOKS, alerts, has, read, records
from panels_coadaptation import JOINT

sys.path.insert(0, os.path.join(ROOT, 'tests', 'system'))
from run import SMALL, Run, tandem, wait_for  # noqa: E402

MEMBERS = ('replay_buffer', 'model_trainer', 'policy_trainer', 'actor-0', 'monitor')
DEPLOYED = os.path.join(ROOT, 'deploy', 'compose', 'prometheus.yml')

# Annotations mark changes, and nothing carries the verdict of a sound run.
JOINT_OBJECTIVE = {panel['title'] for panel in JOINT}  # served only where a run has it
MAY_BE_EMPTY = {'Action', 'Refit', 'Restart', 'Carried by', *JOINT_OBJECTIVE}


class Prometheus:
    """Prometheus with the deployed configuration and rules, but other targets and shorter intervals."""

    def __init__(self, folder, targets):
        os.makedirs(os.path.join(folder, 'rules'))
        for path in RULES:
            text = re.sub(r'^        for: .*$', '        for: 8s', read(path), flags=re.MULTILINE)
            with open(os.path.join(folder, 'rules', os.path.basename(path)), 'w', encoding='utf-8') as file:
                file.write(text)
        text = re.sub(r'(_interval): \d+s', r'\1: 500ms', read(DEPLOYED))
        text, count = re.subn(r'(      - targets:\n)(?:          - .*:7001\n)+',
                              lambda match: match.group(1) + ''.join(f'          - {t}\n' for t in targets), text)
        assert count == 1, 'the targets of deploy/compose/prometheus.yml are written in another way'
        text = text.replace('/etc/prometheus/rules', os.path.join(folder, 'rules'))
        with open(os.path.join(folder, 'prometheus.yml'), 'w', encoding='utf-8') as file:
            file.write(text)
        self.log = os.path.join(folder, 'log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                ['prometheus', f'--config.file={folder}/prometheus.yml', f'--storage.tsdb.path={folder}/data',
                 '--web.listen-address=127.0.0.1:0'], stdout=log, stderr=log)
        self.address = wait_for(self.listening, 'Prometheus')

    def listening(self):
        text = read(self.log)
        if self.process.poll() is not None:
            raise AssertionError(text)
        found = re.search(r'msg="Listening on" address=(\S+)', text)
        return found and 'ready to receive web requests' in text and found.group(1)

    def ask(self, path, **arguments):
        url = f'http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}'
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)['data']

    def query(self, expression):
        """The samples of an instant query: (labels, value)."""
        return [(sample['metric'], float(sample['value'][1]))
                for sample in self.ask('query', query=expression)['result']]

    def alerts(self, state='firing'):
        """(name, instance) of each alert in that state."""
        return {(alert['labels']['alertname'], alert['labels'].get('instance'))
                for alert in self.ask('alerts')['alerts'] if alert['state'] == state}

    def evaluations_from_now(self, count=3):
        """Waits until every rule has been evaluated so many times more."""
        def stamps():
            return [rule['lastEvaluation'] for group in self.ask('rules')['groups'] for rule in group['rules']]
        for _ in range(count):
            before = stamps()
            wait_for(lambda b=before: all(new > old for new, old in zip(stamps(), b)), 'evaluation of the rules')

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@unittest.skipUnless(has('prometheus'), 'prometheus is not installed; ./dev installs it')
class PrometheusTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='tandem-alerts-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def prometheus(self, targets):
        prometheus = Prometheus(os.path.join(self.folder, 'prometheus'), targets)
        self.addCleanup(prometheus.stop)
        return prometheus

    def assert_rules_work(self, prometheus):
        rules = [rule for group in prometheus.ask('rules')['groups'] for rule in group['rules']]
        self.assertEqual({rule['name'] for rule in rules}, set(alerts()) | records())
        for rule in rules:
            self.assertEqual((rule['health'], rule.get('lastError')), ('ok', None), rule['name'])

    def assert_panels_have_data(self, prometheus):
        """NaN is data too: the monitor says so where it does not know yet."""
        for name in os.listdir(os.path.join(GRAFANA, 'dashboards')):
            with self.subTest(name):
                empty = {where for where, expression in expressions(load(name))
                         if not prometheus.query(substituted(expression))}
                self.assertEqual(empty - MAY_BE_EMPTY, set())

    def assert_gauges_are_in_their_ranges(self, addresses):
        for member, address in addresses.items():
            with urllib.request.urlopen(f'http://{address}/metrics', timeout=10) as page:
                self.assertEqual(gauges_out_of_range(page.read().decode()), [], member)

    def test_a_sound_run_is_silent_and_a_hanging_process_is_named(self):
        run = Run(os.path.join(self.folder, 'run'), 'mbpo/cartpole_continuous.yaml', *SMALL,
                  'stop.max_env_steps=1000000')

        def end():
            if run.process.poll() is None:
                run.interrupt()
                run.finish(timeout=30)
        self.addCleanup(end)
        endpoints = {member: run.wait_for(lambda m=member: run.endpoints(m), f'endpoints of {member}')
                     for member in MEMBERS}
        address = {member: endpoints[member]['metrics'] for member in MEMBERS}
        prometheus = self.prometheus(address.values())

        wait_for(lambda: sorted(labels['instance'] for labels, value in prometheus.query('up == 1'))
                 == sorted(address.values()), 'scrape of all five services')
        wait_for(lambda: [v for _, v in prometheus.query('run:tandem_replay_steps:rate1m') if v > 0],
                 'rate of stored steps')
        wait_for(lambda: [v for _, v in prometheus.query('tandem_model_trainer_fits_total') if v > 0],
                 'first fit of the model')
        prometheus.evaluations_from_now()
        self.assert_rules_work(prometheus)
        # A run may be judged as anything; that it runs is not in doubt.
        verdicts = {'TandemCoadaptationConfirmed', 'TandemCoadaptationWarning', 'TandemModelPessimismFault',
                    'TandemNoVerdict'}
        self.assertEqual({alert for alert in prometheus.alerts() if alert[0] not in verdicts}, set())
        verdict = prometheus.query('sum without (verdict) (tandem_coadaptation_verdict)')
        self.assertEqual([(labels['instance'], value) for labels, value in verdict], [(address['monitor'], 1.0)])

        self.assert_panels_have_data(prometheus)
        self.assert_gauges_are_in_their_ranges(address)

        hanging = endpoints['model_trainer']['pid']
        os.kill(hanging, signal.SIGSTOP)
        try:
            expected = {('TandemTargetDown', address['model_trainer'])}
            wait_for(lambda: expected <= prometheus.alerts(), 'alert on the process that hangs')
            prometheus.evaluations_from_now()
            self.assertEqual({alert for alert in prometheus.alerts() if alert[0] not in verdicts}, expected)
        finally:
            os.kill(hanging, signal.SIGCONT)
        wait_for(lambda: len(prometheus.query('up == 1')) == len(MEMBERS), 'scrape of the process that hung')

        run.interrupt()
        code, _, err = run.finish(timeout=30)
        self.assertEqual(code, 130, err)

    def test_figures_of_a_confirmed_coadaptation_fire_that_alert_alone(self):
        page = {'text': ''}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = page['text'].encode()
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        def figures(evidence, verdict):
            lines = [f'tandem_coadaptation_evidence_log10 {evidence}', 'tandem_coadaptation_index_ratio 0.31',
                     'tandem_coadaptation_evidence_threshold_log10 2.30103',
                     f'tandem_coadaptation_last_update_timestamp_seconds {time.time()}']
            lines += [f'tandem_coadaptation_verdict{{verdict="{name}"}} {int(name == verdict)}'
                      for name in ('warming_up', 'healthy', 'warning', 'exploiting', 'pessimistic', 'stale', 'void')]
            page['text'] = '\n'.join(lines) + '\n'

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))
        instance = f'127.0.0.1:{server.server_port}'

        figures(2.3, 'healthy')
        prometheus = self.prometheus([instance])
        wait_for(lambda: prometheus.query('tandem_coadaptation_evidence_log10'), 'first scrape')
        prometheus.evaluations_from_now()
        self.assertEqual(prometheus.alerts(), set())

        figures(2.31, 'exploiting')
        expected = {('TandemCoadaptationConfirmed', instance)}
        wait_for(lambda: expected <= prometheus.alerts(), 'alert on a confirmed co-adaptation')
        prometheus.evaluations_from_now()
        self.assertEqual(prometheus.alerts(), expected)
        alert, = prometheus.ask('alerts')['alerts']
        self.assertEqual(alert['labels']['severity'], 'critical')
        self.assertIn('10^2.3', alert['annotations']['description'])
        self.assertTrue(os.path.exists(os.path.join(ROOT, alert['annotations']['runbook_url'])))


class RunbookCommandsTest(unittest.TestCase):
    def test_the_commands_of_runbooks_exist(self):
        commands = set()
        for alert in alerts():
            commands |= set(re.findall(r'(?:^|`)tandem ((?:knob )?[a-z]+) ',
                                       read(os.path.join(RUNBOOKS, f'{alert}.md')), re.MULTILINE))
        self.assertIn('status', commands)
        for command in commands:
            with self.subTest(command):
                result = tandem(*command.split(), '--help')
                self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
