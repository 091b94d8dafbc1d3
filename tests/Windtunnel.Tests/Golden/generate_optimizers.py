"""Writes optimizers.json beside this file: trajectories of every rule, from a reference in double precision that shares no code with
Windtunnel and needs nothing but Python.

    python3 tests/Windtunnel.Tests/Golden/generate_optimizers.py [published trajectories to check the reference against]

A case is a config as a user writes it (so that presets, names and defaults are under test too), the rate factor of each step,
and the weights after the last one. The parameters are GPT-2-like queries, keys and values (three matrices of two heads of width
2 in one), a table, a head, a gain and a bias.

What a rule draws at random is in the file too, for each step and parameter: the probes of Kron, the gradients under labels drawn from
the model (Sophia-G) and Hutchinson's estimates (Sophia-H). Beyond the edge of a matrix, where a block is padded, its probes begin again. So are SOAP's first bases, which are not unique where a block's first
gradient has a low rank: those of the block whose first element is the i-th of its parameter are under "bases", parameter, i.
"""

import json
import math
import pathlib
import random
import sys

KELLER = (3.4445, -4.7750, 2.0315)

# That the mean gradient under drawn labels is of.
TARGETS = 20


# Matrices are lists of rows.

def mul(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def transpose(a):
    return [list(column) for column in zip(*a)]


def zip_with(f, *xs):
    if isinstance(xs[0], list):
        return [zip_with(f, *parts) for parts in zip(*xs)]
    return f(*xs)


def flat(x):
    return [value for part in x for value in flat(part)] if isinstance(x, list) else [x]


def norm(*xs):
    return math.sqrt(sum(value * value for x in xs for value in flat(x)))


def zeros(x):
    return zip_with(lambda value: 0.0, x)


def scaled(x, factor):
    return zip_with(lambda value: factor * value, x)


def sign(x):
    return (x > 0) - (x < 0)


def newton_schulz(m, steps, eps, coefficients=KELLER):
    if len(m) > len(m[0]):
        return transpose(newton_schulz(transpose(m), steps, eps, coefficients))
    x = scaled(m, 1 / (norm(m) + eps))
    a, b, c = coefficients
    for _ in range(steps):
        gram = mul(x, transpose(x))
        polynomial = zip_with(lambda p, q: b * p + c * q, gram, mul(gram, gram))
        x = zip_with(lambda p, q: a * p + q, x, mul(polynomial, x))
    return x


def triangle(m):
    return [[x if column >= row else 0.0 for column, x in enumerate(values)] for row, values in enumerate(m)]


def diagonal(m):
    return [[x if column == row else 0.0 for column, x in enumerate(values)] for row, values in enumerate(m)]


def identity(n, value=1.0):
    return diagonal([[value] * n] * n)


def largest(m):
    return max(abs(x) for x in flat(m))


def inverse_of_triangle(q):
    """Of an upper triangle, by solving for one column of the identity at a time."""
    n = len(q)
    columns = []
    for unit in identity(n):
        x = [0.0] * n
        for i in reversed(range(n)):
            x[i] = (unit[i] - sum(q[i][j] * x[j] for j in range(i + 1, n))) / q[i][i]
        columns.append(x)
    return transpose(columns)


def orthonormal(m):
    """Q of the QR factorisation whose R has a positive diagonal: Gram-Schmidt, twice."""
    basis = []
    for column in transpose(m):
        for _ in range(2):
            for done in basis:
                overlap = sum(x * y for x, y in zip(column, done))
                column = [x - overlap * y for x, y in zip(column, done)]
            column = scaled(column, 1 / norm(column))
        basis.append(column)
    return transpose(basis)


def eigenvectors(m):
    """Of a symmetric matrix, as columns by descending eigenvalue: Jacobi's rotations."""
    n, vectors = len(m), identity(len(m))
    for _ in range(50):
        for i in range(n):
            for j in range(i + 1, n):
                if m[i][j]:
                    angle = 0.5 * math.atan2(2 * m[i][j], m[j][j] - m[i][i])
                    turn = identity(n)
                    turn[i][i] = turn[j][j] = math.cos(angle)
                    turn[i][j], turn[j][i] = math.sin(angle), -math.sin(angle)
                    m, vectors = mul(transpose(turn), mul(m, turn)), mul(vectors, turn)
    order = sorted(range(n), key=lambda i: -m[i][i])
    return [[row[i] for i in order] for row in vectors]


class Parameter:
    def __init__(self, role, value, parts=1, head=0, scores=(0, 1), drawn=None):
        """drawn: what is drawn at random for it at each step, and SOAP's first bases, each by name."""
        self.role, self.w, self.parts, self.head, self.scores, self.drawn = role, value, parts, head, scores, drawn or {}

    matrix = property(lambda self: isinstance(self.w[0], list))


class Block:
    """A rectangle of one matrix of a parameter, whose lower right it may reach beyond; a vector is a column."""

    def __init__(self, matrix, top, left, rows, columns):
        """matrix: its first row in the parameter, and how many rows and columns it has."""
        (self.first, self.height, self.width), self.top, self.left, self.rows, self.columns, self.state = matrix, top, left, rows, columns, {}
        self.index = (self.first + top) * self.width + left

    def places(self):
        return [[(self.top + i, self.left + j) for j in range(self.columns)] for i in range(self.rows)]

    def inside(self, i, j):
        return i < self.height and j < self.width

    def of(self, x):
        return [[x[self.first + i][j] if self.inside(i, j) else 0 for i, j in row] for row in self.places()]

    def of_repeated(self, x):
        return [[x[self.first + i % self.height][j % self.width] for i, j in row] for row in self.places()]

    def put(self, x, values):
        for row, new in zip(self.places(), values):
            for (i, j), value in zip(row, new):
                if self.inside(i, j):
                    x[self.first + i][j] = value


def as_matrix(x):
    return x if isinstance(x[0], list) else [[value] for value in x]


def like(x, shape):
    return x if isinstance(shape[0], list) else [value for value, in x]


def cut(p, size, full_rows, full_columns, pad=False):
    """The blocks of a parameter, whose sides are cut where they get a full preconditioner; what is left over is a smaller block, or padded."""
    w = as_matrix(p.w)
    rows, columns = len(w) // p.parts, len(w[0])
    padded = lambda n: -(-n // size) * size
    height = size if full_rows else padded(rows) if pad else rows
    width = size if full_columns else padded(columns) if pad and p.matrix else columns
    return [
        Block((part * rows, rows, columns), top, left, height if pad else min(height, rows - top), width if pad else min(width, columns - left))
        for part in range(p.parts) for top in range(0, rows, height) for left in range(0, columns, width)]


# A direction is called with a parameter, its gradient and the step; it keeps its state in self.

class Adam:
    def __init__(self, b1, b2, eps, nesterov=False, eps_before=False, psi=0):
        self.b1, self.b2, self.eps, self.nesterov, self.eps_before, self.psi = b1, b2, eps, nesterov, eps_before, psi
        self.m = None

    def mu(self, t):
        return self.b1 * (1 - 0.5 * 0.96 ** (t * self.psi)) if self.psi else self.b1

    def __call__(self, p, g, t, rate):
        if self.m is None:
            self.m, self.v = zeros(g), zeros(g)
        self.m = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, self.m, g)
        self.v = zip_with(lambda v, x: self.b2 * v + (1 - self.b2) * x * x, self.v, g)
        numerator = scaled(self.m, 1 / (1 - self.b1 ** t))
        if self.nesterov:
            product = math.prod(self.mu(s) for s in range(1, t + 1))
            ahead = self.mu(t + 1)
            numerator = zip_with(
                lambda m, x: ahead * m / (1 - product * ahead) + (1 - self.mu(t)) * x / (1 - product), self.m, g)
        correction = math.sqrt(1 - self.b2 ** t)
        return zip_with(
            lambda n, v: n / ((math.sqrt(v) + self.eps) / correction if self.eps_before else math.sqrt(v) / correction + self.eps),
            numerator, self.v)


class Momentum:
    """The direction is c1 m + c2 g with the old m; then m = d1 m + d2 g."""

    def __init__(self, c1, c2, d1, d2, signed=False):
        self.numbers, self.signed, self.m = (c1, c2, d1, d2), signed, None

    def __call__(self, p, g, t, rate):
        self.m = self.m or zeros(g)
        c1, c2, d1, d2 = self.numbers
        u = zip_with(lambda m, x: c1 * m + c2 * x, self.m, g)
        self.m = zip_with(lambda m, x: d1 * m + d2 * x, self.m, g)
        return zip_with(sign, u) if self.signed else u


def heavy_ball(mu, nesterov=False):
    return Momentum(mu * mu, mu + 1, mu, 1) if nesterov else Momentum(mu, 1, mu, 1)


def mean(mu, signed=False, nesterov=False):
    return Momentum(mu * mu, (1 + mu) * (1 - mu), mu, 1 - mu) if nesterov else Momentum(mu, 1 - mu, mu, 1 - mu, signed)


class AdamMini:
    def __init__(self, b1, b2, eps):
        self.b1, self.b2, self.eps, self.m, self.v = b1, b2, eps, None, {}

    def __call__(self, p, g, t, rate):
        self.m = self.m or zeros(g)
        self.m = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, self.m, g)
        if not p.matrix:
            blocks = [(g, self.m)]
        else:
            score_rows, head_rows = p.scores
            cuts = list(range(0, score_rows, head_rows)) + list(range(score_rows, len(g) + 1))
            blocks = [(g[a:b], self.m[a:b]) for a, b in zip(cuts, cuts[1:])]
        u = []
        for i, (grad, m) in enumerate(blocks):
            values = flat(grad)
            self.v[i] = self.b2 * self.v.get(i, 0) + (1 - self.b2) * sum(x * x for x in values) / len(values)
            u += scaled(m, 1 / (1 - self.b1 ** t) / (math.sqrt(self.v[i] / (1 - self.b2 ** t)) + self.eps))
        return u


