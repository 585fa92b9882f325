"""One training step of every loss and layer combination, computed apart from the Rust code: `python3 make.py` writes the JSON files beside it.

Everything is plain numpy in f64. The loss of a batch is written out as one scalar function of all trained numbers, and its gradient is taken by
central differences (five points), so no hand-written derivative is shared with the engine. Then one step of Adam is taken with the formula of
torch.optim.Adam. The step starts from moments that are not zero: from zero moments the first step of Adam is the learning rate times the sign of the
gradient, which would hide every wrong factor.

Inputs are rounded to f32, so that both sides start from the same numbers. The seed is fixed: the same numpy gives the same files.
"""

import json
import pathlib

import numpy as np

N_USERS, N_ITEMS = 7, 11
# User 6 has one item, item 10 has no user.
ITEMS_OF = [[0, 1, 2, 3], [0, 2, 5, 8], [1, 4, 5], [0, 3, 6, 7, 9], [2, 6], [0, 4, 7, 8, 9], [3]]
PAIRS = [(user, item) for user, items in enumerate(ITEMS_OF) for item in items]

# Users, positives and negatives repeat; the isolated item is a negative; examples 2 and 4 share their positive.
PAIR_USERS, PAIR_POSITIVES = [0, 3, 0, 5, 6, 2], [1, 6, 3, 0, 3, 5]
ONE_NEGATIVE = [10, 1, 7, 2, 0, 9]
TWO_NEGATIVES = [10, 6, 1, 2, 7, 7, 2, 10, 0, 8, 9, 3]
LIST_USERS = [0, 2, 5, 6]

LEARNING_RATE, ATTENTION_RATE = 0.01, 0.02
STEPS_BEFORE, M_BEFORE, V_BEFORE = 3, 0.003, 0.0001
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adjacency():
    """D^-1/2 A D^-1/2 of the training pairs, users first; a node without pairs has a row of zeros."""
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    for user, item in PAIRS:
        a[user, N_USERS + item] = a[N_USERS + item, user] = 1.0
    degree = a.sum(axis=1)
    inverse_root = np.array([1.0 / np.sqrt(d) if d > 0 else 0.0 for d in degree])
    return inverse_root[:, None] * a * inverse_root[None, :]


ADJACENCY = adjacency()


def hops_of(base, layers):
    hops = [base]
    for _ in range(layers):
        hops.append(ADJACENCY @ hops[-1])
    return hops


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def softplus(x):
    return np.logaddexp(0.0, x)


def lean(score, bound):
    """How far a logit may leave the global one."""
    return bound * np.tanh(score / bound) if bound > 0 else score


def additive(e, flat, case):
    """e: [K + 1, dim] of one node."""
    n, dim, hidden = len(e), e.shape[1], case["config"]["attention"]["hidden"]
    theta, w, b, q = np.split(flat, np.cumsum([n, hidden * dim, hidden]))
    w = w.reshape(hidden, dim)
    logits = np.array([theta[k] + lean(q @ np.tanh(w @ e[k] + b), case["bound"]) for k in range(n)])
    return softmax(logits / case["config"]["attention"]["temperature"]) @ e


def dot(e, flat, case):
    n, dim, keys = len(e), e.shape[1], case["config"]["attention"]["hidden"]
    theta, wq, wk, wv = np.split(flat, np.cumsum([n, dim * keys, dim * keys]))
    wq, wk, wv = wq.reshape(dim, keys), wk.reshape(dim, keys), wv.reshape(dim, dim)
    scores = (e @ wq) @ (e @ wk).T / np.sqrt(keys)
    p = np.array([softmax(theta + lean(line, case["bound"])) for line in scores])
    return (p @ (e @ wv)).mean(axis=0)


def pooled_of(hops, parameters, case):
    kind = case["config"]["combination"]
    if kind == "uniform":
        return sum(hops) / len(hops)
    if kind == "global":
        return sum(a * hop for a, hop in zip(softmax(parameters[0]), hops))
    form = additive if kind == "additive" else dot
    rows = []
    for node in range(N_USERS + N_ITEMS):
        group = parameters[0] if node < N_USERS else parameters[1]
        rows.append(form(np.array([hop[node] for hop in hops]), group, case))
    return np.array(rows)


