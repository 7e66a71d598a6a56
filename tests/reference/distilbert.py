"""Reference numbers for DistilBertParityTests, TrainingParityTests: a tiny DistilBERT-shaped classifier in plain PyTorch.

Run:  python3 tests/reference/distilbert.py > tests/reference/distilbert.json     (PyTorch 1.13 or later, float64 throughout)

The model follows the architecture's description with a padded, masked batch, as transformers computes it; LoRA stands on q_lin and v_lin.
Weights are not stored: both sides make them with the same formula, see `value`.
"""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
LAYERS, HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS, CLASSES, RANK, ALPHA = 2, 12, 3, 20, 30, 16, 3, 2, 6.0
TEXTS = [[2, 7, 29, 11, 3], [2, 3], [2, 5, 5, 17, 23, 9, 28, 4, 3], [2, 14, 3]]
LABELS = [0, 2, 1, 2]
MATRICES = ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"]


def value(name, shape, scale):
    """Numbers in [-scale, scale): element i of tensor `name` is scale * (2 * fraction(43758.5453 * sin(i + 1 + h)) - 1), h from the letters of the name."""
    h = sum((k + 1) * ord(letter) for k, letter in enumerate(name)) % 1000
    noise = (43758.5453 * math.sin(i + 1 + h) for i in range(math.prod(shape)))
    return torch.tensor([scale * (2 * (x - math.floor(x)) - 1) for x in noise]).reshape(shape)


def model_weights():
    w = {}

    def linear(name, inputs, outputs):
        w[name + ".weight"] = value(name + ".weight", (outputs, inputs), 0.6)
        w[name + ".bias"] = value(name + ".bias", (outputs,), 0.2)

    def norm(name):
        w[name + ".weight"] = 1 + value(name + ".weight", (HIDDEN,), 0.3)
        w[name + ".bias"] = value(name + ".bias", (HIDDEN,), 0.2)

    e = "distilbert.embeddings."
    w[e + "word_embeddings.weight"] = value(e + "word_embeddings.weight", (VOCABULARY, HIDDEN), 1.0)
    w[e + "position_embeddings.weight"] = value(e + "position_embeddings.weight", (POSITIONS, HIDDEN), 0.5)
    norm(e + "LayerNorm")
    for i in range(LAYERS):
        p = f"distilbert.transformer.layer.{i}."
        for name in MATRICES:
            inputs = INNER if name == "ffn.lin2" else HIDDEN
            outputs = INNER if name == "ffn.lin1" else HIDDEN
            linear(p + name, inputs, outputs)
        norm(p + "sa_layer_norm")
        norm(p + "output_layer_norm")
    linear("pre_classifier", HIDDEN, HIDDEN)
    linear("classifier", HIDDEN, CLASSES)
    return w


def lora_weights():
    """A [in, rank] and B [rank, out] of every adapted layer, B not zero."""
    ab = {}
    for i in range(LAYERS):
        for name in ("q_lin", "v_lin"):
            p = f"distilbert.transformer.layer.{i}.attention.{name}"
            ab[p + ".A"] = value(p + ".A", (HIDDEN, RANK), 0.5)
            ab[p + ".B"] = value(p + ".B", (RANK, HIDDEN), 0.5)
    return ab


def forward(w, ab, texts):
    longest = max(len(text) for text in texts)
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    batch, width = len(texts), HIDDEN // HEADS

    def linear(name, x):
        y = F.linear(x, w[name + ".weight"], w[name + ".bias"])
        return y + ALPHA / RANK * (x @ ab[name + ".A"] @ ab[name + ".B"]) if ab and name + ".A" in ab else y

    def norm(name, x):
        return F.layer_norm(x, (HIDDEN,), w[name + ".weight"], w[name + ".bias"], 1e-12)

    def heads(x):
        return x.view(batch, longest, HEADS, width).transpose(1, 2)

    e = "distilbert.embeddings."
    x = norm(e + "LayerNorm", w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:longest])
    for i in range(LAYERS):
        p = f"distilbert.transformer.layer.{i}."
        q, k, v = (heads(linear(p + f"attention.{n}_lin", x)) for n in "qkv")
        scores = (q / math.sqrt(width)) @ k.transpose(2, 3)
        scores = scores.masked_fill((mask == 0)[:, None, None, :], torch.finfo(scores.dtype).min)
        mixed = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, longest, HIDDEN)
        x = norm(p + "sa_layer_norm", linear(p + "attention.out_lin", mixed) + x)
        x = norm(p + "output_layer_norm", linear(p + "ffn.lin2", F.gelu(linear(p + "ffn.lin1", x))) + x)
    return linear("classifier", F.relu(linear("pre_classifier", x[:, 0])))


def flat(tensor):
    return [float(f"{number:.9g}") for number in tensor.detach().flatten().tolist()]


def optimizers():
    return {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.2),
        "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "sgd-nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, lr=0.02),
        "adam-decay": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.1),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.02),
        "adamw-decay": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.2),
    }


def train(w, make, steps=6, warmup=2, clip=0.5):
    """Some steps on q_lin's and v_lin's A and B with clipping and the linear schedule of transformers."""
    ab = {name: tensor.clone().requires_grad_(True) for name, tensor in lora_weights().items()}
    optimizer = make(list(ab.values()))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup)))
    losses, norms = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(w, ab, TEXTS), torch.tensor(LABELS))
        loss.backward()
        losses.append(loss)
        norms.append(torch.nn.utils.clip_grad_norm_(list(ab.values()), clip))
        optimizer.step()
        schedule.step()
    return {"losses": flat(torch.stack(losses)), "norms": flat(torch.stack(norms)), "weights": {name: flat(tensor) for name, tensor in ab.items()}}


def main():
    w = model_weights()
    ab = {name: tensor.requires_grad_(True) for name, tensor in lora_weights().items()}
    all_weights = {name: tensor.clone().requires_grad_(True) for name, tensor in w.items()}
    loss = F.cross_entropy(forward(w, ab, TEXTS), torch.tensor(LABELS))
    loss.backward()
    F.cross_entropy(forward(all_weights, None, TEXTS), torch.tensor(LABELS)).backward()
    print(json.dumps({
        "logits": flat(forward(w, None, TEXTS)),
        "loraLogits": flat(forward(w, ab, TEXTS)),
        "loraLoss": loss.item(),
        "loraGradients": {name: flat(tensor.grad) for name, tensor in ab.items()},
        "gradients": {name: flat(tensor.grad) for name, tensor in all_weights.items()},
        "training": {name: train(w, make) for name, make in optimizers().items()},
    }))


if __name__ == "__main__":
    main()
