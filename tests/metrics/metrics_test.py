"""Holds docs/metrics.md against the code: starts the five services and reads their /metrics pages."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = os.environ['TANDEM_SOURCE_DIR']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'system'))
from run import BINARIES, wait_for  # noqa: E402

SERVICES = ('replay_buffer', 'model_trainer', 'policy_trainer', 'actor', 'monitor')

ROW = re.compile(r'^\| `([a-z0-9_]+)` \|(.*)\|$', re.MULTILINE)
ADDED = re.compile(r'Add(?:Counter|Gauge|Histogram)\(\s*"([a-z0-9_]+)"')
SAMPLE = re.compile(r'^([a-z0-9_]+)(?:\{(.*)\})? ')
LABEL = re.compile(r'([a-z_]+)="')


def documented():
    """Name -> (kind, set of labels), as docs/metrics.md has them."""
    with open(os.path.join(ROOT, 'docs', 'metrics.md'), encoding='utf-8') as file:
        text = file.read()
    table = {}
    for name, rest in ROW.findall(text):
        cells = [cell.strip() for cell in rest.split('|')]
        assert len(cells) == 5, f'{name}: expected kind, unit, labels, meaning and reading'
        kind, unit, labels, meaning, reading = cells
        assert name not in table, f'{name} stands twice in docs/metrics.md'
        assert kind in ('counter', 'gauge', 'histogram'), f'{name}: {kind} is no kind'
        assert unit and meaning and reading, f'{name}: an empty cell'
        table[name] = (kind, set() if labels == '-' else set(labels.split(', ')))
    return table


def parse(page):
    """Name -> (kind, set of labels), as a page in Prometheus' text format has them."""
    families = {}
    kind = name = None
    for line in page.splitlines():
        if line.startswith('# TYPE '):
            name, kind = line.split()[2:4]
            families[name] = (kind, set())
        elif line and not line.startswith('#'):
            labels = set(LABEL.findall(SAMPLE.match(line).group(2) or ''))
            families[name][1].update(labels - {'le'} if kind == 'histogram' else labels)
    return {name: family for name, family in families.items() if not name.startswith('exposer_')}


def named_in_sources():
    """The names that the sources write out where they make a metric; some are put together instead."""
    names = set()
    for top in ('common', 'services'):
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            for name in files:
                if name.endswith('.cc') and not name.endswith('_test.cc'):
                    with open(os.path.join(folder, name), encoding='utf-8') as file:
                        names.update(ADDED.findall(file.read()))
    return names


def start(folder, service):
    overrides = ['env.name=pendulum', f'endpoints.listen=unix:{folder}/{service}.sock',
                 'endpoints.metrics=127.0.0.1:0', f'endpoints.state_dir={folder}/{service}']
    overrides += [f'endpoints.{peer}=unix:{folder}/{peer}.sock' for peer in SERVICES if peer != 'actor']
    with open(f'{folder}/{service}.log', 'wb') as log:
        return subprocess.Popen([os.path.join(BINARIES, f'tandem_{service}'), *overrides],
                                stdout=log, stderr=log)


def metrics_address(folder, service, process):
    try:
        with open(f'{folder}/{service}/endpoints.json', encoding='utf-8') as file:
            return json.load(file)['metrics']
    except (FileNotFoundError, json.JSONDecodeError):
        if process.poll() is not None:
            with open(f'{folder}/{service}.log', encoding='utf-8', errors='replace') as log:
                raise AssertionError(f'{service} ended with {process.returncode}\n{log.read()}') from None
        return None


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.documented = documented()
        cls.served = {}
        with tempfile.TemporaryDirectory(prefix='tm') as folder:  # short: it holds sockets
            processes = {service: start(folder, service) for service in SERVICES}
            try:
                for service, process in processes.items():
                    address = wait_for(lambda s=service, p=process: metrics_address(folder, s, p),
                                       f'endpoints.json of {service}')
                    with urllib.request.urlopen(f'http://{address}/metrics', timeout=10) as page:
                        cls.served[service] = parse(page.read().decode())
            finally:
                for process in processes.values():
                    process.terminate()
                for process in processes.values():
                    process.wait(timeout=30)

    def test_every_metric_served_is_documented_as_it_is(self):
        for service, families in self.served.items():
            self.assertIn('tandem_build_info', families)
            for name, family in families.items():
                with self.subTest(service=service, metric=name):
                    self.assertIn(name, self.documented, 'served, but not in docs/metrics.md')
                    self.assertEqual(self.documented[name], family)

    def test_every_metric_named_in_the_sources_is_documented(self):
        self.assertEqual(named_in_sources() - set(self.documented), set())

    def test_every_metric_documented_exists(self):
        # A few are made only when a process has met its peers: those are in the sources by name.
        served = set().union(*self.served.values())
        self.assertEqual(set(self.documented) - served - named_in_sources(), set())


if __name__ == '__main__':
    unittest.main()