def item_node(item):
    return N_USERS + item


def examples_of(batch, kind, settings):
    """Every example as (user, positive, negative or None, label), items as nodes."""
    examples, negatives = [], settings.get("n_negatives", 0)
    if batch["list_ptr"]:
        for q, user in enumerate(batch["users"]):
            for positive in batch["positives"][batch["list_ptr"][q] : batch["list_ptr"][q + 1]]:
                examples.append((user, item_node(positive), None, 1.0))
        return examples
    for b, (user, positive) in enumerate(zip(batch["users"], batch["positives"])):
        sampled = batch["negatives"][b * negatives : (b + 1) * negatives]
        if kind == "bpr":
            examples += [(user, item_node(positive), item_node(j), 1.0) for j in sampled]
        else:
            examples.append((user, item_node(positive), None, 1.0))
            examples += [(user, item_node(j), None, -1.0) for j in sampled]
    return examples


def unit(x):
    return x / np.sqrt(x @ x)


def losses(base, parameters, case, batch):
    """(the loss of every example, the weight decay of the batch)."""
    ((kind, settings),) = case["objective"].items()
    hops = hops_of(base, case["config"]["layers"])
    f = pooled_of(hops, parameters, case)
    examples = examples_of(batch, kind, settings)
    all_items = kind == "softmax" or settings.get("candidates") == "all"
    values = []
    for user, item, negative, label in examples:
        if kind == "bpr":
            values.append(softplus(-(f[user] @ f[item] - f[user] @ f[negative])))
        elif kind == "mse":
            values.append((f[user] @ f[item] - label) ** 2)
        elif kind == "logistic":
            values.append(softplus(-label * (f[user] @ f[item])))
        else:
            candidates = range(N_USERS, N_USERS + N_ITEMS) if all_items else [example[1] for example in examples]
            scores = np.array([unit(f[user]) @ unit(f[j]) for j in candidates]) / settings["tau"]
            log_sum = scores.max() + np.log(np.exp(scores - scores.max()).sum())
            values.append(-(unit(f[user]) @ unit(f[item])) / settings["tau"] + settings.get("t2", 1.0) * log_sum)
    every_layer = kind == "ssm" or settings.get("candidates") == "batch"
    decay = 0.0
    for user, item, negative, _ in examples:
        for node in [user, item] + ([negative] if negative is not None else []):
            decay += sum(hop[node] @ hop[node] for hop in (hops if every_layer else hops[:1]))
    return np.array(values), settings["l2"] / 2 * decay / len(examples)


def objective(base, parameters, case, batch):
    values, decay = losses(base, parameters, case, batch)
    return values.mean() + decay


def frozen_of(case):
    """Parameters that do not learn: the global logits under a fixed prior, and W_v of a bounded dot attention."""
    config, ranges = case["config"], []
    dim, n = config["dim"], config["layers"] + 1
    if case["lesson"] and case["lesson"]["fixed_prior"]:
        ranges.append([0, n])
    if config["combination"] == "dot" and case["bound"] > 0:
        start = n + 2 * dim * config["attention"]["hidden"]
        ranges.append([start, start + dim * dim])
    return ranges


def differences(f, x, step=5e-4):
    """The gradient of f at x: (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h, one number at a time."""
    gradient = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        value, ahead = x[at], []
        for n in [1, -1, 2, -2]:
            x[at] = value + n * step
            ahead.append(f())
        x[at] = value
        gradient[at] = (8 * (ahead[0] - ahead[1]) - (ahead[2] - ahead[3])) / (12 * step)
    return gradient


def adam(x, gradient, m, v, rate):
    """torch.optim.Adam, step STEPS_BEFORE + 1."""
    t = STEPS_BEFORE + 1
    m = BETA1 * m + (1 - BETA1) * gradient
    v = BETA2 * v + (1 - BETA2) * gradient**2
    return x - rate * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)


