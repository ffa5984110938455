"""What PyTorch takes for the step and the product that tweedie's own benchmarks measure, on the CPU.

    pip install -r requirements.txt
    python pytorch.py [--tweedie PATH] [--pairs N]

One DSM training step of a 3-128-128-128-2 network at batch 512, noise, Adam and the moving average of the weights
included, and a 1024^3 product. With --tweedie, `tweedie bench --device cpu --suite train --json` runs in turn with
PyTorch, and the ratios of neighbours are printed: they hold on a noisy machine, where the times alone do not.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch

BATCH, ROWS = 512, 4096


class Training:
    def __init__(self):
        torch.manual_seed(0)
        sizes = [3, 128, 128, 128, 2]
        layers = []
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            layers += ([torch.nn.SiLU()] if i else []) + [torch.nn.Linear(inputs, outputs)]
        self.network = torch.nn.Sequential(*layers)
        self.parameters = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.data = torch.rand(ROWS, 2) * 2 - 1

    def step(self):
        x0 = self.data[torch.randint(ROWS, (BATCH,))]
        t = torch.rand(BATCH, 1) * (1 - 1e-5) + 1e-5
        noise = torch.randn(BATCH, 2)
        integral = t * (t * (0.5 * 19.9) + 0.1)  # VP with beta from 0.1 to 20
        alpha, sigma = torch.exp(-0.5 * integral), torch.sqrt(-torch.expm1(-integral))
        epsilon = self.network(torch.cat([alpha * x0 + sigma * noise, t], 1))
        loss = (epsilon - noise).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1e-3)


def median_time(run, count, repetitions=7):
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        for _ in range(count):
            run()
        times.append((time.perf_counter() - started) / count)
    return statistics.median(times)


def measure_pytorch():
    training = Training()
    for _ in range(20):
        training.step()
    step = median_time(training.step, 50)
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    with torch.no_grad():
        product = median_time(lambda: a @ b, 3)
    return step * 1e3, 2 * 1.024**3 / product


def measure_tweedie(path):
    command = [path, "bench", "--device", "cpu", "--suite", "train", "--json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]
    step = next(r for r in rows if r["name"] == "training step" and r["shape"].startswith("3-"))
    product = next(r for r in rows if r["name"] == "product nn" and r["shape"].startswith("1024"))
    return step["seconds"] * 1e3, product["gflops"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tweedie", help="the tweedie binary")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    steps, products = [], []
    for _ in range(arguments.pairs):
        step, product = measure_pytorch()
        line = f"PyTorch: step {step:.3f} ms, product {product:.1f} GFLOP/s"
        if arguments.tweedie:
            our_step, our_product = measure_tweedie(arguments.tweedie)
            steps.append(step / our_step)
            products.append(our_product / product)
            line += f"; tweedie: step {our_step:.3f} ms, product {our_product:.1f} GFLOP/s"
        print(line, flush=True)
    if steps:
        print(f"tweedie / PyTorch, medians of {len(steps)} pairs: "
              f"steps a second {statistics.median(steps):.2f}, product {statistics.median(products):.2f}")


if __name__ == "__main__":
    main()
