//! Tiles: what part of a product one workgroup computes, which tile a product gets, and into how many sums it is cut.

use crate::plan::Driver;

/// The part of C that one workgroup computes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of C a workgroup.
    pub rows: u32,
    /// Columns of C a workgroup.
    pub columns: u32,
    /// Steps of the inner dimension that are staged in workgroup memory at a time.
    pub depth: u32,
    /// Rows a thread, a multiple of 4.
    pub thread_rows: u32,
    /// Columns a thread, a multiple of 4.
    pub thread_columns: u32,
    /// No workgroup memory, and more registers than a GPU has: for drivers that run on a CPU.
    pub software_only: bool,
    /// Lanes of the subgroups that it shuffles in, no fewer and no more; 0 where it needs no subgroups.
    pub lanes: u32,
}

impl Tile {
    const fn new(rows: u32, columns: u32, depth: u32, thread_rows: u32, thread_columns: u32) -> Self {
        Self { rows, columns, depth, thread_rows, thread_columns, software_only: false, lanes: 0 }
    }

    const fn software(rows: u32, columns: u32, lanes: u32) -> Self {
        Self { rows, columns, depth: 4, thread_rows: rows, thread_columns: columns / 8, software_only: true, lanes }
    }

    /// Threads in a workgroup.
    pub const fn threads(self) -> u32 {
        (self.rows / self.thread_rows) * (self.columns / self.thread_columns)
    }

    /// Bytes of workgroup memory.
    pub const fn workgroup_bytes(self) -> u32 {
        if self.software_only { 0 } else { self.depth * (self.rows + self.columns) * 4 }
    }

    /// Names it in a shader's key: `64x64x16 4x4`.
    pub fn name(self) -> String {
        let Self { rows, columns, depth, thread_rows, thread_columns, lanes, .. } = self;
        let lanes = if lanes > 0 { format!(" subgroup{lanes}") } else { String::new() };
        format!("{rows}x{columns}x{depth} {thread_rows}x{thread_columns}{lanes}")
    }
}

/// The tiles from which a plan chooses: three for GPUs; two for software drivers; two for software drivers with
/// subgroups of 8 lanes.
pub const TILES: [Tile; 7] = [
    Tile::new(32, 32, 16, 4, 4),
    Tile::new(64, 64, 16, 4, 4),
    Tile::new(128, 128, 8, 8, 8),
    Tile::software(4, 64, 0),
    Tile::software(16, 64, 0),
    Tile::software(16, 32, 8),
    Tile::software(64, 32, 8),
];

impl Tile {
    /// The tile for products of this size, one for each of so many matrices.
    pub const fn choose(driver: Driver, matrices: u64, rows: u64, columns: u64) -> Self {
        match driver {
            // Two to three times as fast as tiles without subgroups, on a device with wgpu's `SUBGROUP` feature
            // (lavapipe).
            Driver::Software { lanes: 8 } => match rows {
                0..=4 => TILES[3],
                5..=32 => TILES[5],
                _ => TILES[6],
            },
            Driver::Software { .. } if rows <= 4 => TILES[3],
            Driver::Software { .. } => TILES[4],
            Driver::Hardware => {
                if rows >= 128 && columns >= 128 && matrices * rows.div_ceil(128) * columns.div_ceil(128) >= 64 {
                    TILES[2]
                } else if rows >= 64 && columns >= 64 && matrices * rows.div_ceil(64) * columns.div_ceil(64) >= 32 {
                    TILES[1]
                } else {
                    TILES[0]
                }
            }
        }
    }
}

/// Into how many parts the inner sum should be cut: more than 1 where C has too few tiles to fill a GPU and sums are
/// long, as weight gradients have.
pub const fn splits(rows: u64, columns: u64, inner: u64, tile: Tile) -> u64 {
    let tiles = rows.div_ceil(tile.rows as u64) * columns.div_ceil(tile.columns as u64);
    let (wanted, shortest) = if tile.software_only { (8, 256) } else { (128, 128) };
    let (by_tiles, by_depth) = (wanted / tiles, inner / shortest);
    let splits = if by_tiles < by_depth { by_tiles } else { by_depth };
    if splits == 0 { 1 } else { splits }
}
