//! The sizes of a diffusion transformer.

/// The sizes of a [`DiT`](super::DiT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiTShape {
    /// Height, width and channels of the image.
    pub image: [usize; 3],
    /// Height and width of a patch; it divides height and width of the image.
    pub patch: usize,
    /// Numbers of a token; a multiple of 4 and of `heads`.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Hidden units of a block's perceptron, as a multiple of `width`.
    pub mlp_ratio: usize,
    /// Classes that the network can be told; 0 is none. One more, the null class, stands for "any".
    pub classes: usize,
}

impl DiTShape {
    /// Patches along height and width.
    pub const fn grid(&self) -> [usize; 2] {
        [self.image[0] / self.patch, self.image[1] / self.patch]
    }

    /// Tokens of an image.
    pub const fn tokens(&self) -> usize {
        let [rows, columns] = self.grid();
        rows * columns
    }

    /// Numbers of a patch.
    pub const fn pixels(&self) -> usize {
        self.patch * self.patch * self.image[2]
    }
}
