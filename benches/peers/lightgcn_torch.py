"""Times a LightGCN training step as PyTorch users write it, beside ours. Not part of CI.

    pip install torch numpy
    cargo bench --no-run --bench step
    python benches/peers/lightgcn_torch.py ../shared/data/gowalla/train.txt.gz

Prints milliseconds of one hop alone and of a BPR step (2,048 pairs, K = 3, dim 64, dense Adam) with the adjacency in COO, as LightGCN's authors
store it, and in CSR, in turn with `cargo bench --bench step -- bpr`, which prints two of our hops on a line of their own. The model is written from the paper's equations 3, 4, 7 and 15.
"""

import gzip
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

DIM, LAYERS, BATCH, STEPS = 64, 3, 2048, 7


def read(path):
    """Pairs of a file with one user a line, followed by the user's items."""
    opener = gzip.open if path.endswith(".gz") else open
    users, items = [], []
    with opener(path, "rt") as lines:
        for line in lines:
            numbers = [int(word) for word in line.split()]
            users += numbers[:1] * (len(numbers) - 1)
            items += numbers[1:]
    return np.array(users), np.array(items)


def adjacency(users, items, n_users, n_items):
    """D^-1/2 A D^-1/2 over users and items, as a coalesced COO tensor."""
    rows = np.concatenate([users, items + n_users])
    columns = np.concatenate([items + n_users, users])
    degrees = np.bincount(rows, minlength=n_users + n_items)
    values = 1.0 / np.sqrt(degrees[rows] * degrees[columns])
    indices = torch.from_numpy(np.stack([rows, columns]))
    n = n_users + n_items
    return torch.sparse_coo_tensor(indices, torch.from_numpy(values).float(), (n, n)).coalesce()


def step(graph, base, optimizer, users, positives, negatives):
    """One step: propagate, average the layers, BPR with weight decay on the base rows, backward, Adam."""
    layers = [base]
    for _ in range(LAYERS):
        layers.append(torch.sparse.mm(graph, layers[-1]))
    final = torch.stack(layers, dim=1).mean(dim=1)
    u, i, j = final[users], final[positives], final[negatives]
    loss = torch.nn.functional.softplus((u * j).sum(1) - (u * i).sum(1)).mean()
    norms = sum(base[rows].pow(2).sum() for rows in (users, positives, negatives))
    loss = loss + 1e-4 * norms / 2 / BATCH
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def hop_times(graph, base):
    """Seconds of one product of the adjacency with the embeddings, again and again."""
    times = []
    for _ in range(3 * STEPS):
        start = time.perf_counter()
        torch.sparse.mm(graph, base)
        times.append(time.perf_counter() - start)
    return times


def main():
    users, items = read(sys.argv[1])
    n_users, n_items = users.max() + 1, items.max() + 1
    coo = adjacency(users, items, n_users, n_items)
    random = np.random.default_rng(0)
    for name, graph in [("COO", coo), ("CSR", coo.to_sparse_csr())]:
        base = torch.nn.Parameter(torch.randn(n_users + n_items, DIM) * 0.1)
        optimizer = torch.optim.Adam([base], lr=1e-3)
        hop = statistics.median(hop_times(graph, base.detach())) * 1e3
        times = []
        for _ in range(STEPS + 1):
            batch = random.integers(0, len(users), BATCH)
            negatives = torch.from_numpy(random.integers(0, n_items, BATCH) + n_users)
            pair = torch.from_numpy(users[batch]), torch.from_numpy(items[batch] + n_users), negatives
            start = time.perf_counter()
            step(graph, base, optimizer, *pair)
            times.append(time.perf_counter() - start)
        median = statistics.median(times[1:]) * 1e3
        threads = torch.get_num_threads()
        print(f"PyTorch {torch.__version__}, {name}, {threads} threads: {hop:.1f} ms a hop, {median:.0f} ms a step")
        print("ours:", flush=True)
        subprocess.run(["cargo", "bench", "--bench", "step", "--", "bpr"], check=True)


if __name__ == "__main__":
    main()
