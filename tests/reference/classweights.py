"""Reference numbers for ClassWeightsTests: the model of distilbert.py, its loss weighted by class.

Run:  python3 tests/reference/classweights.py > tests/reference/classweights.json     (PyTorch 1.13 or later, float64 throughout)
"""
import json

import torch
import torch.nn.functional as F

from distilbert import LABELS, TEXTS, flat, forward, lora_weights, model_weights

WEIGHTS = [0.5, 2.0, 3.5]

w, losses = model_weights(), []
ab = {name: tensor.requires_grad_(True) for name, tensor in lora_weights().items()}
optimizer = torch.optim.AdamW(list(ab.values()), lr=0.02, weight_decay=0.1)
for _ in range(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(forward(w, ab, TEXTS), torch.tensor(LABELS), weight=torch.tensor(WEIGHTS))
    loss.backward()
    losses.append(loss)
    optimizer.step()
print(json.dumps({"losses": flat(torch.stack(losses)), "weights": {name: flat(tensor) for name, tensor in ab.items()}}))
