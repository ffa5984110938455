"""What two classical models give on the held-out digits, beside `tweedie likelihood runs/digits-unet --data test`.

    pip install -r requirements.txt
    python digits_likelihood.py

A Gaussian with full covariance and mixtures of Gaussians, fitted by scikit-learn to the same five sixths of the
digits, each value spread evenly over its interval of width 1/8 (17 levels in [-1, 1]) as tweedie does it. Printed are
bits per dimension of the other sixth, mean and standard error over 20 draws for each.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture

WIDTH = 2.0 / 16.0


def spread(values, generator):
    return values + (generator.random(values.shape) - 0.5) * WIDTH


def main():
    digits = load_digits()
    values = digits.data / 8.0 - 1.0
    # As Dataset::split: every sixth of those in the order of their classes.
    held_out = np.zeros(len(values), dtype=bool)
    held_out[np.argsort(digits.target, kind="stable")[5::6]] = True
    train, test = values[~held_out], values[held_out]
    generator = np.random.default_rng(0)
    # Several draws of each sample: the density between the levels is even.
    fitted = np.concatenate([spread(train, generator) for _ in range(8)])
    for components, covariance in [(1, "full"), (10, "full"), (20, "full"), (10, "diag"), (100, "diag")]:
        model = GaussianMixture(components, covariance_type=covariance, random_state=0, reg_covar=1e-4)
        model.fit(fitted)
        nats = np.mean([model.score_samples(spread(test, generator)) for _ in range(20)], axis=0)
        bits = -(nats / 64 + np.log(WIDTH)) / np.log(2)
        error = bits.std(ddof=1) / np.sqrt(len(bits))
        print(f"{components} x {covariance}: {bits.mean():.4f} +- {error:.4f} bits per dimension, {len(test)} digits")


if __name__ == "__main__":
    main()
