"""Makes the run folders of the test `old_runs`: small runs as an older program wrote them, and
what that program answers from them. Run by hand, never in CI:

    python3 make.py path/to/gcnrec

Later programs must open them, give the same lists, and go on with the unfinished one. So the
program is that of the version whose files are to be kept, never the one under test. These are of
commit c39c01a (checkpoint format 1), built with `cargo build --release`, on x86-64 with AVX2.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
HERE = pathlib.Path(__file__).parent
WORLD = [f"--set=data.demo.{key}" for key in ("n_users=60", "n_items=80", "interactions_per_user=10")] + ["--threads=1"]
FUSION = """
[[model.fusion.members]]
model.lightgcn = { layers = 2, dim = 4 }

[[model.fusion.members]]
model.gru4rec = { dim = 4, hidden = 4 }
"""
HISTORY = ["Jazz 010", "Metal 003"]
USERS = ["user-0007", "user-0001", "user-0060"]


def ask(*arguments):
    return json.loads(subprocess.run([PROGRAM, *arguments, "-k", "10", "--output", "json"], check=True, capture_output=True).stdout)


def ranking(rows):
    return [[row["item"], row["score"]] for row in rows]


def answers(run, folder):
    (folder / "users.txt").write_text("\n".join(USERS))
    rows = ask("recommend", run, "--users", str(folder / "users.txt"))
    return {
        "users": {user: ranking(row for row in rows if row["user"] == user) for user in USERS},
        "history": HISTORY,
        "for_history": ranking(ask("recommend", run, "--history", ",".join(HISTORY))),
        "similar_to": HISTORY[0],
        "similar": ranking(ask("similar", run, "--item", HISTORY[0])),
    }


def write(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def keep(run, names):  # a fusion has no metrics.jsonl
    target = HERE / run.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in filter(lambda name: (run / name).exists(), names):
        (shutil.copytree if (run / name).is_dir() else shutil.copy)(run / name, target / name)


def train(run, *arguments):
    return [PROGRAM, "train", *arguments, *WORLD, "--out", str(run)]


def finished(run, *arguments):
    subprocess.run(train(run, *arguments), check=True, capture_output=True)
    keep(run, ["config.toml", "metrics.jsonl", "report.json", "best"])
    write(HERE / f"{run.name}.json", answers(str(run), run.parent))


def unfinished(run):
    """Stopped by a request to terminate after a few epochs; `unfinished.json` says how the old program ends it."""
    arguments = ["--attn-layers", "--debias=autodebias", "--dim=8", "--epochs=12", "--set=train.validate_every=2", "--set=train.checkpoint_every_steps=1"]
    process = subprocess.Popen(train(run, *arguments))
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 4:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143, "it should be stopped before its end"
    keep(run, ["config.toml", "metrics.jsonl", "best", "last"])
    subprocess.run([PROGRAM, "train", "--resume", "--out", str(run)], check=True, capture_output=True)
    report = json.loads((run / "report.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    end = {
        "best_epoch": report["best_epoch"],
        "metrics": report["metrics"],
        "losses": [line["loss"] for line in lines],
    }
    write(HERE / f"{run.name}.json", end | answers(str(run), run.parent))


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    (folder / "fusion.toml").write_text(FUSION)
    finished(folder / "additive", "--attn-layers", "--dim=8", "--epochs=3")
    finished(folder / "fusion", str(folder / "fusion.toml"), "--epochs=3")
    unfinished(folder / "unfinished")
