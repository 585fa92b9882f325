"""Times an epoch of RecBole's SASRec, GRU4Rec and NARM on ML-100k beside ours. Not part of CI.

    pip install torch numpy scipy pandas scikit-learn colorlog colorama tqdm pyyaml tabulate thop texttable psutil tensorboard
    pip install --no-deps recbole==1.2.1
    cargo build --release
    python benches/peers/recbole_sequential.py ../shared/data/ml-100k-atomic/ml-100k.inter.gz [--models SASRec,GRU4Rec,NARM] [--steps 6]

Both hold out the last two items of every user (leave-one-out), keep RecBole's hyper-parameters and look back at most 50 items. RecBole makes an example of
every prefix: a step takes 2,048 prefixes padded to 50 and trains one position of each. Ours trains every position of a sequence in one pass, and is timed
with its own batch and with one of at most as many positions as RecBole's. So seconds are compared for an epoch (every training item is a target once in both)
and for a trained position.

RecBole's epochs take minutes, so --steps of them are timed after one step that fills caches, and the epoch is their median times the number of steps;
--steps 0 times whole epochs. Where our program does not know a model yet, RecBole's numbers are printed alone.
"""

import argparse
import gzip
import json
import pathlib
import shutil
import statistics
import subprocess
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
from recbole.utils import get_model, init_seed  # noqa: E402

BINARY, LENGTH, PREFIXES = "target/release/gcnrec", 50, 2048
SEQUENCES = [128, PREFIXES // LENGTH]
OURS = {"SASRec": "sasrec", "GRU4Rec": "gru4rec", "NARM": "narm"}


def recbole_setup(name, folder):
    """RecBole's model, its optimizer and its training batches."""
    config = Config(
        model=name,
        dataset="ml-100k",
        config_dict={
            "data_path": str(folder),
            "MAX_ITEM_LIST_LENGTH": LENGTH,
            "train_batch_size": PREFIXES,
            "train_neg_sample_args": None,
            "loss_type": "CE",
            "learning_rate": 1e-3,
            "use_gpu": False,
            "state": "ERROR",
            "show_progress": False,
        },
    )
    init_seed(2020, True)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    return model, torch.optim.Adam(model.parameters(), lr=1e-3), train


def recbole_epoch(model, optimizer, train, n_timed):
    """Seconds of an epoch, its number of steps and of trained positions."""
    model.train()
    seconds, n_positions = [], len(train.dataset)
    n_steps = -(-n_positions // PREFIXES)
    for step, batch in enumerate(train):
        start = time.perf_counter()
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        if n_timed and step == n_timed:
            break
    whole = statistics.median(seconds[1:]) * n_steps if n_timed else sum(seconds)
    return whole, n_steps, n_positions


def our_epoch(model, path, folder, epochs, sequences):
    """Median seconds of an epoch of ours and its trained positions, as the run says; nothing where the program does not know the model."""
    out = folder / "run"
    command = [BINARY, "train", "--data", str(path), "--format", "atomic", "--split", "leave-one-out", "--model", model]
    command += ["--epochs", str(epochs), "--set", f"model.{model}.max_len={LENGTH}", "--set", f"train.validate_every={epochs}"]
    command += ["--batch-size", str(sequences)]
    if not pathlib.Path(BINARY).exists():
        print(f"  ours: {BINARY} is not there")
        return None
    done = subprocess.run(command + ["--out", str(out), "--force"], capture_output=True, text=True)
    if done.returncode != 0 or not (out / "metrics.jsonl").exists():
        print(f"  ours: {(done.stderr.strip().splitlines() or ['no metrics'])[-1]}")
        return None
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    seconds = json.loads((out / "report.json").read_text())["timing"]["epoch_s_median"]
    return seconds, statistics.median(line["examples_per_s"] for line in lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--models", default=",".join(OURS))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    print(f"RecBole 1.2.1, PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {PREFIXES} prefixes of at most {LENGTH} items a step")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "ml-100k").mkdir()
        plain = folder / "ml-100k" / "ml-100k.inter"
        with (gzip.open if args.data.suffix == ".gz" else open)(args.data, "rb") as read, open(plain, "wb") as write:
            shutil.copyfileobj(read, write)
        for model in args.models.split(","):
            seconds, n_steps, n_positions = recbole_epoch(*recbole_setup(model, folder), args.steps)
            print(f"{model}: {seconds:.1f} s an epoch of {n_steps} steps, {n_positions / seconds:.0f} trained positions a second")
            for sequences in SEQUENCES:
                ours = our_epoch(OURS[model], plain, folder, args.epochs, sequences)
                if ours:
                    own, rate = ours
                    faster = f"{seconds / own:.1f} times faster an epoch, {rate * seconds / n_positions:.1f} times a position"
                    print(f"  ours, {sequences} sequences a step: {own:.2f} s an epoch, {rate:.0f} trained positions a second: {faster}")


if __name__ == "__main__":
    main()
