"""Reference numbers for MultiLabelTests: the model of distilbert.py with any number of classes for a text.

Run:  python3 tests/reference/multilabel.py > tests/reference/multilabel.json     (PyTorch 1.13 or later, float64 throughout)
"""
import json

import torch
import torch.nn.functional as F

from distilbert import CLASSES, TEXTS, flat, forward, lora_weights, model_weights

LABELS = [[0, 2], [], [1], [0, 1, 2]]


def loss(w, ab):
    targets = torch.tensor([[float(label in labels) for label in range(CLASSES)] for labels in LABELS])
    return F.binary_cross_entropy_with_logits(forward(w, ab, TEXTS), targets)


w, losses = model_weights(), []
ab = {name: tensor.requires_grad_(True) for name, tensor in lora_weights().items()}
optimizer = torch.optim.AdamW(list(ab.values()), lr=0.02, weight_decay=0.1)
for _ in range(4):
    optimizer.zero_grad()
    step = loss(w, ab)
    step.backward()
    losses.append(step)
    optimizer.step()
print(json.dumps({"losses": flat(torch.stack(losses)), "weights": {name: flat(tensor) for name, tensor in ab.items()}}))
