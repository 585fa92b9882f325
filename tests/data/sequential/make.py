"""Makes the fixtures of one training step of the sequential models, from their formulas. Run by hand, never in CI:

    pip install torch
    python tests/data/sequential/make.py

Each file holds weights, a batch, the loss, the gradient of every weight and the weights after one step of Adam (rate 0.01), all computed in f64 by
PyTorch's autograd on the formulas below. They are written out from the papers that they name: no layer of PyTorch is used, so that a slip in one of
its conventions (gates, biases, norms) would show. Dropout is off: it is the only thing a step has beside these formulas.

Items are numbered from 0 and there is no padding item; a model that pads must not let it change a number. Shapes hold primes, so that no two
dimensions can be swapped unseen. Linear maps are stored `[out, in]` and mean `y = W x + b`.
"""

import json
import math
import pathlib

import torch

N_ITEMS, BETAS, EPS, RATE = 11, (0.9, 0.999), 1e-8, 0.01
# Oldest first. The last item of each is only a target.
SEQUENCES = [[3, 1, 4, 1, 5, 9], [2, 6, 5], [10, 8, 9, 7], [0, 10]]


def weights(seed, shapes):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda shape: torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5
    made = {}
    for name, shape in shapes.items():
        # Gains of layer norms lie near 1, so that a missing one would show and none is degenerate.
        value = draw(shape) + (1.0 if name.endswith("gain") else 0.0)
        # What a model holds in f32 is what the formulas see.
        made[name] = value.float().double().requires_grad_()
    return made


def cross_entropy(scores, targets):
    """Mean over rows of log sum exp minus the target's score."""
    targets = torch.tensor(targets)
    return (torch.logsumexp(scores, dim=1) - scores[torch.arange(len(targets)), targets]).mean()


def layer_norm(x, gain, bias, eps):
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * gain + bias


def gelu(x):
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def gru(w, inputs, hidden):
    """Hidden states of one sequence, from h = 0; gates stacked reset, update, new, without biases (RecBole).

    r = s(W_r x + U_r h), z = s(W_z x + U_z h), n = tanh(W_n x + r * (U_n h)), h' = (1 - z) * n + z * h
    """
    h, states = torch.zeros(hidden, dtype=torch.float64), []
    for x in inputs:
        xr, xz, xn = (w["gru.input"] @ x).split(hidden)
        hr, hz, hn = (w["gru.hidden"] @ h).split(hidden)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        states.append(h)
    return torch.stack(states)


def gru4rec(dim=5, hidden=7):
    shapes = {
        "items": (N_ITEMS, dim),
        "gru.input": (3 * hidden, dim),
        "gru.hidden": (3 * hidden, hidden),
        "dense.weight": (dim, hidden),
        "dense.bias": (dim,),
    }

    def loss(w):
        rows, targets = [], []
        for sequence in SEQUENCES:
            states = gru(w, w["items"][sequence[:-1]], hidden)
            rows.append(states @ w["dense.weight"].T + w["dense.bias"])
            targets += sequence[1:]
        return cross_entropy(torch.cat(rows) @ w["items"].T, targets)

    return {"dim": dim, "hidden": hidden}, shapes, loss


def narm(normalised, dim=5, hidden=7):
    """The decoder sees, at position t, c_t = [sum_{j <= t} a_tj h_j ; h_t] with a_tj = v . s(A1 h_j + A2 h_t), normalised over j or not."""
    shapes = {
        "items": (N_ITEMS, dim),
        "gru.input": (3 * hidden, dim),
        "gru.hidden": (3 * hidden, hidden),
        "attention.earlier": (hidden, hidden),
        "attention.last": (hidden, hidden),
        "attention.vector": (hidden,),
        "decoder": (dim, 2 * hidden),
    }

    def loss(w):
        rows, targets = [], []
        for sequence in SEQUENCES:
            states = gru(w, w["items"][sequence[:-1]], hidden)
            for t, last in enumerate(states):
                earlier = states[: t + 1]
                a = torch.sigmoid(earlier @ w["attention.earlier"].T + w["attention.last"] @ last) @ w["attention.vector"]
                if normalised:
                    a = torch.exp(a - a.max()) / torch.exp(a - a.max()).sum()
                rows.append(w["decoder"] @ torch.cat([a @ earlier, last]))
            targets += sequence[1:]
        return cross_entropy(torch.stack(rows) @ w["items"].T, targets)

    return {"dim": dim, "hidden": hidden, "normalised": normalised}, shapes, loss


