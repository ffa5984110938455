//! Folders of pictures.

use super::binary::{files_in, image_values};
use super::{DataError, Dataset};
use std::path::Path;

/// Loads all `.png`, `.jpg` and `.jpeg` files of a folder, in order of their names (hidden files are passed over), as
/// samples `[H, W, C]` in [-1, 1]: C is 1 if all are grey, or else 3. Transparency is dropped; folders in the folder, and other
/// files, are passed over.
///
/// # Errors
/// If the folder or a picture cannot be read, there is none, or they differ in size.
pub fn load_folder(folder: &Path) -> Result<Dataset, DataError> {
    let is_picture = |path: &Path| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        !hidden && matches!(ending.as_str(), "png" | "jpg" | "jpeg")
    };
    let (mut bytes, mut first, mut color) = (Vec::new(), None, false);
    for path in files_in(folder)?.iter().filter(|path| is_picture(path)) {
        let picture = open(path)?;
        let (height, width) = (picture.height(), picture.width());
        let (h, w) = *first.get_or_insert((height, width));
        if (height, width) != (h, w) {
            let expected = format!("{h}x{w}, as the first picture has");
            return Err(DataError::format(path, format!("{height}x{width} pixels"), expected));
        }
        if picture.color().has_color() && !color {
            color = true;
            bytes = bytes.iter().flat_map(|grey| [*grey; 3]).collect();
        }
        bytes.extend(if color { picture.into_rgb8().into_raw() } else { picture.into_luma8().into_raw() });
    }
    let Some((h, w)) = first else {
        return Err(DataError::format(folder, "no pictures", "a folder of .png, .jpg or .jpeg files of one size"));
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shape = vec![h as usize, w as usize, if color { 3 } else { 1 }];
    let mut set = Dataset::new(name, shape, image_values(bytes)).map_err(|e| e.in_file(folder))?;
    set.levels = Some(256);
    Ok(set)
}

/// A picture as one sample of `shape` `[H, W, C]`, C being 1 (grey) or 3, in [-1, 1].
///
/// # Errors
/// If it cannot be read, or has another size.
pub fn load_picture(path: &Path, shape: [usize; 3]) -> Result<Vec<f32>, DataError> {
    let picture = open(path)?;
    let [height, width, channels] = shape;
    if [picture.height() as usize, picture.width() as usize] != [height, width] || !matches!(channels, 1 | 3) {
        let found = format!("{}x{} pixels", picture.height(), picture.width());
        return Err(DataError::format(path, found, format!("{height}x{width} pixels of {channels} channels")));
    }
    let bytes = if channels == 3 { picture.into_rgb8().into_raw() } else { picture.into_luma8().into_raw() };
    Ok(image_values(bytes).to_f32())
}

fn open(path: &Path) -> Result<image::DynamicImage, DataError> {
    image::open(path)
        .map_err(|e| DataError::format(path, e.to_string().replace('\n', " "), "a whole PNG or JPEG picture"))
}
