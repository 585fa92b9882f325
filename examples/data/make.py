"""Makes the small data set of the guide: an invented library of 100 books and 150 readers.

`ratings.csv`: what readers chose and how they rated it; popular books were pushed, so the rows are biased.
`random.csv`: the ratings of 100 readers who were handed twelve books at random.
`sessions.txt`: the first ten choices of each reader as sessions without names, oldest first.
`books.csv`: titles. Written anew with `python3 examples/data/make.py`; the same bytes each time.
"""

import csv
import math
import pathlib
import random

GENRES = ["Crime", "Fantasy", "History", "Science", "Travel"]
N_READERS, N_BOOKS = 150, 100
START = 1_700_000_000  # seconds; a choice every few hours after that

here = pathlib.Path(__file__).parent
rng = random.Random(2020)
books = [{"item": f"b{i:03}", "genre": i % len(GENRES), "push": (1 + rng.randrange(N_BOOKS)) ** -0.7} for i in range(N_BOOKS)]
for i, book in enumerate(books):
    book["title"] = f"{GENRES[book['genre']]}, volume {i // len(GENRES) + 1}"
tastes = []
for _ in range(N_READERS):
    liked = rng.sample(range(len(GENRES)), 2)
    tastes.append([1.6 if g == liked[0] else 0.8 if g == liked[1] else -0.8 for g in range(len(GENRES))])


def rating(reader, book):
    """1 to 5: the reader's taste for the genre, and luck."""
    return max(1, min(5, round(3 + tastes[reader][book["genre"]] + rng.gauss(0, 0.9))))


def write(name, header, rows):
    with open(here / name, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


rows, shown = [], []
for reader in range(N_READERS):
    weights = [book["push"] * math.exp(0.9 * tastes[reader][book["genre"]]) for book in books]
    chosen = set()
    while len(chosen) < rng.randint(12, 26):
        chosen.add(rng.choices(range(N_BOOKS), weights)[0])
    for book in rng.sample(sorted(chosen), len(chosen)):
        time = START + rng.randrange(200 * 24) * 3600
        rows.append((f"reader{reader + 1}", books[book]["item"], rating(reader, books[book]), time))
for reader in range(100):
    for book in rng.sample(books, 12):
        shown.append((f"reader{reader + 1}", book["item"], rating(reader, book)))
rows.sort(key=lambda row: row[3])
write("ratings.csv", ["user", "item", "rating", "timestamp"], rows)
write("random.csv", ["user", "item", "rating"], shown)
choices = {}
for reader, item, _, _ in rows:
    choices.setdefault(reader, []).append(item)
(here / "sessions.txt").write_text("".join(" ".join(items[:10]) + "\n" for items in choices.values()))
write("books.csv", ["item", "title"], [(book["item"], book["title"]) for book in books])
