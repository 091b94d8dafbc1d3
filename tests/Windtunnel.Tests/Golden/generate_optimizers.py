"""Writes optimizers.json beside this file: trajectories of every elementwise and Muon-like rule, from a reference in double
precision that shares no code with Windtunnel and needs nothing but Python.

    python3 tests/Windtunnel.Tests/Golden/generate_optimizers.py [published trajectories to check the reference against]

A case is a config as a user writes it (so that presets, names and defaults are under test too), the rate factor of each step,
and the weights after the last one. The parameters are GPT-2-like queries, keys and values (three matrices of two heads of width
2 in one), a table, a head, a gain and a bias.
"""

import json
import math
import pathlib
import random
import sys

KELLER = (3.4445, -4.7750, 2.0315)


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


class Parameter:
    def __init__(self, role, value, parts=1, head=0, scores=(0, 1)):
        self.role, self.w, self.parts, self.head, self.scores = role, value, parts, head, scores

    matrix = property(lambda self: isinstance(self.w[0], list))


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


class Rule:
    def __init__(self, roles, rate, direction, wd=0.0, clip=0.0, clip_each=False, hyperball=False, correction=None):
        self.roles, self.rate, self.direction, self.wd, self.clip = roles, rate, direction, wd, clip
        self.clip_each, self.hyperball, self.correction = clip_each, hyperball, correction
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
            rest(1.6e-2, eps=1e-15, wd=0.1, clip=1)], {"decay_on": "linear"})
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
        "ademamix.original": ([Rule(ALL, 1e-2, lambda: AdEMAMix(0.9, 0.999, 0.9999, 8, 8, 1e-8), 0.1)], {"decay_on": "all"}),
    }
    for case in golden["cases"]:
        if case["name"] in published:
            rules, options = published[case["name"]]
            start = golden["params"]
            moved = {"W": Parameter("hidden", start["W"]), "b": Parameter("norm", start["b"])}
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
    written = []
    for config, rules, options in cases():
        moved = parameters(random.Random(4))
        case = {"optimizer": config}
        if rules is None:
            case["average"] = schedule_free(moved, grads, factors, 5e-3, 0.9, 0.98, 1e-8, 0.1)
        else:
            run(rules, moved, grads, factors, **options)
        written.append(case | {"weights": {name: p.w for name, p in moved.items()}})

    def rounded(x):
        if isinstance(x, dict):
            return {key: rounded(value) for key, value in x.items()}
        return [rounded(value) for value in x] if isinstance(x, list) else round(x, 9) if isinstance(x, float) else x

    lines = ",\n".join(json.dumps(case) for case in rounded(written))
    head = json.dumps({"weights": {name: p.w for name, p in start.items()}, "factors": factors, "grads": grads})[:-1]
    pathlib.Path(__file__).with_name("optimizers.json").write_text(f'{head},\n"cases": [\n{lines}\n]}}\n')


main()
