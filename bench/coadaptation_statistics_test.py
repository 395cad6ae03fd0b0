"""Checks coadaptation_statistics against values worked out by hand or known from tables."""

import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coadaptation_statistics as stats  # noqa: E402


class Statistics(unittest.TestCase):
    def test_auroc_counts_pairs_and_halves_ties(self):
        self.assertEqual(stats.auroc([1, 2, 3, 4], [0, 0, 1, 1]), 1)
        self.assertEqual(stats.auroc([4, 3, 2, 1], [0, 0, 1, 1]), 0)
        self.assertEqual(stats.auroc([1, 2, 2, 3], [0, 0, 1, 1]), 3.5 / 4)
        self.assertTrue(math.isnan(stats.auroc([1, 2], [1, 1])))

    def test_auprc_is_the_average_precision(self):
        self.assertAlmostEqual(stats.auprc([4, 3, 2, 1], [1, 0, 1, 0]), 0.5 * 1 + 0.5 * 2 / 3)
        self.assertAlmostEqual(stats.auprc([1, 1, 1, 1], [1, 0, 0, 0]), 0.25)

    def test_clopper_pearson_agrees_with_tables(self):
        low, high = stats.clopper_pearson(0, 10)
        self.assertEqual(low, 0)
        self.assertAlmostEqual(high, 0.3085, places=4)
        low, high = stats.clopper_pearson(3, 20)
        self.assertAlmostEqual(low, 0.0321, places=4)
        self.assertAlmostEqual(high, 0.3789, places=4)
        self.assertEqual(stats.clopper_pearson(10, 10)[1], 1)

    def test_poisson_upper_agrees_with_tables(self):
        for count, bound in ((0, 2.9957), (1, 4.7439), (4, 9.1535), (40, 52.069)):
            self.assertAlmostEqual(stats.poisson_upper(count), bound, places=3)

    def test_onset_is_the_first_of_three_far_below_the_best(self):
        self.assertEqual(stats.onset([0, 50, 100, 89, 88, 95, 85, 80, 70], [100] * 9), 6)
        self.assertIsNone(stats.onset([0, 100, 85, 80, 95, 85], [100] * 6))
        self.assertEqual(stats.onset([0, 100, 50, 50, 50, 50, 50], [100] * 7, begin=3), 3)
        self.assertIsNone(stats.onset([100, 90, 80, 70], [100] * 4))  # it never learned
        self.assertIsNone(stats.onset([0, 100, 85, 80, 75], [300] * 5))  # small against the scale
        early = [0, 40, 10, 10, 10, 90, 50, 50, 50]
        self.assertEqual(stats.onset(early, [100] * 9), 2)
        self.assertEqual(stats.onset(early, [100] * 9, level=80), 6)  # the first had nothing to lose

    def test_bootstrap_resamples_seeds(self):
        rows = [{"seed": str(s), "x": s} for s in range(20) for _ in range(50)]
        low, high = stats.bootstrap(rows, lambda some: sum(r["x"] for r in some) / len(some))
        self.assertLess(low, 8.5)
        self.assertGreater(high, 10.5)


if __name__ == "__main__":
    unittest.main()