class Orthogonal:
    def __init__(self, momentum, steps, eps, scale="spectral", split_heads=False, row_beta=None):
        self.momentum, self.steps, self.eps, self.scale, self.split_heads = momentum, steps, eps, scale, split_heads
        self.row_beta, self.squares = row_beta, None

    def __call__(self, p, g, t, rate):
        m = self.momentum(p, g, t, rate)
        rows = p.head if self.split_heads and p.head else len(m) // p.parts
        self.squares = self.squares or [0.0] * len(m)
        factor = {
            "spectral": math.sqrt(max(1, rows / len(m[0]))),
            "matchRms": 0.2 * math.sqrt(max(rows, len(m[0]))),
            "maximalUpdate": math.sqrt(rows / len(m[0])),
            "one": 1,
        }[self.scale]
        u = []
        for start in range(0, len(m), rows):
            o = newton_schulz(m[start:start + rows], self.steps, self.eps)
            if self.row_beta is not None:
                before = norm(o)
                for i, row in enumerate(o):
                    square = sum(x * x for x in row) / len(row)
                    self.squares[start + i] = self.row_beta * self.squares[start + i] + (1 - self.row_beta) * square
                    o[i] = scaled(row, 1 / (math.sqrt(self.squares[start + i]) + 1e-10))
                o = scaled(o, before / (norm(o) + 1e-10))
            u += scaled(o, factor)
        return u


