#!/usr/bin/env python3
"""Writes the dashboards of deploy/grafana/dashboards: `deploy/grafana/generate.py`.

panels_coadaptation.py and panels_services.py say what they show; this file knows Grafana's JSON. A test
compares the files with what this writes.
"""

import json
import os

import panels_coadaptation
import panels_services

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'dashboards')
DATASOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
GREEN, YELLOW, RED = 'green', 'yellow', 'red'
WIDTH = 24


def variable(name, label, **fields):
    return {'name': name, 'label': label, 'hide': 0, 'skipUrlSync': False, **fields}


def label_variable(name, label, query, all_value):
    return variable(name, label, type='query', datasource=DATASOURCE, definition=query,
                    query={'query': query, 'refId': f'variable-{name}'}, refresh=2, sort=1, regex='',
                    includeAll=True, multi=True, allValue=all_value,
                    current={'selected': True, 'text': ['All'], 'value': ['$__all']}, options=[])


def variables():
    default = {'selected': True, 'text': 'Prometheus', 'value': 'tandem-prometheus'}
    runbooks = {'selected': True, 'text': '/public/runbooks', 'value': '/public/runbooks'}
    return [
        variable('datasource', 'Data source', type='datasource', query='prometheus', refresh=1, regex='',
                 includeAll=False, multi=False, current=default, options=[]),
        label_variable('job', 'Job', 'label_values(tandem_build_info, job)', '.+'),
        # Runs have a label only where the scrape configuration gives them one, hence the star.
        label_variable('run', 'Run', 'label_values(tandem_build_info{job=~"$job"}, run)', '.*'),
        label_variable('instance', 'Instance', 'label_values(tandem_build_info{job=~"$job", run=~"$run"}, instance)',
                       '.+'),
        variable('runbooks', 'Runbooks', type='textbox', query='/public/runbooks', current=runbooks,
                 options=[runbooks]),
    ]


def thresholds(lines):
    """Lines are (value, colour from there on), upwards; below the first it is the first of the colours."""
    steps = [{'color': lines[0] if lines else GREEN, 'value': None}]
    steps += [{'color': color, 'value': value} for value, color in lines[1:]]
    return {'mode': 'absolute', 'steps': steps}


def targets(panel):
    return [{'datasource': DATASOURCE, 'editorMode': 'code', 'expr': expr, 'legendFormat': legend,
             'range': panel['kind'] != 'stat', 'instant': panel['kind'] == 'stat', 'refId': chr(ord('A') + i)}
            for i, (expr, legend) in enumerate(panel['targets'])]


def options(kind):
    if kind == 'stat':
        return {'colorMode': 'value', 'graphMode': 'none', 'justifyMode': 'auto', 'orientation': 'auto',
                'reduceOptions': {'calcs': ['lastNotNull'], 'fields': '', 'values': False}}
    if kind == 'state-timeline':
        return {'alignValue': 'left', 'mergeValues': True, 'rowHeight': 0.9, 'showValue': 'never',
                'legend': {'displayMode': 'list', 'placement': 'bottom', 'showLegend': False},
                'tooltip': {'mode': 'single', 'sort': 'none'}}
    return {'legend': {'calcs': ['lastNotNull'], 'displayMode': 'table', 'placement': 'bottom', 'showLegend': True},
            'tooltip': {'mode': 'multi', 'sort': 'desc'}}


def custom(kind, lines):
    if kind == 'stat':
        return {}
    if kind == 'state-timeline':
        return {'fillOpacity': 70, 'lineWidth': 0}
    return {'drawStyle': 'line', 'lineInterpolation': 'stepAfter', 'lineWidth': 1, 'fillOpacity': 0,
            'showPoints': 'never', 'spanNulls': False, 'stacking': {'group': 'A', 'mode': 'none'},
            'thresholdsStyle': {'mode': 'line' if lines else 'off'}}


def panel_json(panel, number, place):
    kind, lines = panel['kind'], panel['lines']
    settings = options(kind)
    if panel['names']:
        settings['textMode'] = 'name'
    return {
        'id': number, 'type': kind, 'title': panel['title'], 'description': panel['description'],
        'datasource': DATASOURCE, 'gridPos': place, 'targets': targets(panel), 'options': settings,
        'fieldConfig': {'defaults': {'unit': panel['unit'], 'custom': custom(kind, lines), 'noValue': 'no data',
                                     'color': {'mode': 'palette-classic' if kind == 'timeseries' else 'thresholds'},
                                     'thresholds': thresholds(lines)}, 'overrides': []},
        'links': [{'title': f'Runbook: {alert}', 'url': f'${{runbooks}}/{alert}.md', 'targetBlank': True}
                  for alert in panel['alerts']],
    }


def rows_json(rows):
    """The panels of all rows, placed from left to right, each row below the one before."""
    placed, y, number = [], 0, 1
    for title, panels in rows:
        placed.append({'id': number, 'type': 'row', 'title': title, 'collapsed': False, 'panels': [],
                       'gridPos': {'h': 1, 'w': WIDTH, 'x': 0, 'y': y}})
        y, x, number = y + 1, 0, number + 1
        for panel in panels:
            if x + panel['width'] > WIDTH:
                x, y = 0, y + 8
            placed.append(panel_json(panel, number, {'h': 8, 'w': panel['width'], 'x': x, 'y': y}))
            x, number = x + panel['width'], number + 1
        y += 8
    return placed


def annotations(queries):
    return {'list': [{'name': name, 'datasource': DATASOURCE, 'enable': True, 'hide': False, 'iconColor': color,
                      'expr': expr, 'step': '1m', 'titleFormat': name, 'textFormat': text}
                     for name, color, expr, text in queries]}


def dashboard(uid, module, others):
    return {
        'uid': uid, 'title': module.TITLE, 'description': module.DESCRIPTION, 'tags': ['tandem'],
        'schemaVersion': 39, 'version': 1, 'editable': False, 'graphTooltip': 1, 'refresh': '10s',
        'time': {'from': 'now-1h', 'to': 'now'}, 'timezone': 'browser', 'fiscalYearStartMonth': 0,
        'templating': {'list': variables()}, 'annotations': annotations(module.ANNOTATIONS),
        'links': [{'title': title, 'type': 'link', 'url': f'/d/{other}', 'keepTime': True, 'includeVars': True,
                   'targetBlank': False, 'icon': 'dashboard', 'tags': [], 'tooltip': '', 'asDropdown': False}
                  for other, title in others]
                 + [{'title': 'Runbooks', 'type': 'link', 'url': '${runbooks}/README.md', 'keepTime': False,
                     'includeVars': False, 'targetBlank': True, 'icon': 'doc', 'tags': [], 'tooltip': '',
                     'asDropdown': False}],
        'panels': rows_json(module.ROWS),
    }


def dashboards():
    """File name -> text, for every dashboard."""
    modules = {'tandem-coadaptation': panels_coadaptation, 'tandem-services': panels_services}
    return {f'{uid}.json': json.dumps(dashboard(uid, module, [(other, modules[other].TITLE) for other in modules
                                                              if other != uid]), indent=1) + '\n'
            for uid, module in modules.items()}


def main():
    for name, text in dashboards().items():
        with open(os.path.join(FOLDER, name), 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    main()
