# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures: what was measured, of whom, how often; medians, spreads and growth."""
import json
import math
import statistics


class Figures:
    def __init__(self, about):
        self.about = about
        self.rows = []
        self.series = []

    def keep(self, path, steps):
        """Begins with the figures of an earlier run; those that are measured again take their place."""
        with open(path) as f:
            earlier = json.load(f)
        again = [*earlier.get('again', []), dict(steps=steps, at=self.about['at'], commit=self.about['machine']['commit'])]
        self.rows = [dict(r, earlier=True) for r in earlier.pop('figures')]
        self.series = earlier.pop('growth')
        self.about = dict(earlier, again=again)

    def add(self, step, figure, unit, who, value, note=''):
        """One more measured value of a figure."""
        row = next((r for r in self.rows if (r['step'], r['figure'], r['who']) == (step, figure, who)), None)
        if row and row.pop('earlier', False):
            row['values'] = []
        if not row:
            row = dict(step=step, figure=figure, unit=unit, who=who, note=note, values=[])
            self.rows.append(row)
        row['values'].append(round(value, 6))

    def grow(self, figure, unit, against, points):
        """points: (x, y) with y > 0; the exponent of y ~ x^e by least squares over the logarithms."""
        self.series = [s for s in self.series if (s['figure'], s['against']) != (figure, against)]
        self.series.append(dict(figure=figure, unit=unit, against=against, points=points,
                                exponent=exponent(points),
                                change_percent=round((points[-1][1] / points[0][1] - 1) * 100, 1)))

    def median(self, step, figure, who):
        for r in self.rows:
            if (r['step'], r['figure'], r['who']) == (step, figure, who):
                return statistics.median(r['values'])
        return None

    def save(self, path):
        rows = [dict(r, median=statistics.median(r['values']), min=min(r['values']), max=max(r['values']))
                for r in self.rows]
        for r in rows:
            r.pop('earlier', None)
        with open(path, 'w') as f:
            json.dump(dict(self.about, figures=rows, growth=self.series), f, indent=1)
            f.write('\n')


def exponent(points):
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    if len(points) < 2:
        return 0.0
    return round(statistics.linear_regression(xs, ys).slope, 3)