def block_shapes(layer, dim, inner):
    return {
        f"blocks.{layer}.query.weight": (dim, dim),
        f"blocks.{layer}.query.bias": (dim,),
        f"blocks.{layer}.key.weight": (dim, dim),
        f"blocks.{layer}.key.bias": (dim,),
        f"blocks.{layer}.value.weight": (dim, dim),
        f"blocks.{layer}.value.bias": (dim,),
        f"blocks.{layer}.out.weight": (dim, dim),
        f"blocks.{layer}.out.bias": (dim,),
        f"blocks.{layer}.attention_norm.gain": (dim,),
        f"blocks.{layer}.attention_norm.bias": (dim,),
    } | inner_shapes(layer, dim, inner)


def inner_shapes(layer, dim, inner):
    return {
        f"blocks.{layer}.up.weight": (inner, dim),
        f"blocks.{layer}.up.bias": (inner,),
        f"blocks.{layer}.down.weight": (dim, inner),
        f"blocks.{layer}.down.bias": (dim,),
        f"blocks.{layer}.inner_norm.gain": (dim,),
        f"blocks.{layer}.inner_norm.bias": (dim,),
    }


def affine(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def feed_forward(w, layer, x, eps):
    """LN(x + W_down gelu(W_up x))"""
    at = f"blocks.{layer}"
    y = affine(w, f"{at}.down", gelu(affine(w, f"{at}.up", x)))
    return layer_norm(x + y, w[f"{at}.inner_norm.gain"], w[f"{at}.inner_norm.bias"], eps)


def transformer(w, x, layers, heads, causal, eps):
    """Post-norm blocks over one sequence `[length, dim]`: x = LN(x + attention(x)), x = LN(x + ffn(x))."""
    length, dim = x.shape
    width = dim // heads
    for layer in range(layers):
        at = f"blocks.{layer}"
        q, k, v = (affine(w, f"{at}.{name}", x) for name in ("query", "key", "value"))
        mixed = []
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            logits = q[:, columns] @ k[:, columns].T / math.sqrt(width)
            if causal:
                later = torch.ones(length, length, dtype=torch.bool).triu(1)
                logits = logits.masked_fill(later, -math.inf)
            mixed.append(torch.softmax(logits, dim=1) @ v[:, columns])
        y = affine(w, f"{at}.out", torch.cat(mixed, dim=1))
        x = layer_norm(x + y, w[f"{at}.attention_norm.gain"], w[f"{at}.attention_norm.bias"], eps)
        x = feed_forward(w, layer, x, eps)
    return x


def sasrec(dim=6, inner=7, layers=2, heads=2, max_len=5, eps=1e-12):
    """Position 0 is that of the oldest item; all positions are trained on all items."""
    shapes = {"items": (N_ITEMS, dim), "positions": (max_len, dim), "norm.gain": (dim,), "norm.bias": (dim,)}
    for layer in range(layers):
        shapes |= block_shapes(layer, dim, inner)

    def loss(w):
        rows, targets = [], []
        for sequence in SEQUENCES:
            x = w["items"][sequence[:-1]] + w["positions"][: len(sequence) - 1]
            x = layer_norm(x, w["norm.gain"], w["norm.bias"], eps)
            rows.append(transformer(w, x, layers, heads, True, eps))
            targets += sequence[1:]
        return cross_entropy(torch.cat(rows) @ w["items"].T, targets)

    config = {"dim": dim, "inner": inner, "layers": layers, "heads": heads, "max_len": max_len, "eps": eps, "activation": "gelu"}
    return config, shapes, loss


def sasrec_original(dim=6, inner=7, layers=2, heads=2, max_len=5, eps=1e-8):
    """Queries read LN(x), keys and values x; x = LN(x) + attention, then with f = LN(x): x = f + W_down relu(W_up f); LN at the end.

    Items enter as sqrt(dim) times their vectors, without a norm; the heads' results are not projected. All positions are trained on all items.
    """
    shapes = {"items": (N_ITEMS, dim), "positions": (max_len, dim), "output_norm.gain": (dim,), "output_norm.bias": (dim,)}
    for layer in range(layers):
        at = f"blocks.{layer}"
        for name in ("query_norm", "feed_forward_norm"):
            shapes |= {f"{at}.{name}.gain": (dim,), f"{at}.{name}.bias": (dim,)}
        for name in ("query", "key", "value"):
            shapes |= {f"{at}.{name}.weight": (dim, dim), f"{at}.{name}.bias": (dim,)}
        shapes |= {f"{at}.up.weight": (inner, dim), f"{at}.up.bias": (inner,), f"{at}.down.weight": (dim, inner), f"{at}.down.bias": (dim,)}
    width = dim // heads

    def loss(w):
        normal = lambda name, x: layer_norm(x, w[f"{name}.gain"], w[f"{name}.bias"], eps)
        rows, targets = [], []
        for sequence in SEQUENCES:
            n = len(sequence) - 1
            x = w["items"][sequence[:-1]] * math.sqrt(dim) + w["positions"][:n]
            later = torch.ones(n, n, dtype=torch.bool).triu(1)
            for layer in range(layers):
                at = f"blocks.{layer}"
                asked = normal(f"{at}.query_norm", x)
                q, k, v = affine(w, f"{at}.query", asked), affine(w, f"{at}.key", x), affine(w, f"{at}.value", x)
                mixed = []
                for head in range(heads):
                    columns = slice(head * width, (head + 1) * width)
                    logits = (q[:, columns] @ k[:, columns].T / math.sqrt(width)).masked_fill(later, -math.inf)
                    mixed.append(torch.softmax(logits, dim=1) @ v[:, columns])
                read = normal(f"{at}.feed_forward_norm", asked + torch.cat(mixed, dim=1))
                x = read + affine(w, f"{at}.down", torch.relu(affine(w, f"{at}.up", read)))
            rows.append(normal("output_norm", x))
            targets += sequence[1:]
        return cross_entropy(torch.cat(rows) @ w["items"].T, targets)

    config = {"dim": dim, "inner": inner, "layers": layers, "heads": heads, "max_len": max_len, "eps": eps, "activation": "relu"}
    return config, shapes, loss


MASKED = [[1, 4], [2], [0, 3], [1]]


def bert4rec(dim=6, inner=7, layers=2, heads=2, max_len=6, eps=1e-12):
    """The items at the places of MASKED are replaced by the mask's own vector and are to be found, in both directions, from LN(gelu(W x + b))."""
    shapes = {
        "items": (N_ITEMS, dim),
        "mask": (dim,),
        "positions": (max_len, dim),
        "norm.gain": (dim,),
        "norm.bias": (dim,),
        "head.weight": (dim, dim),
        "head.bias": (dim,),
        "head_norm.gain": (dim,),
        "head_norm.bias": (dim,),
        "item_bias": (N_ITEMS,),
    }
    for layer in range(layers):
        shapes |= block_shapes(layer, dim, inner)

    def loss(w):
        rows, targets = [], []
        for sequence, masked in zip(SEQUENCES, MASKED):
            vectors = [w["mask"] if place in masked else w["items"][item] for place, item in enumerate(sequence)]
            x = torch.stack(vectors) + w["positions"][: len(sequence)]
            x = layer_norm(x, w["norm.gain"], w["norm.bias"], eps)
            x = transformer(w, x, layers, heads, False, eps)[masked]
            rows.append(layer_norm(gelu(affine(w, "head", x)), w["head_norm.gain"], w["head_norm.bias"], eps))
            targets += [sequence[place] for place in masked]
        return cross_entropy(torch.cat(rows) @ w["items"].T + w["item_bias"], targets)

    config = {"dim": dim, "inner": inner, "layers": layers, "heads": heads, "max_len": max_len, "eps": eps, "masked": MASKED}
    return config, shapes, loss


NEGATIVES = [7, 0, 2, 4]


def fmlp(dim=5, inner=7, layers=2, length=6, eps=1e-12):
    """Per block LN(x + irfft(W * rfft(x))) and the feed-forward part; sequences are padded on the left with zero vectors, which get positions too.

    Trained at the last position: -log s(s+) - log(1 - s(s-)) with one negative, mean over sequences. `filter` holds real and imaginary parts. The
    transforms are orthonormal; the imaginary parts of the first and (for an even length) the last frequency have no effect.
    """
    n = length // 2 + 1
    shapes = {"items": (N_ITEMS, dim), "positions": (length, dim), "norm.gain": (dim,), "norm.bias": (dim,)}
    for layer in range(layers):
        shapes[f"blocks.{layer}.filter"] = (n, dim, 2)
        shapes[f"blocks.{layer}.filter_norm.gain"] = (dim,)
        shapes[f"blocks.{layer}.filter_norm.bias"] = (dim,)
        shapes |= inner_shapes(layer, dim, inner)
    # Forward and inverse transform as sums over cosines and sines.
    place, frequency = torch.arange(length, dtype=torch.float64), torch.arange(n, dtype=torch.float64)
    angle = 2 * math.pi * frequency[:, None] * place[None, :] / length
    twice = torch.full((n,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if length % 2 == 0:
        twice[-1] = 1.0

    def filtered(x, spectrum):
        real, imaginary = (torch.cos(angle) @ x) / math.sqrt(length), (-torch.sin(angle) @ x) / math.sqrt(length)
        a, b = spectrum[..., 0], spectrum[..., 1]
        real, imaginary = real * a - imaginary * b, real * b + imaginary * a
        weighed = lambda part: twice[:, None] * part
        return (torch.cos(angle).T @ weighed(real) - torch.sin(angle).T @ weighed(imaginary)) / math.sqrt(length)

    def loss(w):
        total = 0.0
        for sequence, negative in zip(SEQUENCES, NEGATIVES):
            known = w["items"][sequence[:-1]]
            x = torch.cat([torch.zeros(length - len(known), dim, dtype=torch.float64), known]) + w["positions"]
            x = layer_norm(x, w["norm.gain"], w["norm.bias"], eps)
            for layer in range(layers):
                y = filtered(x, w[f"blocks.{layer}.filter"])
                x = layer_norm(x + y, w[f"blocks.{layer}.filter_norm.gain"], w[f"blocks.{layer}.filter_norm.bias"], eps)
                x = feed_forward(w, layer, x, eps)
            good, bad = w["items"][sequence[-1]] @ x[-1], w["items"][negative] @ x[-1]
            total = total - torch.log(torch.sigmoid(good)) - torch.log(1 - torch.sigmoid(bad))
        return total / len(SEQUENCES)

    config = {"dim": dim, "inner": inner, "layers": layers, "max_len": length, "eps": eps, "negatives": NEGATIVES}
    return config, shapes, loss


def numbers(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]}


def write(name, seed, config, shapes, loss):
    w = weights(seed, shapes)
    value = loss(w)
    value.backward()
    after = {}
    for key, tensor in w.items():
        # The first step of Adam: both moments, once corrected, are the gradient and its square.
        m, v = (1 - BETAS[0]) * tensor.grad / (1 - BETAS[0]), (1 - BETAS[1]) * tensor.grad**2 / (1 - BETAS[1])
        after[key] = tensor - RATE * m / (torch.sqrt(v) + EPS)
    file = {
        "model": name,
        "n_items": N_ITEMS,
        "sequences": SEQUENCES,
        "config": config,
        "rate": RATE,
        "loss": value.item(),
        "weights": {key: numbers(tensor) for key, tensor in w.items()},
        "gradients": {key: numbers(tensor.grad) for key, tensor in w.items()},
        "after": {key: numbers(tensor) for key, tensor in after.items()},
    }
    path = pathlib.Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps(file, separators=(",", ":")) + "\n")
    print(f"{path.name}: loss {value.item():.6f}, {path.stat().st_size} bytes")


def main():
    write("gru4rec", 1, *gru4rec())
    write("narm", 2, *narm(False))
    write("narm-normalised", 2, *narm(True))
    write("sasrec", 3, *sasrec())
    write("bert4rec", 4, *bert4rec())
    write("fmlp", 5, *fmlp())
    write("sasrec-original", 6, *sasrec_original())


if __name__ == "__main__":
    main()