def as_f32(x):
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def start(case, random):
    """Base table and parameters, none of them at a special place."""
    config = case["config"]
    dim, n = config["dim"], config["layers"] + 1
    base = as_f32(0.5 * random.standard_normal((N_USERS + N_ITEMS, dim + (2 if config.get("biases") else 0))))
    if config.get("biases"):
        base[:N_USERS, dim + 1] = 1.0
        base[N_USERS:, dim] = 1.0
    kind, hidden = config["combination"], config["attention"]["hidden"]
    draw = lambda size, std: std * random.standard_normal(size)
    groups = []
    if kind == "global":
        groups = [draw(n, 0.5)]
    if kind == "additive":
        groups = [np.concatenate([draw(n, 0.5), draw(hidden * dim, 0.6), draw(hidden, 0.3), draw(hidden, 0.8)]) for _ in range(2)]
    if kind == "dot":
        value = lambda: (np.eye(dim) + draw((dim, dim), 0.3)).ravel()
        groups = [np.concatenate([draw(n, 0.5), draw(2 * dim * hidden, 0.5), value()]) for _ in range(2)]
    return base, [as_f32(group) for group in groups]


def batch_for(objective):
    ((kind, settings),) = objective.items()
    batch = {"users": PAIR_USERS, "positives": PAIR_POSITIVES, "negatives": [], "list_ptr": []}
    if kind == "softmax" or settings.get("candidates") == "all":
        ends = np.cumsum([0] + [len(ITEMS_OF[user]) for user in LIST_USERS])
        positives = [item for user in LIST_USERS for item in ITEMS_OF[user]]
        return {"users": LIST_USERS, "positives": positives, "negatives": [], "list_ptr": ends.tolist()}
    if settings.get("n_negatives") == 1:
        batch["negatives"] = ONE_NEGATIVE
    if settings.get("n_negatives") == 2:
        batch["negatives"] = TWO_NEGATIVES
    return batch


def short(x):
    return [float(f"{value:.9g}") for value in np.ravel(x)]


def take(case, random):
    """Adds to a case its start and what one step makes of it."""
    config = case["config"]
    base, parameters = start(case, random)
    batch, lesson = case["batch"], case["lesson"]
    d_base = differences(lambda: objective(base, parameters, case, batch), base)
    if config.get("biases"):
        # The columns that hold the constant 1 are not trained.
        d_base[:N_USERS, config["dim"] + 1] = 0.0
        d_base[N_USERS:, config["dim"]] = 0.0
    # Layer weights learn from the lesson where there is one, at the layers before this step.
    taught, taught_by = (case | {"objective": LESSON}, lesson["batch"]) if lesson else (case, batch)
    d_parameters = [differences(lambda: objective(base, parameters, taught, taught_by), group) for group in parameters]
    held = []
    for group, gradient in zip(parameters, d_parameters):
        m, v = np.full_like(group, M_BEFORE), np.full_like(group, V_BEFORE)
        for first, end in case["frozen"]:
            for array in (gradient, m, v):
                array[first:end] = 0.0
        held.append(adam(group, gradient, m, v, ATTENTION_RATE))
    moments = np.full_like(base, M_BEFORE), np.full_like(base, V_BEFORE)
    if config.get("biases"):
        for array in moments:
            array[:N_USERS, config["dim"] + 1] = 0.0
            array[N_USERS:, config["dim"]] = 0.0
    case |= {
        "base": short(base),
        "parameters": [short(group) for group in parameters],
        "expected": {
            "loss": short(losses(base, parameters, case, batch)[0]),
            "base_gradient": short(d_base),
            "base": short(adam(base, d_base, *moments, LEARNING_RATE)),
            "parameter_gradients": [short(gradient) for gradient in d_parameters],
            "parameters": [short(group) for group in held],
        },
    }
    return case


BPR = {"bpr": {"l2": 0.05, "n_negatives": 1}}
SOFTMAX = {"softmax": {"tau": 0.5, "l2": 0.05}}
# What a lesson is taken with, whatever the loss of the embeddings: the all-item softmax with its default temperature and no weight decay.
LESSON = {"softmax": {"tau": 0.25, "l2": 0.0}}


