#!/usr/bin/python3
#
# t/oracle/risk.py JOB.json ANSWER.json
#
# Whether an answer of montecarlo_risk's full form can be true: another
# simulation of the same job, with numpy's generators and libm's error
# function, agrees within the errors of both.  JOB is the job as it was sent,
# or its "params"; ANSWER is the answer as it came, or its one output.  Exit
# code 0: it can; 1: it cannot, with what differs; 2: not understood.
#
# Not the loops of the kind in another language: whole arrays, Cholesky and
# eigenvectors of LAPACK, chi-squared and Poisson of numpy.

import json
import math
import sys

import numpy as np

PATHS = 200000
SIGMAS = 5.0

_grid = np.linspace(-9.0, 9.0, 180001)
_cdf = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in _grid])


def ndtr(x):
    return np.interp(x, _grid, _cdf)


class Job:
    def __init__(self, params):
        self.assets = params['assets']
        self.positions = params['positions']
        self.n = len(self.assets)
        self.spot = np.array([a['spot'] for a in self.assets], float)
        self.vol = np.array([a['vol'] for a in self.assets], float)
        self.carry = np.array([a.get('carry', 0.0) for a in self.assets])
        self.rate = params.get('rate', 0.0)
        self.horizon = params['horizon']
        self.steps = params.get('steps', 1)
        self.dof = params.get('student_t', 0)
        self.jumps = params.get('jumps')
        self.levels = params.get('levels', [0.95, 0.99])
        self.paths = (params.get('paths', 65536) + 127) // 128 * 128
        self.seed = params.get('seed', 0)
        corr = np.array(params.get('correlation', np.eye(self.n)), float)
        w, v = np.linalg.eigh(corr)
        self.root = v * np.sqrt(np.maximum(w, 0.0))

    def prices(self, rng, n):
        dt = self.horizon / self.steps
        drift = self.carry - self.vol ** 2 / 2
        x = np.tile(np.log(self.spot), (n, 1))

        if self.jumps:
            a, b = self.jumps['mean'], self.jumps['sd']
            drift = drift - self.jumps['rate'] * math.expm1(a + b * b / 2)

        for _ in range(self.steps):
            z = rng.standard_normal((n, self.n)) @ self.root.T

            if self.dof:
                chi2 = rng.chisquare(self.dof, (n, 1))
                z *= np.sqrt((self.dof - 2) / chi2)

            x += drift * dt + self.vol * math.sqrt(dt) * z

            if self.jumps:
                k = rng.poisson(self.jumps['rate'] * dt, n)
                x += (k * a + np.sqrt(k) * b
                      * rng.standard_normal(n))[:, None]

        return np.exp(x)

    def option(self, p, s, t):
        """Value, delta, gamma and theta."""
        f = 1.0 if p['type'] == 'call' else -1.0
        k, r = p['strike'], p.get('rate', self.rate)
        b, v = self.carry[p['asset']], self.vol[p['asset']]

        if t <= 0:
            return np.maximum(f * (s - k), 0.0), None, None, None

        w = v * math.sqrt(t)
        d1 = (np.log(s / k) + (b + v * v / 2) * t) / w
        d2 = d1 - w
        sq, kr = s * math.exp((b - r) * t), k * math.exp(-r * t)
        phi = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        n1, n2 = ndtr(f * d1), ndtr(f * d2)

        return (f * (sq * n1 - kr * n2), f * sq / s * n1,
                sq * phi / (s * s * w),
                -sq * phi * v / (2 * math.sqrt(t)) - f * (b - r) * sq * n1
                - f * r * kr * n2)

    def value(self, s, elapsed):
        total = 0.0

        for p in self.positions:
            x = s[..., p['asset']]

            if p['type'] == 'linear':
                total = total + p['quantity'] * x

            else:
                total = total + p['quantity'] * self.option(
                    p, x, p['expiry'] - elapsed)[0]

        return total

    def greeks(self):
        delta, gamma, theta = np.zeros(self.n), np.zeros(self.n), 0.0

        for p in self.positions:
            i, q = p['asset'], p['quantity']

            if p['type'] == 'linear':
                delta[i] += q
                continue

            _, d, g, t = self.option(p, self.spot[i], p['expiry'])
            delta[i] += q * d
            gamma[i] += q * g
            theta += q * t

        return delta, gamma, theta

    def losses(self, model, rng, n):
        s = self.prices(rng, n)

        if model == 'delta_gamma':
            delta, gamma, theta = self.greeks()
            y = s - self.spot
            return -theta * self.horizon - y @ delta - y * y @ gamma / 2

        return self.value(self.spot, 0.0) - self.value(s, self.horizon)

    def form(self):
        """Mean and variance of the quadratic form of the closed answer."""
        delta, gamma, theta = self.greeks()
        m = (self.carry - self.vol ** 2 / 2) * self.horizon
        g = delta * self.spot
        h = gamma * self.spot ** 2 + g
        a = (self.vol * math.sqrt(self.horizon))[:, None] * self.root
        form = -0.5 * a.T @ np.diag(h) @ a
        b = -a.T @ (g + h * m)

        return (-theta * self.horizon - g @ m - h @ m ** 2 / 2
                + np.trace(form), b @ b + 2 * np.trace(form @ form))


