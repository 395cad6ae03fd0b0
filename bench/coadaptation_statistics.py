"""Statistics of the co-adaptation study: ranking quality, intervals, onsets. Pure functions of lists of numbers."""

import math

import numpy as np


def auroc(scores, labels):
    """Area under the ROC curve, ties counted half; NaN where a class is absent."""
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if positives == 0 or negatives == 0:
        return math.nan
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auprc(scores, labels):
    """Average precision, scores that tie taken at once; NaN where there are no positives."""
    points = curve(scores, labels)
    positives = int(np.sum(labels))
    if positives == 0:
        return math.nan
    area, recall = 0.0, 0.0
    for true, false in points[1:]:
        area += (true / positives - recall) * true / (true + false)
        recall = true / positives
    return area


def curve(scores, labels):
    """[(true positives, false positives)] from the highest threshold to the lowest."""
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    points, true, false = [(0, 0)], 0, 0
    for value in np.unique(scores)[::-1]:
        at = scores == value
        true, false = true + int((labels & at).sum()), false + int((~labels & at).sum())
        points.append((true, false))
    return points


def bootstrap(rows, statistic, repeats=500, seed=0, level=0.9):
    """Percentile interval of statistic(rows) under resampling of whole seeds, of all arms of a seed at once."""
    groups = {}
    for row in rows:
        groups.setdefault(row["seed"], []).append(row)
    keys = sorted(groups)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(repeats if len(keys) > 1 else 0):
        values.append(statistic([row for k in rng.integers(len(keys), size=len(keys)) for row in groups[keys[k]]]))
    values = [v for v in values if not math.isnan(v)]
    if not values:
        return math.nan, math.nan
    return tuple(float(np.quantile(values, q)) for q in ((1 - level) / 2, (1 + level) / 2))


def binomial_tail(k, n, p):
    """P(X >= k) for X ~ Binomial(n, p)."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p)**(n - i) for i in range(k, n + 1))


def clopper_pearson(k, n, level=0.95):
    """Exact interval of a share of which k in n were seen."""
    if n == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2

    def solve(below):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) else (low, middle)
        return low

    lower = 0.0 if k == 0 else solve(lambda p: binomial_tail(k, n, p) < tail)
    upper = 1.0 if k == n else solve(lambda p: 1 - binomial_tail(k + 1, n, p) > tail)
    return lower, upper


def poisson_upper(k, level=0.95):
    """Exact one-sided upper bound on the mean of a Poisson count of which k were seen."""
    low, high = 0.0, 10.0 * (k + 10)
    for _ in range(80):
        middle = (low + high) / 2
        at_most = math.fsum(math.exp(-middle + i * math.log(middle) - math.lgamma(i + 1)) for i in range(k + 1))
        low, high = (middle, high) if at_most > 1 - level else (low, middle)
    return high


def onset(returns, scales, drop=0.1, run=3, begin=0, level=None):
    """Index at which a collapse begins: the first of `run` returns in a row that lie more than `drop` of the return
    scale below the best so far, once something was learned (more than `drop` of the scale); None if there is none.
    scales: the return scale at each of the returns. begin: index before which none is looked for. level: return that
    the best must have reached for something to be learned, instead."""
    below, best = 0, -math.inf
    for i, (value, scale) in enumerate(zip(returns, scales)):
        best = max(best, value)
        learned = best - returns[0] > drop * scale if level is None else best >= level
        below = below + 1 if learned and i >= begin and value < best - drop * scale else 0
        if below == run:
            return i - run + 1
    return None
