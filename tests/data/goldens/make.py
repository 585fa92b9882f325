"""Makes the golden files of tests/it/goldens.rs: metrics of small seeded cases, as RecBole 1.2.1 and ranx 0.3.21 compute them. Run by hand, never in CI:

    python3 -m venv venv && venv/bin/pip install "numpy<2" scikit-learn ranx==0.3.21
    venv/bin/pip download --no-deps recbole==1.2.1 && unzip recbole-1.2.1-py3-none-any.whl -d recbole-1.2.1
    venv/bin/python make.py recbole-1.2.1

Only RecBole's metric classes are loaded, not the whole package: it pins an old PyTorch, of which the metrics need one function (`torch.split`), given here.
Lists are sorted here, ties to the lower id: which of tied items torch.topk takes is undefined, and that is the one thing that is not compared.
"""

import importlib.util
import json
import math
import pathlib
import sys
import types
from collections import Counter

import numpy as np
import sklearn.metrics  # before RecBole, which uses it

np.float, np.bool = float, bool  # RecBole 1.2.1 was written for an older NumPy


class Tensor:
    """As much of a tensor as the metrics ask for."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def numpy(self):
        return self.values

    def to(self, kind):
        return Tensor(self.values.astype(kind))

    def squeeze(self, axis):
        return Tensor(np.squeeze(self.values, axis))


def load_recbole(folder):
    torch = types.ModuleType("torch")
    torch.bool = bool

    def split(tensor, sizes, dim):
        parts = np.split(tensor.values, np.cumsum(sizes)[:-1], axis=dim)
        return [Tensor(part) for part in parts]

    torch.split = split
    sys.modules["torch"] = torch
    for name in ["recbole", "recbole.evaluator", "recbole.utils"]:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["recbole.utils"].EvaluatorType = types.SimpleNamespace(RANKING=1, VALUE=2)
    for name in ["utils", "base_metric", "metrics"]:
        path = pathlib.Path(folder) / "recbole" / "evaluator" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"recbole.evaluator.{name}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    del sys.modules["torch"]  # others would take it for the real one
    return sys.modules["recbole.evaluator.metrics"]


def make_case(seed, n_users, n_items, levels):
    """Scores with many ties, some users without held-out items, some with more of them than fit into a list."""
    random = np.random.default_rng(seed)
    scores = random.integers(-levels, levels + 1, (n_users, n_items)) / 4
    relevant, seen = [], []
    for user in range(n_users):
        items = random.permutation(n_items)
        n_relevant = 0 if user % 5 == 3 else int(random.integers(1, 8))
        n_seen = int(random.integers(0, 5))
        relevant += [[user, int(item)] for item in sorted(items[:n_relevant])]
        seen += [[user, int(item)] for item in sorted(items[n_relevant : n_relevant + n_seen])]
    return {"n_users": n_users, "n_items": n_items, "scores": scores.tolist(), "relevant": relevant, "seen": seen}


def ranked_lists(case):
    """For each user with held-out items: the items that may be ranked, best first; the held-out items; the scores."""
    for user in range(case["n_users"]):
        relevant = {item for u, item in case["relevant"] if u == user}
        seen = {item for u, item in case["seen"] if u == user}
        scores = case["scores"][user]
        order = sorted((item for item in range(case["n_items"]) if item not in seen), key=lambda item: (-scores[item], item))
        if relevant:
            yield order, relevant, scores


def recbole_ranking(metrics, case, ks):
    """Every ranking metric of RecBole. Its item ids start at 1: 0 is padding."""
    lists = list(ranked_lists(case))
    longest = max(ks)
    hits = np.zeros((len(lists), longest + 1), dtype=int)
    for row, (order, relevant, _) in enumerate(lists):
        hits[row, : min(longest, len(order))] = [item in relevant for item in order[:longest]]
        hits[row, longest] = len(relevant)
    config = {"metric_decimal_place": 16, "topk": ks, "tail_ratio": case["tail_ratio"]}
    found = {}
    data = {"rec.topk": Tensor(hits)}
    for name in ["Recall", "Precision", "NDCG", "Hit", "MRR"]:
        found.update(getattr(metrics, name)(config).calculate_metric(data))
    for k in ks:  # its MAP caps the denominator at the longest cut-off, so one is asked for at a time
        alone = Tensor(np.concatenate([hits[:, :k], hits[:, -1:]], axis=1))
        found.update(metrics.MAP({**config, "topk": [k]}).calculate_metric({"rec.topk": alone}))

    full = [k for k in ks if k <= min(len(order) for order, _, _ in lists)]
    items = Tensor([[item + 1 for item in order[: max(full)]] for order, _, _ in lists])
    counts = Counter(item + 1 for _, item in case["seen"])
    data = {"rec.items": items, "data.num_items": case["n_items"] + 1, "data.count_items": counts}
    config = {**config, "topk": full}
    for name in ["ItemCoverage", "GiniIndex", "ShannonEntropy", "TailPercentage"]:
        values = getattr(metrics, name)(config).calculate_metric(data)
        found.update({key.replace("@", "(recbole)@"): value for key, value in values.items()})
    found.update(metrics.AveragePopularity(config).calculate_metric(data))

    ranks = []
    for order, relevant, scores in lists:
        def mean_rank(item):
            above = sum(scores[other] > scores[item] for other in order)
            tied = sum(scores[other] == scores[item] for other in order)
            return above + (tied + 1) / 2
        ranks.append([sum(mean_rank(item) for item in relevant), len(order), len(relevant)])
    gauc = metrics.GAUC(config).calculate_metric({"rec.meanrank": Tensor(np.array(ranks, dtype=float))})
    found["gauc(recbole)"] = gauc["gauc"]
    return {key: float(value) for key, value in found.items()}


def ranx_ranking(case, ks):
    """The metrics on which ranx agrees by definition. Ranks stand for scores, so that ties cannot fall otherwise."""
    from ranx import Qrels, Run, evaluate

    qrels, run = {}, {}
    for row, (order, relevant, _) in enumerate(ranked_lists(case)):
        qrels[f"u{row}"] = {f"i{item}": 1 for item in relevant}
        run[f"u{row}"] = {f"i{item}": float(len(order) - rank) for rank, item in enumerate(order)}
    names = {"recall": "recall", "precision": "precision", "ndcg": "ndcg", "hit_rate": "hit", "mrr": "mrr"}
    wanted = [f"{name}@{k}" for name in names for k in ks]
    found = evaluate(Qrels(qrels), Run(run), wanted)
    return {f"{names[key.split('@')[0]]}@{key.split('@')[1]}": float(value) for key, value in found.items()}


def recbole_labeled(metrics, seed, n_rows):
    """Value metrics; RecBole is given probabilities, we are given the scores that they come from."""
    random = np.random.default_rng(seed)
    scores = random.integers(-12, 13, n_rows) / 4
    labels = random.integers(0, 2, n_rows)
    config = {"metric_decimal_place": 16}
    probabilities = np.array([1 / (1 + math.exp(-score)) for score in scores])
    value = lambda name, given: float(getattr(metrics, name)(config).metric_info(given, labels))
    expected = {
        "auc": value("AUC", scores),
        "mae": value("MAE", scores),
        "rmse": value("RMSE", scores),
        "logloss(recbole)": value("LogLoss", probabilities),
        "logloss": value("LogLoss", probabilities),
    }
    return {"scores": scores.tolist(), "labels": labels.tolist(), "recbole": expected}


def main():
    metrics = load_recbole(sys.argv[1])
    cases = []
    for seed, n_users, n_items, levels, tail_ratio in [(1, 11, 17, 2, 0.1), (2, 23, 40, 3, 0.3), (3, 7, 12, 1, 2)]:
        case = make_case(seed, n_users, n_items, levels)
        case["tail_ratio"] = tail_ratio
        ks = [1, 3, 5, n_items + 10]
        case["recbole"], case["ranx"] = recbole_ranking(metrics, case, ks), ranx_ranking(case, ks)
        cases.append(case)
    labeled = [recbole_labeled(metrics, seed, n_rows) for seed, n_rows in [(4, 9), (5, 101)]]
    target = pathlib.Path(__file__).parent / "metrics.json"
    text = json.dumps({"ranking": cases, "labeled": labeled}, separators=(",", ":"))
    target.write_text(text.replace('},{"n_users"', '},\n{"n_users"') + "\n")
    print(f"{target}: {len(cases)} rankings, {len(labeled)} labelled sets")


if __name__ == "__main__":
    main()
