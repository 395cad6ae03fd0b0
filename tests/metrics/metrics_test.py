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
SAMPLE = re.compile(r'^([a-z0-9_]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="')


NUMBER = r'(-?\d+(?:\.\d+)?)'
RANGE = re.compile(rf'any|1|0 or 1|>= {NUMBER}|> {NUMBER}|{NUMBER} to {NUMBER}')


def rows():
    """Name -> (kind, unit, range, labels, meaning, reading), as docs/metrics.md has them."""
    with open(os.path.join(ROOT, 'docs', 'metrics.md'), encoding='utf-8') as file:
        text = file.read()
    table = {}
    for name, rest in ROW.findall(text):
        cells = [cell.strip() for cell in rest.split('|')]
        assert len(cells) == 6, f'{name}: expected kind, unit, range, labels, meaning and reading'
        assert name not in table, f'{name} stands twice in docs/metrics.md'
        assert cells[0] in ('counter', 'gauge', 'histogram'), f'{name}: {cells[0]} is no kind'
        assert all(cells), f'{name}: an empty cell'
        assert RANGE.fullmatch(cells[2]), f'{name}: {cells[2]} is no range'
        table[name] = tuple(cells)
    return table


def documented():
    """Name -> (kind, set of labels), as docs/metrics.md has them."""
    return {name: (row[0], set() if row[3] == '-' else set(row[3].split(', '))) for name, row in rows().items()}


def within(value, text):
    """Whether a value is one that the range allows."""
    if value != value or text == 'any':
        return True
    if text in ('1', '0 or 1'):
        return value in [float(one) for one in text.split(' or ')]
    least, above, low, high = (None if part is None else float(part) for part in RANGE.fullmatch(text).groups())
    if high is not None:
        return low <= value <= high
    return value > above if least is None else value >= least


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


def gauge_values(page):
    """Pairs of name and value."""
    kinds = parse(page)
    samples = [SAMPLE.match(line) for line in page.splitlines() if line and not line.startswith('#')]
    return [(sample[1], float(sample[3])) for sample in samples if kinds.get(sample[1], ('',))[0] == 'gauge']


def gauges_out_of_range(page):
    """Triples of name, value and range of what docs/metrics.md does not allow."""
    table = rows()
    return [(name, value, table[name][2]) for name, value in gauge_values(page) if not within(value, table[name][2])]


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
        cls.pages = []
        with tempfile.TemporaryDirectory(prefix='tm') as folder:  # short: it holds sockets
            processes = {service: start(folder, service) for service in SERVICES}
            try:
                for service, process in processes.items():
                    address = wait_for(lambda s=service, p=process: metrics_address(folder, s, p),
                                       f'endpoints.json of {service}')
                    with urllib.request.urlopen(f'http://{address}/metrics', timeout=10) as page:
                        text = page.read().decode()
                    cls.served[service] = parse(text)
                    cls.pages.append(text)
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

    def test_every_gauge_served_is_in_its_range(self):
        self.assertGreater(sum(len(gauge_values(page)) for page in self.pages), 100)
        for page in self.pages:
            self.assertEqual(gauges_out_of_range(page), [])
        self.assertEqual(gauges_out_of_range('# TYPE tandem_build_info gauge\ntandem_build_info 2\n'),
                         [('tandem_build_info', 2.0, '1')])

    def test_counts_and_times_are_not_negative_and_other_ranges_say_what_they_allow(self):
        for name, (kind, _, allowed, *_) in rows().items():
            with self.subTest(metric=name):
                self.assertTrue(kind == 'gauge' or allowed == '>= 0', allowed)
        for text, inside, outside in (('>= 0', 0, -1), ('> 0', 1, 0), ('-1 to 1', -1, 1.1), ('0 or 1', 1, 0.5),
                                      ('0 to 0.33', 0.33, 0.4), ('1', 1, 0)):
            self.assertTrue(within(inside, text) and within(float('nan'), text))
            self.assertFalse(within(outside, text))
        self.assertTrue(within(-7, 'any'))

    def test_every_metric_named_in_the_sources_is_documented(self):
        self.assertEqual(named_in_sources() - set(self.documented), set())

    def test_every_metric_documented_exists(self):
        # A few are made only when a process has met its peers: those are in the sources by name.
        served = set().union(*self.served.values())
        self.assertEqual(set(self.documented) - served - named_in_sources(), set())


if __name__ == '__main__':
    unittest.main()
