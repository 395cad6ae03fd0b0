"""What the tests of rules, runbooks and dashboards share: the files, their metric names, and promtool."""

import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.environ['TANDEM_SOURCE_DIR']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'metrics'))
from metrics_test import documented  # noqa: E402  docs/metrics.md as name -> (kind, labels)

RULES = [os.path.join(ROOT, 'deploy', 'prometheus', name) for name in ('rules.yml', 'alerts.yml')]
RUNBOOKS = os.path.join(ROOT, 'docs', 'runbooks')
RULE_TESTS = sorted(glob.glob(os.path.join(ROOT, 'tests', 'alerting', 'rules', '*.yml')))

NAME = re.compile(r'\b(?:tandem|process)_[a-z0-9_]+')
RECORDED = re.compile(r'[a-z_]+(?::[a-z0-9_]+){2}')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def has(program):
    return shutil.which(program) is not None


def promtool(*args):
    """Runs promtool; returns (exit code, all it said)."""
    result = subprocess.run(['promtool', *args], capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout + result.stderr


def alerts():
    """Name -> the lines of each alert, as alerts.yml has them."""
    parts = re.split(r'^      - alert: (\w+)\n', read(RULES[1]), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def records():
    """Names of the recording rules."""
    return set(re.findall(r'^      - record: (\S+)$', read(RULES[0]), re.MULTILINE))


def unknown_metrics(text):
    """The metric names of PromQL in `text` that neither docs/metrics.md nor a recording rule has."""
    table, recorded = documented(), records()
    unknown = {name for name in RECORDED.findall(text) if name not in recorded}
    for name in NAME.findall(RECORDED.sub('', text)):
        base = re.sub(r'_(bucket|sum|count)$', '', name)
        if table.get(base, ('',))[0] != 'histogram' and name not in table:
            unknown.add(name)
    return unknown
