"""Reference numbers for FamilyParityTests: tiny encoders of BERT's family with their heads, in plain PyTorch.

Run:  python3 tests/reference/families.py > tests/reference/families.json     (PyTorch 1.13 or later, float64 throughout)

Written from the papers: BERT (arXiv 1810.04805), RoBERTa (1907.11692), XLM-R (1911.02116), ELECTRA (2003.10555). Names of tensors and keys of
config.json are those of published checkpoints. The batch is padded and masked; LoRA stands on query and value. Weights are made by the formula
of distilbert.py.
"""
import json
import math

import torch
import torch.nn.functional as F

from distilbert import ALPHA, RANK, flat, value

LAYERS, HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS, CLASSES = 2, 12, 3, 20, 30, 16, 3
COMMON = {
    "num_hidden_layers": LAYERS, "hidden_size": HIDDEN, "num_attention_heads": HEADS, "intermediate_size": INNER, "vocab_size": VOCABULARY,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0, "initializer_range": 0.02,
    "position_embedding_type": "absolute", "id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2},
}
WORDS = {"texts": [[2, 7, 29, 11, 3, 17, 9, 3], [2, 3], [2, 5, 5, 17, 23, 9, 28, 4, 3], [2, 14, 3, 3]], "secondSegments": [5, 2, 9, 3]}
PIECES = {"texts": [[0, 7, 29, 11, 2, 2, 17, 9, 2], [0, 2], [0, 5, 5, 17, 23, 9, 28, 4, 2], [0, 14, 2]], "secondSegments": [9, 2, 9, 3]}
LABELS = [0, 2, 1, 2]
FAMILIES = {
    "bert": WORDS | {"config": COMMON | {
        "model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "pad_token_id": 0}},
    "roberta": PIECES | {"config": COMMON | {
        "model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}},
    "xlm-roberta": PIECES | {"config": COMMON | {
        "model_type": "xlm-roberta", "architectures": ["XLMRobertaForSequenceClassification"], "hidden_act": "gelu_new", "layer_norm_eps": 1e-5,
        "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}},
    "electra": WORDS | {"config": COMMON | {
        "model_type": "electra", "architectures": ["ElectraForSequenceClassification"], "hidden_act": "relu", "layer_norm_eps": 1e-12,
        "embedding_size": 8, "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "pad_token_id": 0}},
}


def prefix(family):
    return {"xlm-roberta": "roberta"}.get(family, family) + "."


def model_weights(family):
    config, w = FAMILIES[family]["config"], {}
    width = config.get("embedding_size", HIDDEN)

    def linear(name, inputs, outputs):
        w[name + ".weight"] = value(name + ".weight", (outputs, inputs), 0.6)
        w[name + ".bias"] = value(name + ".bias", (outputs,), 0.2)

    def norm(name, features):
        w[name + ".weight"] = 1 + value(name + ".weight", (features,), 0.3)
        w[name + ".bias"] = value(name + ".bias", (features,), 0.2)

    e = prefix(family) + "embeddings."
    for name, rows, scale in (("word", VOCABULARY, 1.0), ("position", config["max_position_embeddings"], 0.5), ("token_type", config["type_vocab_size"], 0.5)):
        w[f"{e}{name}_embeddings.weight"] = value(f"{e}{name}_embeddings.weight", (rows, width), scale)
    norm(e + "LayerNorm", width)
    if width != HIDDEN:
        linear(prefix(family) + "embeddings_project", width, HIDDEN)
    for i in range(LAYERS):
        p = f"{prefix(family)}encoder.layer.{i}."
        for name in ("query", "key", "value"):
            linear(p + "attention.self." + name, HIDDEN, HIDDEN)
        linear(p + "attention.output.dense", HIDDEN, HIDDEN)
        norm(p + "attention.output.LayerNorm", HIDDEN)
        linear(p + "intermediate.dense", HIDDEN, INNER)
        linear(p + "output.dense", INNER, HIDDEN)
        norm(p + "output.LayerNorm", HIDDEN)
    if family == "bert":
        linear("bert.pooler.dense", HIDDEN, HIDDEN)
        linear("classifier", HIDDEN, CLASSES)
    else:
        linear("classifier.dense", HIDDEN, HIDDEN)
        linear("classifier.out_proj", HIDDEN, CLASSES)
    return w


def lora_weights(family):
    """A [in, rank] and B [rank, out] of every adapted layer, B not zero."""
    ab = {}
    for i in range(LAYERS):
        for name in ("query", "value"):
            p = f"{prefix(family)}encoder.layer.{i}.attention.self.{name}"
            ab[p + ".A"] = value(p + ".A", (HIDDEN, RANK), 0.5)
            ab[p + ".B"] = value(p + ".B", (RANK, HIDDEN), 0.5)
    return ab


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


ACTIVATIONS = {"gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))), "gelu_new": gelu_tanh, "relu": torch.relu}


def hidden_states(family, w, ab):
    """The last hidden states [texts, longest, hidden]."""
    config, texts, seconds = FAMILIES[family]["config"], FAMILIES[family]["texts"], FAMILIES[family]["secondSegments"]
    longest, pad = max(len(text) for text in texts), config["pad_token_id"]
    ids = torch.tensor([text + [pad] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    types = torch.tensor([[int(i >= second and i < len(text)) for i in range(longest)] for text, second in zip(texts, seconds)])
    batch, width = len(texts), HIDDEN // HEADS
    activation = ACTIVATIONS[config["hidden_act"]]

    def linear(name, x):
        y = F.linear(x, w[name + ".weight"], w[name + ".bias"])
        return y + ALPHA / RANK * (x @ ab[name + ".A"] @ ab[name + ".B"]) if ab and name + ".A" in ab else y

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], config["layer_norm_eps"])

    def heads(x):
        return x.view(batch, longest, HEADS, width).transpose(1, 2)

    # RoBERTa counts the tokens of a text from the padding token's id + 1, and gives that id itself to padding.
    positions = torch.cumsum(mask, 1) * mask + pad if "roberta" in family else torch.arange(longest).expand(batch, longest)
    e = prefix(family) + "embeddings."
    x = norm(e + "LayerNorm", w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][positions] + w[e + "token_type_embeddings.weight"][types])
    if "embedding_size" in config:
        x = linear(prefix(family) + "embeddings_project", x)
    for i in range(LAYERS):
        p = f"{prefix(family)}encoder.layer.{i}."
        q, k, v = (heads(linear(p + f"attention.self.{name}", x)) for name in ("query", "key", "value"))
        scores = q @ k.transpose(2, 3) / math.sqrt(width)
        scores = scores.masked_fill((mask == 0)[:, None, None, :], torch.finfo(scores.dtype).min)
        mixed = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, longest, HIDDEN)
        x = norm(p + "attention.output.LayerNorm", linear(p + "attention.output.dense", mixed) + x)
        x = norm(p + "output.LayerNorm", linear(p + "output.dense", activation(linear(p + "intermediate.dense", x))) + x)
    return x


def forward(family, w, ab):
    first = hidden_states(family, w, ab)[:, 0]
    if family == "bert":
        return F.linear(torch.tanh(F.linear(first, w["bert.pooler.dense.weight"], w["bert.pooler.dense.bias"])), w["classifier.weight"], w["classifier.bias"])
    inner = F.linear(first, w["classifier.dense.weight"], w["classifier.dense.bias"])
    inner = ACTIVATIONS["gelu"](inner) if family == "electra" else torch.tanh(inner)
    return F.linear(inner, w["classifier.out_proj.weight"], w["classifier.out_proj.bias"])


def loss(family, w, ab):
    return F.cross_entropy(forward(family, w, ab), torch.tensor(LABELS))


def gradients(family, w, ab, of):
    loss(family, w, ab).backward()
    return {name: flat(tensor.grad) for name, tensor in of.items()}


def train(family, w, make, steps=4):
    ab = {name: tensor.clone().requires_grad_(True) for name, tensor in lora_weights(family).items()}
    optimizer, losses = make(list(ab.values())), []
    for _ in range(steps):
        optimizer.zero_grad()
        step = loss(family, w, ab)
        step.backward()
        losses.append(step)
        optimizer.step()
    return {"losses": flat(torch.stack(losses)), "weights": {name: flat(tensor) for name, tensor in ab.items()}}


def numbers(family):
    w = model_weights(family)
    ab = {name: tensor.requires_grad_(True) for name, tensor in lora_weights(family).items()}
    whole = {name: tensor.clone().requires_grad_(True) for name, tensor in w.items()}
    texts = FAMILIES[family]["texts"]
    return FAMILIES[family] | {
        "labels": LABELS,
        "shapes": {name: list(tensor.shape) for name, tensor in w.items()},
        "hidden": flat(hidden_states(family, w, None)[0, :len(texts[0])]),
        "logits": flat(forward(family, w, None)),
        "loraLogits": flat(forward(family, w, ab)),
        "loraLoss": loss(family, w, ab).item(),
        "loraGradients": gradients(family, w, ab, ab),
        "gradients": gradients(family, whole, None, whole),
        "training": {
            "sgd": train(family, w, lambda p: torch.optim.SGD(p, lr=0.1)),
            "adam": train(family, w, lambda p: torch.optim.Adam(p, lr=0.01)),
            "adamw": train(family, w, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)),
        },
    }


if __name__ == "__main__":
    print("{" + ",\n".join(json.dumps(family) + ": " + json.dumps(numbers(family)) for family in FAMILIES) + "}")
