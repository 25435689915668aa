#!/usr/bin/env python3
"""Prints what scipy, statsmodels and numpy compute, as the tables of src/eval/statistics_test.cc.

    pip install scipy statsmodels numpy
    make_statistics_vectors.py
"""

import numpy
import scipy
import statsmodels
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint


def main():
    print(f"// scipy {scipy.__version__}, statsmodels {statsmodels.__version__}, numpy {numpy.__version__}")
    print("// right, total, standard error, Wilson's interval")
    for right, total in [(194, 200), (1173, 1209), (1169, 1209), (0, 10), (10, 10), (1, 2), (5, 1319)]:
        answers = numpy.zeros(total)
        answers[:right] = 1
        low, high = proportion_confint(right, total, alpha=0.05, method="wilson")
        print(f"{{{right}, {total}, {answers.std(ddof=1) / total**0.5:.15g}, {low:.15g}, {high:.15g}}},")
    print("// both, only the first, only the second, neither; McNemar's exact p; difference and its 95 % interval")
    for both, first, second, neither in [(190, 4, 3, 3), (150, 20, 5, 25), (0, 0, 0, 7), (5, 1, 0, 2), (900, 60, 90, 269),
                                         (100, 0, 12, 3), (40, 700, 600, 10)]:
        p = mcnemar([[both, first], [second, neither]], exact=True).pvalue
        values = numpy.repeat([0.0, -1.0, 1.0, 0.0], [both, first, second, neither])
        mean, error = values.mean(), values.std(ddof=0) / len(values)**0.5
        z = scipy.stats.norm.ppf(0.975)
        print(f"{{{both}, {first}, {second}, {neither}, {p:.15g}, {mean:.15g}, {mean - z * error:.15g}, {mean + z * error:.15g}}},")
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0]
    print("// quantiles 0, 0.5, 0.9, 0.99, 1 of", values)
    print(", ".join(f"{value:.15g}" for value in numpy.quantile(values, [0, 0.5, 0.9, 0.99, 1])))


if __name__ == "__main__":
    main()
