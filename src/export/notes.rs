//! Notes beside vectors: what they are, and how other programs load them.

use super::{Format, Shape};

/// A page in Markdown beside the vectors in `file`.
pub fn how_to_load(format: &dyn Format, file: &str, shape: &Shape) -> String {
    let Shape { names, model, n_rows, width } = shape;
    let python = format.python(file, shape);
    let (version, other) = (env!("CARGO_PKG_VERSION"), if names == &"item" { "user" } else { "item" });
    let index = if *names == "item" { search(*width) } else { questions() };
    format!(
        "# {file}\n\n\
         {n_rows} {names} vectors of {width} numbers (32-bit floats), of the model {model}; written by gcnrec {version}.\n\n\
         The inner product of a user vector and an item vector ranks the items for that user as the model does: lengths \
         and biases are in the numbers. Use the inner product, not the cosine, and leave out what the user already has. \
         The other side: `gcnrec export RUN --what {other}-vectors`.\n\n\
         ## NumPy\n\n```python\n{python}\n```\n{index}"
    )
}

/// Indexes over items.
fn search(width: usize) -> String {
    format!(
        r#"
With `users`, the user vectors, loaded in the same way: `scores = users @ vectors.T`.

## FAISS

```python
import faiss
index = faiss.IndexFlatIP({width})
index.add(vectors)
scores, rows = index.search(users, 20)                # ids[row] is the item
```

## Qdrant

```python
from qdrant_client import QdrantClient, models
client = QdrantClient("http://localhost:6333")
client.create_collection("items", vectors_config=models.VectorParams(size={width}, distance=models.Distance.DOT))
client.upload_collection("items", vectors=vectors, payload=[{{"item": item}} for item in ids])
client.query_points("items", query=users[0].tolist(), limit=20)
```

## pgvector

```python
import psycopg
from pgvector.psycopg import register_vector
db = psycopg.connect("dbname=shop", autocommit=True)
db.execute("CREATE EXTENSION IF NOT EXISTS vector")
register_vector(db)
db.execute("CREATE TABLE items (item text PRIMARY KEY, v vector({width}))")
with db.cursor().copy("COPY items FROM STDIN WITH (FORMAT BINARY)") as copy:
    copy.set_types(["text", "vector"])
    for item, vector in zip(ids, vectors):
        copy.write_row([item, vector])
# <#> is the inner product with its sign turned
db.execute("SELECT item FROM items ORDER BY v <#> %s LIMIT 20", (users[0],)).fetchall()
```
"#
    )
}

/// Users are what an index is asked.
fn questions() -> String {
    "\nA row is one question: `vectors[row] @ items.T`, with the item vectors loaded in the same way. How FAISS, Qdrant and \
     pgvector hold the items and are asked with these rows stands in the notes beside the item vectors.\n"
        .into()
}
