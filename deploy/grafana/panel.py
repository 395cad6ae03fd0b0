"""The words in which the dashboards are written down."""

MATCHERS = 'job=~"$job", instance=~"$instance", run=~"$run"'


def m(name, *matchers):
    """The series of a metric that the variables choose, and those matchers besides."""
    return f'{name}{{{", ".join((MATCHERS, *matchers))}}}'


def rate(name, *matchers):
    return f'rate({m(name, *matchers)}[$__rate_interval])'


def p95(name, *by):
    """The 95 % quantile of a histogram."""
    return f'histogram_quantile(0.95, sum by ({", ".join(("instance", "le", *by))}) ({rate(name + "_bucket")}))'


def panel(title, description, unit, *targets, lines=(), alerts=(), width=8, kind='timeseries', names=False):
    """A panel: targets are (PromQL, legend); lines are a colour and then (value, colour from there on);
    alerts are those whose runbooks it links to; names: a stat shows the series' name, not its value."""
    return {'title': title, 'description': description, 'unit': unit, 'targets': targets, 'lines': lines,
            'alerts': alerts, 'width': width, 'kind': kind, 'names': names}
