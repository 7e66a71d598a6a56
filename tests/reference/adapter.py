"""Reference numbers for MergeCertificateTests and AdapterSpectrumTests: what rounding leaves of an update, its singular
values, and the directions that it brings in, by PyTorch.

Run:  python3 tests/reference/adapter.py > tests/reference/adapter.json     (PyTorch 1.13 or later)

Both sides make the matrices with the same formula, see `matrix`: W [out, in], A [in, r], B [r, out].
"""
import json

import torch

SCALING, EPSILON = 2.0, 0.5


def matrix(rows, columns, seed, scale):
    i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (((7 * i * i + 3 * i * j + 5 * j + seed * (i + 2 * j)) % 101 - 50).double() * scale).float()


def certificate(w, update, name, dtype):
    before, after = w.to(dtype).double(), (w + update.float()).to(dtype).double()
    landed, wanted = after - before, update
    return {"type": name, "update": wanted.norm().item(), "weight": w.double().norm().item(),
            "erased": (((landed == 0) & (wanted != 0)).sum() / (wanted != 0).sum()).item(),
            "error": ((landed - wanted).norm() / wanted.norm()).item()}


def case(out, inputs, rank, weight_scale, update_scale):
    w, a, b = matrix(out, inputs, 1, weight_scale), matrix(inputs, rank, 2, update_scale), matrix(rank, out, 3, 0.125)
    update = SCALING * (a.double() @ b.double()).T                          # [out, in]
    u0, _, _ = torch.linalg.svd(w.double(), full_matrices=False)
    u, s, _ = torch.linalg.svd(update, full_matrices=False)
    tuned, values, _ = torch.linalg.svd(w.double() + update, full_matrices=False)
    k = min(rank, out, inputs)
    s, p = s[:k], s[:k] / s[:k].sum()
    p = p[p > 0]
    return {"out": out, "in": inputs, "rank": rank, "weight_scale": weight_scale, "update_scale": update_scale,
            "values": s.tolist(), "effective_rank": (-(p * p.log()).sum()).exp().item(),
            "energy": ((s * s).cumsum(0) / (s * s).sum()).tolist(),
            "cosines": (u0.T @ u[:, :k]).abs().max(0).values.tolist(),
            "tuned_values": values.tolist(), "tuned_cosines": (u0.T @ tuned).abs().max(0).values.tolist(),
            "intruders": int(((u0.T @ tuned).abs().max(0).values < EPSILON).sum()),
            "certificates": [certificate(w, update, *each) for each in
                             (("F32", torch.float32), ("F16", torch.float16), ("BF16", torch.bfloat16))]}


print(json.dumps([case(6, 5, 2, 0.00571, 0.00001), case(7, 11, 3, 0.0019, 0.03), case(30, 24, 2, 0.0017, 0.004)]))
