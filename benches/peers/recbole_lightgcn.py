"""Times an epoch of RecBole's LightGCN on ML-100k beside ours. Not part of CI.

    pip install torch numpy scipy pandas scikit-learn colorlog colorama tqdm pyyaml tabulate thop texttable psutil tensorboard
    pip install --no-deps recbole==1.2.1
    cargo build --release
    python benches/peers/recbole_lightgcn.py ../shared/data/ml-100k-atomic/ml-100k.inter.gz

Both train BPR with K = 2, dim 64 and batches of 2,048 on a random 80 % of each user's ratings, by the same rule: 80,808 pairs, 40 steps. Rounds alternate, so
that a busy spell of the machine meets both; medians are printed. RecBole's own ray-based tuning is not imported: it is not needed, and it no longer installs.
"""

import gzip
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import scipy.sparse
import torch

warnings.filterwarnings("ignore")
for name, kind in [("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_)]:
    # RecBole 1.2.1 uses names that numpy 2 dropped.
    if name not in np.__dict__:
        setattr(np, name, kind)
if not hasattr(scipy.sparse.dok_matrix, "_update"):
    # It fills its matrix through a method that scipy dropped.
    scipy.sparse.dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.general_recommender.lightgcn import LightGCN  # noqa: E402
from recbole.utils import init_seed  # noqa: E402

ROUNDS, EPOCHS = 3, 4
BINARY = "target/release/gcnrec"


def recbole_setup(folder):
    """RecBole's model, its optimizer and its training batches."""
    config = Config(
        model="LightGCN",
        dataset="ml-100k",
        config_dict={
            "data_path": str(folder),
            "n_layers": 2,
            "embedding_size": 64,
            "train_batch_size": 2048,
            "learning_rate": 1e-3,
            "use_gpu": False,
            "state": "ERROR",
            "show_progress": False,
        },
    )
    init_seed(2020, True)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = LightGCN(config, train.dataset)
    return model, torch.optim.Adam(model.parameters(), lr=1e-3), train


def recbole_epoch(model, optimizer, train):
    """Seconds and steps of one epoch: forward, backward and Adam over every training pair, as RecBole's trainer does."""
    start, steps = time.perf_counter(), 0
    model.train()
    for batch in train:
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        steps += 1
    return time.perf_counter() - start, steps


def our_epoch(path, folder):
    """Median seconds of an epoch of ours and the number of its pairs, as the report of the run says. Validation comes after an epoch and does not count."""
    out = folder / "run"
    command = [BINARY, "train", "--data", str(path), "--format", "atomic", "--loss", "bpr", "--layers", "2", "--dim", "64"]
    command += ["--batch-size", "2048", "--lr", "1e-3", "--epochs", str(EPOCHS), "--out", str(out), "--force"]
    command += ["--set", "data.ratios=[0.8, 0.1, 0.1]", "--set", f"train.validate_every={EPOCHS}"]
    subprocess.run(command, check=True, capture_output=True)
    report = json.loads((out / "report.json").read_text())
    return report["timing"]["epoch_s_median"], report["dataset"]["n_train"]


def main():
    source = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "ml-100k").mkdir()
        plain = folder / "ml-100k" / "ml-100k.inter"
        with (gzip.open if source.suffix == ".gz" else open)(source, "rb") as read, open(plain, "wb") as write:
            shutil.copyfileobj(read, write)
        setup = recbole_setup(folder)
        n_pairs = len(setup[2]._dataset)
        theirs, ours = [], []
        recbole_epoch(*setup)  # fills caches
        for _ in range(ROUNDS):
            seconds = [recbole_epoch(*setup) for _ in range(EPOCHS)]
            theirs += [second for second, _ in seconds]
            steps = seconds[0][1]
            seconds, ours_n_pairs = our_epoch(plain, folder)
            assert ours_n_pairs == n_pairs, f"{ours_n_pairs} pairs of ours and {n_pairs} of RecBole's"
            ours.append(seconds)
    theirs, ours = statistics.median(theirs), statistics.median(ours)
    print(f"RecBole 1.2.1, PyTorch {torch.__version__}, {torch.get_num_threads()} threads: {theirs:.3f} s an epoch of {n_pairs} pairs in {steps} steps")
    print(f"gcnrec: {ours:.4f} s an epoch, {theirs / ours:.1f} times faster")


if __name__ == "__main__":
    main()
