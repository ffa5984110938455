"""The work of a training step of U-Nets of different programs, counted in one way.

    python products.py

Counted are multiplications and additions in products and convolutions: forward, the gradient of the weights, and the
gradient of what is read, where that depends on weights. Pointwise functions, normalisations, the optimizer, and what a
program computes twice are not. tweedie's own figures (`tweedie plan`, `tweedie bench`) have those besides.
"""


class Count:
    def __init__(self):
        self.flops = 0

    def product(self, rows, inputs, outputs, first=False):
        """`first`: what is read depends on no weights."""
        self.flops += (2 if first else 3) * 2 * rows * inputs * outputs

    def conv(self, pixels, inputs, outputs, kernel=3, first=False):
        """`pixels` of the result."""
        self.product(pixels, kernel * kernel * inputs, outputs, first)

    def attention(self, queries, keys, channels):
        """Two products, and two for the gradients of each."""
        self.flops += 3 * 2 * 2 * queries * keys * channels


def tweedie(side, colours, widths, batch, blocks=1, attends=()):
    """DDPM's U-Net; `attends` are the sides of levels with attention besides the middle."""
    count = Count()
    embedding = 4 * widths[0]
    count.product(batch, widths[0], embedding, first=True)
    count.product(batch, embedding, embedding)

    def block(side, inputs, outputs, attention):
        pixels = batch * side * side
        count.conv(pixels, inputs, outputs)
        count.conv(pixels, outputs, outputs)
        count.product(batch, embedding, outputs)
        if inputs != outputs:
            count.conv(pixels, inputs, outputs, kernel=1)
        if attention:
            count.conv(pixels, outputs, 4 * outputs, kernel=1)
            count.flops += batch * 3 * 2 * 2 * side**4 * outputs

    count.conv(batch * side * side, colours, widths[0], first=True)
    skips, channels = [widths[0]], widths[0]
    for level, width in enumerate(widths):
        if level > 0:
            side //= 2
            count.conv(batch * side * side, channels, channels)
            skips.append(channels)
        for _ in range(blocks):
            block(side, channels, width, side in attends)
            skips.append(width)
            channels = width
    block(side, channels, channels, True)
    block(side, channels, channels, False)
    for level in reversed(range(len(widths))):
        if level + 1 < len(widths):
            side *= 2
            count.conv(batch * side * side, channels, channels)
        for _ in range(blocks + 1):
            block(side, channels + skips.pop(), widths[level], side in attends)
            channels = widths[level]
    count.conv(batch * side * side, channels, colours)
    return count.flops


def meganeura(base, features, embedding, side=32, levels=3, colours=4, context=(77, 768)):
    """`SDUNetConfig` of meganeura 0.3.0 at batch 1: `tiny` has base 32, `small` 64."""
    count = Count()
    tokens, told = context
    count.product(1, features, embedding, first=True)
    count.product(1, embedding, embedding)

    def block(side, inputs, outputs):
        count.conv(side * side, inputs, outputs)
        count.conv(side * side, outputs, outputs)
        count.product(1, embedding, outputs)
        if inputs != outputs:
            count.conv(side * side, inputs, outputs, kernel=1)

    def transformer(side, width):
        pixels = side * side
        # In and out, q, k, v and out, q and out of the cross-attention, and the two layers four times as wide.
        count.product(pixels, width, (2 + 4 + 2 + 8) * width)
        count.product(tokens, told, 2 * width, first=True)
        count.attention(pixels, pixels, width)
        count.attention(pixels, tokens, width)

    widths = [base << level for level in range(levels)]
    count.conv(side * side, colours, base, first=True)
    channels = base
    for level, width in enumerate(widths):
        block(side, channels, width)
        channels = width
        if level > 0:
            transformer(side, width)
        if level + 1 < levels:
            side //= 2
            count.conv(side * side, width, width)
    block(side, channels, channels)
    transformer(side, channels)
    for level in reversed(range(levels)):
        if level + 1 < levels:
            side *= 2
        block(side, channels + widths[level], widths[level])
        channels = widths[level]
        if level > 0:
            transformer(side, channels)
    count.conv(side * side, base, colours)
    return count.flops


STEPS = {
    "tweedie, U-Net 16-32, 16x16x1, batch 16": tweedie(16, 1, [16, 32], 16),
    "tweedie, U-Net 16-32, 8x8x1, batch 64": tweedie(8, 1, [16, 32], 64),
    "tweedie, U-Net 32-64, 16x16x3, batch 16": tweedie(16, 3, [32, 64], 16),
    "tweedie, DDPM CIFAR-10, batch 4": tweedie(32, 3, [128, 256, 256, 256], 4, blocks=2, attends=(16,)),
    "meganeura, tiny, batch 1": meganeura(32, 32, 128),
    "meganeura, small, batch 1": meganeura(64, 64, 256),
}

if __name__ == "__main__":
    for name, flops in STEPS.items():
        print(f"{flops * 1e-9:8.3f} GFLOP  {name}")