def case(name, objective, combination="uniform", layers=3, dim=5, hidden=4, temperature=1.0, bound=0.0, biases=False, lesson=None):
    attention = {"hidden": hidden, "temperature": temperature, "learning_rate": ATTENTION_RATE}
    config = {"layers": layers, "dim": dim, "combination": combination, "biases": biases, "attention": attention}
    made = {
        "name": name, "n_users": N_USERS, "n_items": N_ITEMS, "pairs": PAIRS, "config": config, "objective": objective, "bound": bound,
        "learning_rate": LEARNING_RATE, "steps_before": STEPS_BEFORE, "m_before": M_BEFORE, "v_before": V_BEFORE,
        "batch": batch_for(objective), "lesson": lesson,
    }
    return made | {"frozen": frozen_of(made)}


def cases():
    yield case("lightgcn-bpr", BPR)
    yield case("lightgcn-bpr-dim-17", BPR, dim=17, layers=2)
    yield case("mf-bpr", BPR, layers=0)
    yield case("mf-biases-bpr", BPR, layers=0, biases=True)
    yield case("mf-biases-mse", {"mse": {"l2": 0.05, "n_negatives": 1}}, layers=0, biases=True)
    for loss, objective in [("bpr", BPR), ("softmax", SOFTMAX)]:
        yield case(f"global-{loss}", objective, "global")
        yield case(f"additive-{loss}", objective, "additive")
        yield case(f"additive-warm-{loss}", objective, "additive", layers=2, temperature=1.7)
        yield case(f"additive-bound-{loss}", objective, "additive", layers=2, bound=0.5)
        yield case(f"dot-{loss}", objective, "dot", layers=2)
        yield case(f"dot-bound-{loss}", objective, "dot", layers=3, bound=0.5)
    # The embeddings learn from BPR, the layer weights from a lesson on the training pairs: freely, or beside a fixed prior.
    for name, fixed in [("lesson", False), ("fixed-prior", True)]:
        on_training = {"pairs": PAIRS, "batch": batch_for(SOFTMAX), "fixed_prior": fixed}
        yield case(f"additive-{name}-bpr", BPR, "additive", bound=0.5, lesson=on_training)
        yield case(f"dot-{name}-bpr", BPR, "dot", layers=2, bound=0.5, lesson=on_training)
    yield case("additive-softmax-dim-17", SOFTMAX, "additive", layers=2, dim=17, hidden=3)
    yield case("dot-softmax-dim-17", SOFTMAX, "dot", layers=2, dim=17, hidden=3)
    # Pairs that the embeddings never learn from; they are no training pairs.
    lists = {"users": [1, 4, 5], "positives": [3, 0, 8, 2], "negatives": [], "list_ptr": [0, 1, 3, 4]}
    held_out = {"pairs": [(1, 3), (4, 0), (4, 8), (5, 2)], "batch": lists, "fixed_prior": False}
    yield case("global-held-out-bpr", BPR, "global", lesson=held_out)
    yield case("lightgcn-bpr-two-negatives", {"bpr": {"l2": 0.05, "n_negatives": 2}})
    yield case("lightgcn-ssm", {"ssm": {"tau": 0.5, "l2": 0.05}})
    yield case("lightgcn-softmax", SOFTMAX)
    yield case("lightgcn-softmax-dim-17", SOFTMAX, dim=17, layers=2)
    yield case("lightgcn-bsl-all", {"bsl": {"tau": 0.5, "t2": 1.2, "candidates": "all", "l2": 0.05}})
    yield case("lightgcn-bsl-batch", {"bsl": {"tau": 0.5, "t2": 0.8, "candidates": "batch", "l2": 0.05}})
    yield case("lightgcn-mse", {"mse": {"l2": 0.05, "n_negatives": 2}})
    yield case("lightgcn-logistic", {"logistic": {"l2": 0.05, "n_negatives": 1}})
    yield case("additive-ssm", {"ssm": {"tau": 0.5, "l2": 0.05}}, "additive")


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    for one in cases():
        # A generator per case: adding a case leaves the others as they are.
        name = one["name"]
        text = json.dumps(take(one, np.random.default_rng([2020, *name.encode()])), separators=(",", ":"))
        (here / f"{name}.json").write_text(text + "\n")
        print(f"{name}: {len(text)} bytes")