class Check:
    def __init__(self):
        self.failed = []

    def true(self, ok, what):
        if not ok:
            self.failed.append(what)

    def near(self, value, want, within, what):
        self.true(abs(value - want) <= within,
                  '%s: %.10g is not %.10g within %.3g' % (what, value, want,
                                                          within))


def check_level(c, x, level, alpha):
    n = len(x)
    what = 'level %g, ' % alpha
    below = SIGMAS * math.sqrt(n * alpha * (1 - alpha))
    at = min(int(math.ceil(n * alpha)) - 1, n - 1)
    low, high = x[max(int(at - below), 0)], x[min(int(at + below), n - 1)]
    var, (left, right) = level['var'], level['var_ci95']

    c.true(left <= var <= right, what + 'var is not in its interval')
    c.true(left - (var - left) * SIGMAS / 2 <= high
           and low <= right + (right - var) * SIGMAS / 2,
           what + 'var %.10g is not %.10g' % (var, x[at]))

    excess = np.maximum(x - x[at], 0.0)
    es = x[at] + excess.mean() / (1 - alpha)
    se = excess.std() / ((1 - alpha) * math.sqrt(n))

    if 'es_se' in level:
        c.near(level['es'], es, SIGMAS * math.hypot(se, level['es_se']),
               what + 'es')
        c.true(level['es_ci95'][0] < level['es'] < level['es_ci95'][1],
               what + 'es is not in its interval')

    c.true(level['es'] >= var, what + 'es is below var')


def check(job, answer):
    c = Check()
    here = job.value(job.spot, 0.0)

    c.near(answer['value'], here, 1e-7 * (1 + abs(here)
           + sum(abs(p['quantity']) * job.spot[p['asset']]
                 for p in job.positions)), 'value')
    c.true(answer['paths_requested'] == job.paths, 'paths_requested')
    c.true(answer['paths_used'] <= job.paths
           and answer['paths_used'] % 128 == 0, 'paths_used')
    c.true(answer['precision'] == 'f64' and answer['seed'] == job.seed,
           'precision or seed')
    c.true([v['level'] for v in answer['levels']] == list(job.levels),
           'levels')

    if answer['truncated_by'] == 'none':
        c.true(answer['paths_used'] == job.paths, 'paths_used')

    if answer['estimator'] == 'dg_closed':
        mean, variance = job.form()
        scale = 1e-6 * math.sqrt(variance)
        c.near(answer['mean']['value'], mean, scale, 'mean')
        c.near(answer['variance']['value'], variance, 1e-6 * variance,
               'variance')
        return c.failed

    rng = np.random.Generator(np.random.PCG64(12345))
    x = np.concatenate([job.losses(answer['model'], rng, 20000)
                        for _ in range(PATHS // 20000)])
    mean, sd = x.mean(), x.std()
    n = len(x)
    se = math.sqrt(max(((x - mean) ** 4).mean() - sd ** 4, 0.0) / n)

    c.near(answer['mean']['value'], mean,
           SIGMAS * math.hypot(sd / math.sqrt(n), answer['mean']['se']),
           'mean')
    c.near(answer['variance']['value'], sd * sd,
           SIGMAS * math.hypot(se, answer['variance']['se']), 'variance')

    x.sort()

    for level in answer['levels']:
        check_level(c, x, level, level['level'])

    return c.failed


def main():
    if len(sys.argv) != 3:
        print('t/oracle/risk.py JOB.json ANSWER.json', file=sys.stderr)
        return 2

    try:
        with open(sys.argv[1], encoding='utf-8') as f:
            job = json.load(f)

        with open(sys.argv[2], encoding='utf-8') as f:
            answer = json.load(f)

        job = Job(job.get('params', job))
        answer = answer['outputs'][0] if 'outputs' in answer else answer
        failed = check(job, answer)

    except (OSError, ValueError, KeyError, TypeError, IndexError) as e:
        print('not understood: %r' % e, file=sys.stderr)
        return 2

    for what in failed:
        print(what)

    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
