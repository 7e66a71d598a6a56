"""Reference numbers for SingularValueTests: singular values and best approximations of rank 2 by LAPACK.

Run:  python3 tests/reference/svd.py > tests/reference/svd.json     (NumPy 1.20 or later, float64)

Both sides make the matrices with the same formula, see `matrix`.
"""
import json

import numpy as np


def matrix(kind, rows, columns):
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    if kind == "modular":                       # whole numbers from -8 to 8
        return ((7 * i * i + 3 * i * j + 5 * j + 2) % 17 - 8).astype(np.float64)
    if kind == "hilbert":                       # singular values that fall by orders of magnitude
        return 1.0 / (i + j + 1)
    if kind == "dependent":                     # rank 2, whatever the size
        return (i + 1.0) * (j - 2.0) + (i * i - 3.0) * (2.0 * j + 1.0)
    raise ValueError(kind)


def case(kind, rows, columns):
    a = matrix(kind, rows, columns)
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return {"kind": kind, "rows": rows, "columns": columns, "values": s.tolist(), "rank2": ((u[:, :2] * s[:2]) @ vt[:2]).ravel().tolist()}


CASES = [("modular", 4, 4), ("modular", 5, 3), ("modular", 3, 7), ("modular", 12, 9), ("modular", 9, 20), ("hilbert", 6, 6), ("hilbert", 10, 5), ("dependent", 7, 5), ("dependent", 4, 9)]
print(json.dumps([case(*c) for c in CASES], indent=1))
