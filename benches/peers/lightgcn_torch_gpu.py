"""The BPR step of LightGCN in PyTorch on a GPU, as the peer of `cargo bench --features cuda --bench gpu`.

    python3 benches/peers/lightgcn_torch_gpu.py [--data shared/data/gowalla]

The same sizes: Gowalla's graph (generated with its numbers of users, items and pairs where the data is absent), dim 64, K = 3, batch 2,048. The step is
written as the published code writes it: the normalised adjacency as a sparse COO tensor (and, for the faster of PyTorch's two products, as CSR), the mean
of four layers, BPR with weight decay on the base rows, autograd, Adam.
"""

import argparse
import gzip
import pathlib
import time

import torch

N_USERS, N_ITEMS, N_PAIRS = 29_858, 40_981, 810_128
DIM, LAYERS, BATCH, L2 = 64, 3, 2_048, 1e-4


def pairs(folder):
    path = pathlib.Path(folder) / "train.txt.gz"
    if path.is_file():
        with gzip.open(path, "rt") as lines:
            found = [(int(user), int(item)) for user, *items in map(str.split, lines) for item in items]
        return torch.tensor(found), "Gowalla"
    # Popular items and busy users, as in the data: squares of uniform numbers.
    random = torch.Generator().manual_seed(1)
    users = (torch.rand(2 * N_PAIRS, generator=random).pow(1.8) * N_USERS).long()
    items = (torch.rand(2 * N_PAIRS, generator=random).pow(2.5) * N_ITEMS).long()
    drawn = torch.unique(users * N_ITEMS + items)
    drawn = drawn[torch.randperm(len(drawn), generator=random)[:N_PAIRS]]
    return torch.stack([drawn // N_ITEMS, drawn % N_ITEMS], 1), "generated"


def adjacency(pairs, device):
    users, items = pairs[:, 0], pairs[:, 1] + N_USERS
    rows, columns = torch.cat([users, items]), torch.cat([items, users])
    degrees = torch.bincount(rows, minlength=N_USERS + N_ITEMS).clamp(min=1).float()
    values = (degrees[rows] * degrees[columns]).rsqrt()
    size = (N_USERS + N_ITEMS, N_USERS + N_ITEMS)
    return torch.sparse_coo_tensor(torch.stack([rows, columns]), values, size).coalesce().to(device)


def step(table, graph, optimiser, batch):
    users, positives, negatives = batch
    layers = [table]
    for _ in range(LAYERS):
        layers.append(torch.sparse.mm(graph, layers[-1]))
    final = torch.stack(layers, 1).mean(1)
    user, positive, negative = final[users], final[positives], final[negatives]
    loss = torch.nn.functional.softplus((user * negative).sum(1) - (user * positive).sum(1)).mean()
    decay = sum(table[rows].pow(2).sum() for rows in (users, positives, negatives)) / 2 / BATCH
    optimiser.zero_grad()
    (loss + L2 * decay).backward()
    optimiser.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/gowalla")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("skipped: torch sees no CUDA device")
        return
    device = torch.device("cuda")
    known, origin = pairs(arguments.data)
    coo = adjacency(known, device)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {origin}: {len(known)} pairs")
    for name, graph in [("COO", coo), ("CSR", coo.to_sparse_csr())]:
        table = torch.nn.Parameter(0.1 * torch.randn(N_USERS + N_ITEMS, DIM, device=device))
        optimiser = torch.optim.Adam([table], lr=1e-3)

        def batch():
            picked = known[torch.randint(len(known), (BATCH,))].to(device)
            negatives = torch.randint(N_ITEMS, (BATCH,), device=device) + N_USERS
            return picked[:, 0], picked[:, 1] + N_USERS, negatives

        batches = [batch() for _ in range(50)]
        times = []
        for chosen in batches:
            torch.cuda.synchronize()
            started = time.perf_counter()
            step(table, graph, optimiser, chosen)
            torch.cuda.synchronize()
            times.append((time.perf_counter() - started) * 1e3)
        with torch.no_grad():
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(50):
                torch.sparse.mm(graph, table)
            torch.cuda.synchronize()
            product = (time.perf_counter() - started) * 1e3 / 50
        median = sorted(times[10:])[len(times[10:]) // 2]
        print(f"{name}: step {median:.3f} ms, one product {product:.3f} ms")


if __name__ == "__main__":
    main()
