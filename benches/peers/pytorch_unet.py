"""What PyTorch takes for a training step of U-Nets that tweedie's own benchmarks measure, on the CPU.

    pip install -r requirements.txt
    python pytorch_unet.py [--tweedie PATH] [--pairs N] [--threads N] [--only TEXT]

diffusers' UNet2DModel, eager: batch, noise, forward, backward, Adam. With --tweedie, the same networks run in turn as
`tweedie bench --suite unet --device cpu --json --only "training step"` has them (clip and moving average of the weights
besides), and the ratios of neighbours are printed: they hold on a noisy machine, where the times alone do not.
On a machine with other work compare one thread: PyTorch's threads wait for one another in a loop, and take many times as
long where one of them has to share its processor.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch
from diffusers import UNet2DModel

# The network as tweedie names it: image (height, channels), batch, arguments of UNet2DModel.
SIZES = {
    "U-Net 16-32, 8x8x1": (8, 1, 64, dict(block_out_channels=(16, 32), norm_num_groups=16)),
    "U-Net 32-64, 16x16x3": (16, 3, 16, dict(block_out_channels=(32, 64), norm_num_groups=32)),
    "DDPM CIFAR-10": (32, 3, 4, dict(
        block_out_channels=(128, 256, 256, 256),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=32,
        norm_eps=1e-6,
        dropout=0.1,
    )),
}
PLAIN = dict(
    layers_per_block=1,
    down_block_types=("DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D"),
    norm_eps=1e-5,
)


class Training:
    def __init__(self, name):
        torch.manual_seed(0)
        side, channels, self.batch, arguments = SIZES[name]
        self.network = UNet2DModel(
            sample_size=side,
            in_channels=channels,
            out_channels=channels,
            attention_head_dim=None,  # one head
            downsample_padding=0,
            **(PLAIN | arguments),
        ).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.data = torch.rand(512, channels, side, side) * 2 - 1

    def weights(self):
        return sum(parameter.numel() for parameter in self.network.parameters())

    def step(self):
        x0 = self.data[torch.randint(512, (self.batch,))]
        t = torch.rand(self.batch, 1, 1, 1) * (1 - 1e-5) + 1e-5
        noise = torch.randn_like(x0)
        integral = t * (t * (0.5 * 19.9) + 0.1)  # VP with beta from 0.1 to 20
        alpha, sigma = torch.exp(-0.5 * integral), torch.sqrt(-torch.expm1(-integral))
        epsilon = self.network(alpha * x0 + sigma * noise, t.flatten() * 1000).sample
        loss = (epsilon - noise).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def times_of(run, least=0.5):
    """Median and least."""
    times, started = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started < least:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times), min(times)


def measure_pytorch(name):
    training = Training(name)
    for _ in range(2):
        training.step()
    return times_of(training.step)


def measure_tweedie(path, name):
    command = [path, "bench", "--device", "cpu", "--suite", "unet", "--json", "--only", f"training step, {name}"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]
    row = next(row for row in rows if row["name"] == "training step" and row["shape"].startswith(name))
    return row["seconds"], row["fastest_seconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tweedie", help="the tweedie binary")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of both")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    names = [name for name in SIZES if arguments.only in name]
    ratios = {name: [] for name in names}
    for name in names:
        print(f"{name}: {Training(name).weights()} weights, batch {SIZES[name][2]}")
        for _ in range(arguments.pairs):
            step, least = measure_pytorch(name)
            line = f"  PyTorch {step * 1e3:.1f} ms (least {least * 1e3:.1f})"
            if arguments.tweedie:
                ours, our_least = measure_tweedie(arguments.tweedie, name)
                ratios[name].append((step / ours, least / our_least))
                line += f", tweedie {ours * 1e3:.1f} ms (least {our_least * 1e3:.1f})"
                line += f", ratio {step / ours:.2f} ({least / our_least:.2f})"
            print(line, flush=True)
    for name, found in ratios.items():
        if found:
            medians, leasts = (statistics.median(column) for column in zip(*found))
            print(f"tweedie / PyTorch in steps a second, medians of {len(found)} pairs: "
                  f"{medians:.2f} by medians, {leasts:.2f} by the least times  {name}")


if __name__ == "__main__":
    main()