class Ball:
    def __init__(self, kind, beta):
        self.kind, self.momentum = kind, mean(beta)

    def __call__(self, p, g, t, rate):
        m = self.momentum(p, g, t, rate)
        if self.kind == "rms":
            return scaled(m, 1 / (norm(m) / math.sqrt(len(flat(m))) + 1e-8))
        return scaled(zip_with(sign, m), 1 / len(m[0]) if self.kind == "signPerInput" else 1)


class AdEMAMix:
    def __init__(self, b1, b2, b3, alpha, warmup, eps):
        self.b1, self.b2, self.b3, self.alpha, self.warmup, self.eps, self.fast = b1, b2, b3, alpha, warmup, eps, None

    def __call__(self, p, g, t, rate):
        if self.fast is None:
            self.fast, self.slow, self.v = zeros(g), zeros(g), zeros(g)
        share = min(1, t / self.warmup) if self.warmup else 1
        half = lambda beta: math.log(0.5) / math.log(beta) - 1
        b3 = self.b3 if share == 1 else 0.5 ** (1 / ((1 - share) * half(self.b1) + share * half(self.b3) + 1))
        self.fast = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, self.fast, g)
        self.slow = zip_with(lambda m, x: b3 * m + (1 - b3) * x, self.slow, g)
        self.v = zip_with(lambda v, x: self.b2 * v + (1 - self.b2) * x * x, self.v, g)
        return zip_with(
            lambda f, s, v: (f / (1 - self.b1 ** t) + self.alpha * share * s) / (math.sqrt(v / (1 - self.b2 ** t)) + self.eps),
            self.fast, self.slow, self.v)


