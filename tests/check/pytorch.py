"""The products and LoRA steps of the check of a GPU, by PyTorch: what a GPU gives another program.

Prints one object of JSON a line: GFLOP/s of float32 products with TF32 off and on, and milliseconds
of forward pass and step of a DistilBERT-shaped classifier (random weights, LoRA r = 8 on query and
value, SGD, no dropout, every token of the last block computed). Where there is no PyTorch, or it
has no such device, one object says so. The check runs it; by hand:
python3 pytorch.py [--device cuda] [--products "M,N,K;M,N,K"] [--steps "8x128,32x128,8x512"]
"""
import argparse
import json
import math
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError as error:
    print(json.dumps({"left_out": f"this Python has no PyTorch ({error})"}))
    raise SystemExit(0)


class LowRank(nn.Module):
    """y = xWᵀ + b + s·(xA)B with a frozen linear layer."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear, self.scaling = linear, alpha / rank
        self.a = nn.Parameter(torch.empty(linear.in_features, rank).uniform_(-1, 1) / math.sqrt(linear.in_features))
        self.b = nn.Parameter(torch.zeros(rank, linear.out_features))

    def forward(self, x):
        return self.linear(x) + self.scaling * (x @ self.a @ self.b)


class Block(nn.Module):
    """Attention and feed-forward, each followed by LayerNorm."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.first_norm, self.second_norm = (nn.LayerNorm(width, eps=1e-12) for _ in range(2))

    def forward(self, x):
        texts, tokens, width = x.shape

        def by_head(y):
            return y.view(texts, tokens, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = by_head(self.query(x)), by_head(self.key(x)), by_head(self.value(x))
        if hasattr(functional, "scaled_dot_product_attention"):
            y = functional.scaled_dot_product_attention(q, k, v)
        else:
            y = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(width // self.heads), -1) @ v
        x = self.first_norm(x + self.output(y.transpose(1, 2).reshape(texts, tokens, width)))
        return self.second_norm(x + self.down(functional.gelu(self.up(x))))


class Classifier(nn.Module):
    """DistilBERT's size, two classes from the first token."""

    def __init__(self, layers=6, width=768, heads=12, inner=3072, vocabulary=30522, positions=512, classes=2):
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.blocks = nn.ModuleList(Block(width, heads, inner) for _ in range(layers))
        self.before, self.classes = nn.Linear(width, width), nn.Linear(width, classes)

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device)))
        for block in self.blocks:
            x = block(x)
        return self.classes(functional.relu(self.before(x[:, 0])))


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(device, action, at_most=15, enough=1.0):
    """Times of an action in their order, after two that do not count."""
    action(), action(), wait(device)
    times, begin = [], time.perf_counter()
    while len(times) < at_most and (not times or time.perf_counter() - begin < enough):
        start = time.perf_counter()
        action()
        wait(device)
        times.append(time.perf_counter() - start)
    return sorted(times)


def measure_products(device, shapes):
    for m, n, k in shapes:
        a, b, y = (torch.rand(rows, columns, device=device) - 0.5 for rows, columns in ((m, k), (k, n), (m, n)))
        flops, figures = 2.0 * m * n * k, {"name": "product", "m": m, "n": n, "k": k}
        for name, allowed in (("float32", False), ("tf32", True)):
            if allowed and device != "cuda":
                continue
            torch.backends.cuda.matmul.allow_tf32 = allowed
            torch.mm(a, b, out=y)
            wait(device)
            once = seconds(device, lambda: torch.mm(a, b, out=y), at_most=3)[0]
            count = int(min(max(0.02 / once, 1), 1000))     # as many between two waits as fill 20 ms

            def window():
                for _ in range(count):
                    torch.mm(a, b, out=y)

            times = seconds(device, window)
            figures[f"{name}_gflops"] = round(1e-9 * flops * count / times[len(times) // 2], 1)
            figures[f"{name}_gflops_best"] = round(1e-9 * flops * count / times[0], 1)
        torch.backends.cuda.matmul.allow_tf32 = False
        print(json.dumps(figures), flush=True)


def measure_steps(device, sizes):
    if not sizes:
        return
    model = Classifier()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for block in model.blocks:
        block.query, block.value = LowRank(block.query, 8, 16), LowRank(block.value, 8, 16)
    model.to(device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3)
    for batch, length in sizes:
        ids = torch.randint(0, 30522, (batch, length), device=device)
        labels = torch.randint(0, 2, (batch,), device=device)

        def forward():
            with torch.no_grad():
                model(ids)

        def step():
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(ids), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        figures = {"name": "step", "batch": batch, "length": length,
                   "trainable": sum(parameter.numel() for parameter in trained)}
        for name, allowed in (("float32", False), ("tf32", True)):
            if allowed and device != "cuda":
                continue
            torch.backends.cuda.matmul.allow_tf32 = allowed
            for what, action in (("forward", forward), ("step", step)):
                times = seconds(device, action)
                figures[f"{name}_{what}_ms"] = round(1e3 * times[len(times) // 2], 3)
        if device == "cuda":
            figures["peak_mib"] = torch.cuda.max_memory_allocated() >> 20
        torch.backends.cuda.matmul.allow_tf32 = False
        print(json.dumps(figures), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--products", default="2048,2048,2048;4096,4096,4096")
    parser.add_argument("--steps", default="8x128,32x128,8x512")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"left_out": f"PyTorch {torch.__version__} sees no CUDA device"}))
        return
    name = torch.cuda.get_device_name() if options.device == "cuda" else "the CPU"
    print(json.dumps({"name": "PyTorch", "version": torch.__version__, "cuda": torch.version.cuda, "device": name}),
          flush=True)
    torch.manual_seed(0)
    measure_steps(options.device, [tuple(map(int, size.split("x"))) for size in options.steps.split(",") if size])
    measure_products(options.device,
                     [tuple(map(int, size.split(","))) for size in options.products.split(";") if size])


main()