class Kron:
    def __init__(self, b1, rate, normalize, flat_start, least, balance_every=100, scale=1, size=256, longest=25_000, original=False, pad=False):
        self.b1, self.rate, self.normalize, self.flat_start, self.least = b1, rate, normalize, flat_start, least
        self.balance_every, self.scale, self.size, self.longest, self.original = balance_every, scale, size, longest, original
        self.blocks, self.waited, self.fits, self.pad = None, 0, 0, pad

    def __call__(self, p, g, t, rate):
        shape, g = g, as_matrix(g)
        if self.blocks is None:
            full = [p.matrix and 1 < side <= self.longest for side in (len(g) // p.parts, len(g[0]))]
            self.m, self.blocks = zeros(g), cut(p, self.size, *full, self.pad)
            for block in self.blocks:
                start = math.sqrt(self.scale) if p.matrix else self.scale
                block.state = {"full": full, "q": [identity(block.rows, start), identity(block.columns, start if p.matrix else 1)]}
        if self.normalize:
            g = scaled(g, 1 / (norm(g) + 1e-16))
        self.m = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, self.m, g)
        corrected = scaled(self.m, 1 / (1 - self.b1 ** t))

        probability = max(self.least, min(1, math.exp(-0.001 * ((t - 1 if self.original else t) - self.flat_start))))
        self.waited += 1
        fit = self.waited >= 1 / probability
        if fit:
            self.waited, self.fits = 0, self.fits + 1
        balance = fit and self.fits == self.balance_every
        if balance:
            self.fits = 0

        noise = math.sqrt(2.0 ** -23) * sum(abs(x) for x in flat(corrected)) / sum(block.rows * block.columns for block in self.blocks)
        u = zeros(g)
        for block in self.blocks:
            x = block.of(corrected)
            if fit:
                x_with_noise = self.fit(p, block, x, noise, block.of_repeated(as_matrix(p.drawn["probes"][t - 1])), balance)
                x = x_with_noise if self.original else x
            left, right = block.state["q"]
            block.put(u, mul(mul(mul(transpose(left), left), x), mul(transpose(right), right)))
        return like(scaled(u, 1 / max(1, norm(u) / math.sqrt(len(flat(u))) / 1.1)), shape)

    def fit(self, p, block, x, noise, probe, balance):
        left, right = block.state["q"]
        if balance and p.matrix:
            middle = math.sqrt(largest(left) * largest(right))
            left, right = scaled(left, middle / largest(left)), scaled(right, middle / largest(right))
        x = zip_with(lambda value, v: value + noise * v, x, probe)
        a = mul(mul(left, x), transpose(right))
        b = mul(mul(transpose(inverse_of_triangle(left)), probe), inverse_of_triangle(right))
        squares = [[mul(c, transpose(c)) for c in (a, b)], [mul(transpose(c), c) for c in (a, b)]]
        fitted = [left, right] if p.matrix else [left]
        block.state["q"] = [
            self.moved(q, first, second, full) for q, (first, second), full in zip(fitted, squares, block.state["full"])] + [right] * (2 - len(fitted))
        return x

    def moved(self, q, first, second, full):
        if not full:
            first, second = diagonal(first), diagonal(second)
        total = zip_with(lambda s, t: s + t, first, second)
        bound = self.bound(total) if full else largest(total)
        step = mul(triangle(zip_with(lambda s, t: s - t, first, second)), q)
        return zip_with(lambda old, s: old - self.rate / bound * s, q, step)

    @staticmethod
    def bound(m):
        """A cheap lower bound of a symmetric matrix's spectral norm."""
        top = largest(m)
        m = scaled(m, 1 / top)
        column = max(transpose(m), key=norm)
        x = mul([column], m)
        return top * norm(mul(scaled(x, 1 / norm(x)), transpose(m)))


class Soap:
    def __init__(self, b1, b2, sb, eps, frequency, size=256, longest=10_000, original=False):
        self.b1, self.b2, self.sb, self.eps, self.frequency = b1, b2, sb, eps, frequency
        self.size, self.longest, self.original, self.blocks = size, longest, original, None

    def __call__(self, p, g, t, rate):
        shape, g = g, as_matrix(g)
        if self.blocks is None:
            full = [side <= self.longest if p.matrix else not self.original for side in (len(g) // p.parts, len(g[0]))]
            self.blocks = cut(p, self.size, full[0], p.matrix and full[1])
            bases = p.drawn.setdefault("bases", {})
            for block in self.blocks:
                averages = [scaled(square, 1 - self.sb) for square in self.squares(block.of(g))]
                sides = [side for side in (0, 1) if full[side] and (p.matrix or side == 0)]
                if block.index not in bases:
                    bases[block.index] = [eigenvectors(averages[side]) if side in sides else None for side in (0, 1)]
                block.state = {
                    "sides": sides, "averages": averages, "m": zeros(block.of(g)), "v": zeros(block.of(g)),
                    "q": [bases[block.index][side] if side in sides else identity(len(averages[side])) for side in (0, 1)]}
            return None if self.original else zeros(shape)
        n = t - 1 if self.original else t
        u = zeros(g)
        for block in self.blocks:
            block.put(u, self.move(block, block.of(g), n))
        return like(u, shape)

    def move(self, block, g, n):
        s = block.state
        left, right = s["q"]
        rotated = lambda x: mul(mul(transpose(left), x), right)
        s["m"] = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, s["m"], g)
        s["v"] = zip_with(lambda v, x: self.b2 * v + (1 - self.b2) * x * x, s["v"], rotated(g))
        u = zip_with(lambda m, v: m / (math.sqrt(v) + self.eps), rotated(s["m"]), s["v"])
        u = scaled(mul(mul(left, u), transpose(right)), math.sqrt(1 - self.b2 ** n) / (1 - self.b1 ** n))
        refresh = n % self.frequency == 0
        if refresh and not self.original:
            self.refresh(s)
        s["averages"] = [
            zip_with(lambda a, x: self.sb * a + (1 - self.sb) * x, average, square) for average, square in zip(s["averages"], self.squares(g))]
        if refresh and self.original:
            self.refresh(s)
        return u

    @staticmethod
    def refresh(s):
        for side in s["sides"]:
            average, q = s["averages"][side], s["q"][side]
            estimates = [sum(x * y for x, y in zip(mul([column], average)[0], column)) for column in transpose(q)]
            order = sorted(range(len(q)), key=lambda i: -estimates[i])
            s["v"] = [s["v"][i] for i in order] if side == 0 else [[row[i] for i in order] for row in s["v"]]
            s["q"][side] = orthonormal([[row[i] for i in order] for row in mul(average, q)])

    @staticmethod
    def squares(g):
        return [mul(g, transpose(g)), mul(transpose(g), g)]


class Sophia:
    def __init__(self, b1, b2, gamma, eps, interval, targets=0, correct=False):
        """With targets it is G, whose gradients under drawn labels are of the mean over so many; else H."""
        self.b1, self.b2, self.gamma, self.eps, self.interval = b1, b2, gamma, eps, interval
        self.targets, self.correct, self.m = targets, correct, None

    def __call__(self, p, g, t, rate):
        if self.m is None:
            self.m, self.h = zeros(g), zeros(g)
        self.m = zip_with(lambda m, x: self.b1 * m + (1 - self.b1) * x, self.m, g)
        mean = scaled(self.m, 1 / (1 - self.b1 ** t)) if self.correct else self.m
        u = zip_with(lambda m, h: max(-1, min(1, m / max(self.gamma * h, self.eps))), mean, self.h)
        if t % self.interval == 0:
            estimate = p.drawn["estimates"][t - 1]
            if self.targets:
                estimate = zip_with(lambda x: self.targets * x * x, p.drawn["sampled"][t - 1])
            self.h = zip_with(lambda h, x: self.b2 * h + (1 - self.b2) * x, self.h, estimate)
        return u


class Rule:
    def __init__(self, roles, rate, direction, wd=0.0, clip=0.0, clip_each=False, hyperball=False, correction=None, decay_after=False):
        self.roles, self.rate, self.direction, self.wd, self.clip = roles, rate, direction, wd, clip
        self.clip_each, self.hyperball, self.correction, self.decay_after = clip_each, hyperball, correction, decay_after
        self.directions, self.previous = {}, {}


ALL = ("hidden", "embedding", "head", "norm", "bias")
VECTORS = ("norm", "bias")
MATRICES = ("hidden", "embedding", "head")
DECAY_ON = {"matrices": MATRICES, "linear": ("hidden", "head"), "all": ALL}


def run(rules, parameters, grads, factors, decay="scheduled", decay_on="matrices", caution=False, cautious_decay=False):
    for t, (step_grads, factor) in enumerate(zip(grads, factors), 1):
        taken = set()
        for rule in rules:
            mine = [name for name, p in parameters.items() if p.role in rule.roles and name not in taken]
            taken.update(mine)
            g = {name: step_grads[name] for name in mine}
            if rule.correction:
                for name in mine:
                    old = rule.previous.get(name) or zeros(g[name])
                    rule.previous[name] = g[name]
                    g[name] = zip_with(lambda x, y: x + rule.correction * (x - y), g[name], old)
            if rule.clip:
                together = norm(*g.values())
                sizes = {name: norm(g[name]) if rule.clip_each else together for name in mine}
                g = {name: scaled(g[name], min(1, rule.clip / sizes[name])) for name in mine}
            for name in mine:
                p = parameters[name]
                rate = rule.rate * factor
                u = rule.directions.setdefault(name, rule.direction())(p, g[name], t, rate)
                if u is None:
                    continue
                wd = rule.wd if p.role in DECAY_ON[decay_on] else 0
                shrink = wd * {"scheduled": rate, "decoupled": factor, "corrected": rate * factor}[decay]
                if caution:
                    kept = zip_with(lambda x, y: float(x * y > 0), u, g[name])
                    share = max(sum(flat(kept)) / len(flat(kept)), 1e-3)
                    u = zip_with(lambda x, k: x * k / share, u, kept)
                if rule.hyperball:
                    size = norm(p.w)
                    moved = zip_with(lambda w, x: w - rate * size / norm(u) * x, p.w, u)
                    p.w = scaled(moved, size / norm(moved))
                elif rule.decay_after:
                    p.w = zip_with(lambda w, x: (w - rate * x) * (1 - shrink), p.w, u)
                else:
                    p.w = zip_with(
                        lambda w, x: w - rate * x - shrink * (w if not cautious_decay or x * w >= 0 else 0), p.w, u)


def schedule_free(parameters, grads, factors, lr, b1, b2, eps, wd):
    """Returns the average; the parameters end at y."""
    z = {name: p.w for name, p in parameters.items()}
    v = {name: zeros(p.w) for name, p in parameters.items()}
    total = highest = 0.0
    for t, (step_grads, factor) in enumerate(zip(grads, factors), 1):
        rate = lr * factor
        highest = max(highest, rate)
        total += highest ** 2
        c = highest ** 2 / total
        for name, p in parameters.items():
            g = step_grads[name]
            v[name] = zip_with(lambda s, x: b2 * s + (1 - b2) * x * x, v[name], g)
            decay = wd if p.role in MATRICES else 0
            d = zip_with(lambda x, s, w: x / (math.sqrt(s / (1 - b2 ** t)) + eps) + decay * w, g, v[name], p.w)
            p.w = zip_with(lambda w, q, x: (1 - c) * w + c * q - rate * (1 - b1 * (1 - c)) * x, p.w, z[name], d)
            z[name] = zip_with(lambda q, x: q - rate * x, z[name], d)
    return {name: zip_with(lambda w, q: w + (1 - 1 / b1) * (q - w), p.w, z[name]) for name, p in parameters.items()}


def adamw(lr, b1=0.9, b2=0.95, eps=1e-8, wd=0.1, **more):
    return Rule(ALL, lr, lambda: Adam(b1, b2, eps), wd, **more)


def rest(lr, ratio=0.3, b1=0.8, b2=0.98, eps=1e-10, **more):
    return Rule(ALL, lr * ratio, lambda: Adam(b1, b2, eps), **more)


def cases():
    """(config, rules, options of run)"""
    yield "adamw", [adamw(3e-3)], {}
    yield {"type": "adamw", "preset": "study"}, [adamw(8e-3, b2=0.98, eps=1e-10, clip=1)], {"decay_on": "linear"}
    yield {"type": "adamw", "weightDecay": 0.02, "decay": "decoupled"}, [adamw(3e-3, wd=0.02)], {"decay": "decoupled"}
    yield {"type": "adamw", "weightDecay": 2, "decay": "corrected"}, [adamw(3e-3, wd=2)], {"decay": "corrected"}
    yield ({"type": "adamw", "weightDecay": 5, "cautiousDecay": True, "decayOn": "all"},
           [adamw(3e-3, wd=5)], {"cautious_decay": True, "decay_on": "all"})
    yield "nadamw", [Rule(ALL, 3e-3, lambda: Adam(0.95, 0.98, 1e-8, nesterov=True), 0.1)], {}
    yield {"type": "nadamw", "preset": "original"}, [Rule(ALL, 2e-3, lambda: Adam(0.9, 0.999, 1e-8, nesterov=True, psi=4e-3))], {}
    mars = 0.025 * 0.95 / (1 - 0.95)
    yield ({"type": "mars", "preset": "study"},
           [Rule(ALL, 8e-3, lambda: Adam(0.95, 0.98, 1e-25), 0.1, clip=1, correction=mars)], {"decay_on": "linear"})
    yield ({"type": "mars", "preset": "original", "base": "lion", "learningRate": 3e-4, "weightDecay": 0.1, "vectors": {"ratio": 10}},
           [Rule(MATRICES, 3e-4, lambda: mean(0.95, signed=True), 0.1, clip=1, clip_each=True, correction=mars),
            Rule(VECTORS, 3e-3, lambda: Adam(0.9, 0.95, 1e-8), 0.1)], {"decay_on": "all"})
    yield "cautious", [Rule(ALL, 3e-3, lambda: Adam(0.95, 0.98, 1e-8), 0.1)], {"caution": True}
    yield ({"type": "cautious", "preset": "original", "weightDecay": 1},
           [Rule(ALL, 1e-3, lambda: Adam(0.9, 0.999, 1e-6, eps_before=True), 1)], {"caution": True, "decay_on": "all"})
    yield "lion", [Rule(ALL, 5e-4, lambda: Momentum(0.9, 0.1, 0.95, 0.05, True), 0.6)], {}
    yield ({"type": "lion", "caution": True, "cautiousDecay": True},
           [Rule(ALL, 5e-4, lambda: Momentum(0.9, 0.1, 0.95, 0.05, True), 0.6)], {"caution": True, "cautious_decay": True})
    yield ("adam-mini",
           [Rule(MATRICES, 3e-3, lambda: AdamMini(0.9, 0.98, 1e-8), 0.1), Rule(VECTORS, 3e-3, lambda: Adam(0.9, 0.98, 1e-8))], {})
    yield {"type": "adam-mini", "preset": "original"}, [Rule(ALL, 1e-3, lambda: AdamMini(0.9, 0.999, 1e-8))], {}
    yield "muon", [Rule(("hidden",), 2e-2, lambda: Orthogonal(heavy_ball(0.95, True), 5, 1e-7), 0.1), rest(2e-2, wd=0.1)], {}
    yield ({"type": "muon", "preset": "study", "splitHeads": True, "newtonSchulz": {"steps": 5}},
           [Rule(("hidden",), 1.6e-2, lambda: Orthogonal(heavy_ball(0.95, True), 5, 1e-5, split_heads=True), 0.1),
            rest(1.6e-2, 0.2, eps=1e-15, wd=0.1, clip=1)], {"decay_on": "linear"})
    yield ({"type": "muon", "preset": "moonlight", "nesterov": False, "roles": ["hidden", "head"]},
           [Rule(("hidden", "head"), 1e-3, lambda: Orthogonal(heavy_ball(0.95), 5, 1e-7, "matchRms"), 0.1),
            rest(1e-3, 1, 0.9, 0.95, 1e-8, wd=0.1)], {"decay_on": "all"})
    yield "normuon", [Rule(("hidden",), 2e-2, lambda: Orthogonal(mean(0.95, nesterov=True), 5, 1e-7, row_beta=0.95), 0.1), rest(2e-2, wd=0.1)], {}
    yield ("muonh", [Rule(("hidden",), 2e-2, lambda: Orthogonal(heavy_ball(0.95, True), 5, 1e-8, "one"), hyperball=True),
                     rest(2e-2, 0.15, 0.9, 0.95, 1e-8)], {})
    yield "adamh", [Rule(("hidden",), 2e-2, lambda: Adam(0.9, 0.95, 1e-8), hyperball=True), rest(2e-2, 0.15, 0.9, 0.95, 1e-8)], {}
    yield ("scion", [Rule(("hidden",), 1e-2, lambda: Orthogonal(mean(0.95), 5, 1e-7), 0.1), Rule(ALL, 2e-3, lambda: Ball("sign", 0.95), 0.1)], {})
    yield ({"type": "scion", "preset": "original"},
           [Rule(("hidden",), 50 / 4096, lambda: Orthogonal(mean(0.9), 5, 1e-7, "maximalUpdate"), 1 / 50),
            Rule(MATRICES, 3000 / 4096, lambda: Ball("signPerInput", 0.9), 1 / 3000),
            Rule(VECTORS, 50 / 4096, lambda: Ball("rms", 0.9), 1 / 50)], {"decay_on": "all"})
    yield ({"type": "scion", "preset": "study"},
           [Rule(("hidden",), 1.6e-2, lambda: Orthogonal(mean(0.95), 10, 1e-15), 0.1),
            Rule(ALL, 3.2e-3, lambda: mean(0.95, signed=True), 0.1, clip=1)], {"decay_on": "linear"})
    yield ({"type": "scion", "tables": "rms", "vectors": "rms", "clipNorm": 0.5},
           [Rule(("hidden",), 1e-2, lambda: Orthogonal(mean(0.95), 5, 1e-7), 0.1), Rule(ALL, 2e-3, lambda: Ball("rms", 0.95), 0.1, clip=0.5)], {})
    yield ({"type": "kron", "learningRate": 0.02, "blockSize": 3, "balanceEvery": 2},
           [Rule(ALL, 0.02, lambda: Kron(0.95, 0.2, True, 500, 0.05, 2, size=3), 0.5)], {})
    for pad in (False, True):
        yield ({"type": "kron", "preset": "study", "learningRate": 0.02, "normalize": False, "flatStart": 0, "balanceEvery": 2, "initialScale": 2,
                "blockSize": 3, "maxDimension": 4} | ({} if pad else {"padBlocks": False}),
               [Rule(ALL, 0.02, lambda: Kron(0.95, 0.2, False, 0, 0.05, 2, scale=2, size=3, longest=4, pad=pad), 0.5, clip=1)], {"decay_on": "linear"})
    yield ({"type": "kron", "preset": "original", "learningRate": 0.02, "weightDecay": 0.1},
           [Rule(ALL, 0.02, lambda: Kron(0.9, 0.1, False, 500, 0.03, original=True), 0.1)], {})
    yield {"type": "soap", "blockSize": 3, "frequency": 4}, [Rule(ALL, 4e-3, lambda: Soap(0.95, 0.99, 0.95, 1e-8, 4, size=3), 0.1)], {}
    yield ({"type": "soap", "preset": "study", "blockSize": 3, "maxDimension": 4, "frequency": 4},
           [Rule(ALL, 8e-3, lambda: Soap(0.95, 0.99, 0.98, 1e-15, 4, size=3, longest=4), 0.1, clip=1)], {"decay_on": "linear"})
    yield ({"type": "soap", "preset": "original", "frequency": 2},
           [Rule(ALL, 3e-3, lambda: Soap(0.95, 0.95, 0.95, 1e-8, 2, original=True), 0.01, decay_after=True)], {"decay_on": "all"})
    yield ({"type": "soap", "preset": "original", "blockSize": 3, "maxDimension": 4, "frequency": 2, "weightDecay": 1},
           [Rule(ALL, 3e-3, lambda: Soap(0.95, 0.95, 0.95, 1e-8, 2, size=3, longest=4, original=True), 1, decay_after=True)], {"decay_on": "all"})
    yield ({"type": "sophia", "preset": "original", "learningRate": 4e-3, "beta2": 0.9, "gamma": 0.5, "interval": 2},
           [Rule(ALL, 4e-3, lambda: Sophia(0.965, 0.9, 0.5, 1e-15, 2, TARGETS), 0.1)], {"decay_on": "all"})
    yield ({"type": "sophia", "preset": "study", "gamma": 1, "interval": 2, "difference": 0.5},
           [Rule(ALL, 4e-3, lambda: Sophia(0.95, 0.9, 1, 1e-7, 2, correct=True), 0.1, clip=1)], {"decay_on": "linear"})
    yield "sgd", [Rule(ALL, 0.3, lambda: heavy_ball(0.9))], {}
    yield {"type": "sgd", "nesterov": True, "learningRate": 0.1, "clipNorm": 1}, [Rule(ALL, 0.1, lambda: heavy_ball(0.9, True), clip=1)], {}
    yield "signum", [Rule(ALL, 1e-3, lambda: mean(0.95, signed=True), 0.1)], {}
    yield {"type": "ademamix", "warmupSteps": 4}, [Rule(ALL, 3e-3, lambda: AdEMAMix(0.9, 0.98, 0.999, 5, 4, 1e-8), 0.1)], {}
    yield "schedule-free", None, {}


def parameters(rng):
    matrix = lambda rows, columns: [[round(rng.gauss(0, 0.5), 6) for _ in range(columns)] for _ in range(rows)]
    return {
        "qkv": Parameter("hidden", matrix(12, 4), parts=3, head=2, scores=(8, 2)),
        "table": Parameter("embedding", matrix(5, 4)),
        "head": Parameter("head", matrix(5, 4)),
        "gain": Parameter("norm", [round(rng.gauss(1, 0.1), 6) for _ in range(4)]),
        "bias": Parameter("bias", [round(rng.gauss(0, 0.1), 6) for _ in range(4)]),
    }


def check(path):
    """The reference against published trajectories on W [4, 6] and b [5]."""
    golden = json.loads(pathlib.Path(path).read_text())
    w, b = ("hidden",), ("norm",)
    soap = lambda **more: [Rule(ALL, 8e-3, lambda: Soap(0.95, 0.99, 0.9, 1e-10, 6, **more), 0.1, clip=1)]
    published = {
        "adamw.study": ([adamw(8e-3, b2=0.98, eps=1e-10, clip=1)], {}),
        "nadam.torch": ([Rule(ALL, 2e-3, lambda: Adam(0.9, 0.999, 1e-8, nesterov=True, psi=4e-3))], {}),
        "mars.study": ([Rule(ALL, 8e-3, lambda: Adam(0.95, 0.98, 1e-25), 0.1, clip=1, correction=0.025 * 19)], {}),
        "cautious.original": ([Rule(ALL, 1e-2, lambda: Adam(0.9, 0.999, 1e-6, eps_before=True), 0.1)], {"caution": True, "decay_on": "all"}),
        "lion.study": ([Rule(ALL, 1e-3, lambda: Momentum(0.9, 0.1, 0.95, 0.05, True), 0.7, clip=1)], {}),
        "adam_mini.original": ([Rule(ALL, 1e-2, lambda: AdamMini(0.9, 0.95, 1e-8), 0.1)], {}),
        "muon.study": ([Rule(w, 8e-3, lambda: Orthogonal(heavy_ball(0.98, True), 5, 1e-5), 0.1), rest(8e-3, eps=1e-15, clip=1)], {}),
        "normuon.original": ([Rule(w, 2e-2, lambda: Orthogonal(mean(0.95, nesterov=True), 5, 1e-7, row_beta=0.95), 0.01),
                              rest(2e-2, 0.015, 0.9, 0.95, wd=0.01)], {"decay_on": "all"}),
        "muonh.marin": ([Rule(w, 2e-2, lambda: Orthogonal(heavy_ball(0.95, True), 5, 1e-8, "one"), hyperball=True, clip=1),
                         rest(2e-2, 0.15, 0.9, 0.95, 1e-8, clip=1)], {}),
        "scion.original": ([Rule(w, 50 / 512, lambda: Orthogonal(mean(0.9), 5, 1e-7, "maximalUpdate"), 1 / 50),
                            Rule(b, 50 / 512, lambda: Ball("rms", 0.9), 1 / 50)], {"decay_on": "all"}),
        "scion.study": ([Rule(w, 8e-3, lambda: Orthogonal(mean(0.95), 10, 1e-5), 0.1),
                         Rule(b, 8e-4, lambda: mean(0.98, signed=True), clip=2)], {}),
        "kron.study": ([Rule(ALL, 1e-3, lambda: Kron(0.95, 0.2, True, 2000, 0.05), 0.5)], {}),
        "kron.study_nonorm": ([Rule(ALL, 1e-3, lambda: Kron(0.9, 0.1, False, 500, 0.05), 0.1, clip=1)], {}),
        "kron.study_sparse": ([Rule(ALL, 1e-3, lambda: Kron(0.9, 0.1, False, -3000, 0.3, 2), 0.1, clip=1)], {}),
        "kron.original": ([Rule(ALL, 3e-4, lambda: Kron(0.9, 0.1, False, 500, 0.03, original=True), 0.01)], {}),
        "soap.study": (soap(), {}),
        "soap.study_onesided": (soap(longest=5), {}),
        "soap.original": ([Rule(ALL, 3e-3, lambda: Soap(0.95, 0.95, 0.95, 1e-8, 3, original=True), 0.01, decay_after=True)], {"decay_on": "all"}),
        "sophia_g.original": ([Rule(ALL, 1e-3, lambda: Sophia(0.965, 0.99, 0.04, 1e-15, 3, 5120), 0.1)], {"decay_on": "all"}),
        "sophia_h.study": ([Rule(ALL, 4e-3, lambda: Sophia(0.95, 0.9, 0.0125, 1e-7, 3, correct=True), 0.1, clip=1)], {}),
        "ademamix.original": ([Rule(ALL, 1e-2, lambda: AdEMAMix(0.9, 0.999, 0.9999, 8, 8, 1e-8), 0.1)], {"decay_on": "all"}),
    }
    for case in golden["cases"]:
        if case["name"] in published:
            rules, options = published[case["name"]]
            start = golden["params"]
            moved = {"W": Parameter("hidden", start["W"]), "b": Parameter("norm", start["b"])}
            for name, p in moved.items():
                for kind, published_as in (("probes", "kron_V"), ("estimates", "sophia_h"), ("sampled", "sophia_pg")):
                    p.drawn[kind] = [step[name] for step in golden["noise"][published_as]]
                if name in case.get("extra", {}).get("Q0", {}):
                    bases = case["extra"]["Q0"][name]
                    p.drawn["bases"] = {0: bases + [None] * (2 - len(bases))}
            run(rules, moved, golden["grads"], [1] * 12, **options)
            expected = case["steps"]["12"]
            worst = max(abs(x - y) for name in moved for x, y in zip(flat(moved[name].w), flat(expected[name])))
            print(f"{case['name']}: {worst:.1e}")
            assert worst < 1e-6, case["name"]


def main():
    if len(sys.argv) > 1:
        check(sys.argv[1])
    rng = random.Random(4)
    start = parameters(rng)
    factors = [0.5, 1, 1, 0.8, 0.4, 0.2]
    grads = [{name: zip_with(lambda _: round(rng.gauss(0, 0.3), 6), p.w) for name, p in start.items()} for _ in factors]
    drawn = {
        "probes": [{name: zip_with(lambda _: round(rng.gauss(0, 1), 6), p.w) for name, p in start.items()} for _ in factors],
        "sampled": [{name: zip_with(lambda _: round(rng.gauss(0, 0.3), 6), p.w) for name, p in start.items()} for _ in factors],
        "estimates": [{name: zip_with(lambda _: round(rng.uniform(-0.2, 1) * rng.gauss(0, 1) ** 2, 6), p.w) for name, p in start.items()} for _ in factors],
    }
    written = []
    for config, rules, options in cases():
        moved = parameters(random.Random(4))
        for name, p in moved.items():
            p.drawn = {kind: [step[name] for step in steps] for kind, steps in drawn.items()}
        case = {"optimizer": config}
        if rules is None:
            case["average"] = schedule_free(moved, grads, factors, 5e-3, 0.9, 0.98, 1e-8, 0.1)
        else:
            run(rules, moved, grads, factors, **options)
        if any("bases" in p.drawn for p in moved.values()):
            case["bases"] = {name: p.drawn["bases"] for name, p in moved.items()}
        written.append(case | {"weights": {name: p.w for name, p in moved.items()}})

    def rounded(x):
        if isinstance(x, dict):
            return {key: rounded(value) for key, value in x.items()}
        return [rounded(value) for value in x] if isinstance(x, list) else round(x, 9) if isinstance(x, float) else x

    lines = ",\n".join(json.dumps(case) for case in rounded(written))
    head = json.dumps({"weights": {name: p.w for name, p in start.items()}, "factors": factors, "grads": grads, "drawn": drawn, "targets": TARGETS})[:-1]
    pathlib.Path(__file__).with_name("optimizers.json").write_text(f'{head},\n"cases": [\n{lines}\n]}}\n')


main()
