//! Pictures: what they show is read back from the files, and awkward data is drawn or refused, never a panic.

use image::{AnimationDecoder, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tweedie::data::{Toy, digits};
use tweedie::picture::*;

/// A folder for a test's pictures; `TWEEDIE_PICTURES` keeps them in a folder of one's own, to look at.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        match std::env::var_os("TWEEDIE_PICTURES") {
            Some(folder) => Path::new(&folder).join(name),
            None => self.0.path().join(name),
        }
    }
}

fn open(path: &Path) -> RgbImage {
    image::open(path).unwrap().into_rgb8()
}

fn frames(path: &Path) -> Vec<image::Frame> {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    image::codecs::gif::GifDecoder::new(file).unwrap().into_frames().collect_frames().unwrap()
}

/// How many pixels of a picture are near a colour.
fn count(image: &RgbImage, color: [u8; 3]) -> usize {
    image.pixels().filter(|p| (0..3).all(|c| p.0[c].abs_diff(color[c]) < 30)).count()
}

const BLUE: [u8; 3] = [0, 114, 178];
const VERMILION: [u8; 3] = [213, 94, 0];

#[test]
fn a_grid_enlarges_each_pixel_and_keeps_gaps_of_one() {
    let folder = Folder::new();
    let path = folder.file("tiny.png");
    // Two grey images of 1x2: black and white, mid grey and not a number.
    let layout = GridLayout { columns: Some(2), upscale: Some(3) };
    write_grid(&path, &[-1.0, 1.0, 0.0, f32::NAN], [2, 1, 2, 1], layout).unwrap();
    let image = open(&path);
    assert_eq!(image.dimensions(), (2 * (6 + 1) + 1, 3 + 2));
    let row: Vec<[u8; 3]> = (0..15).map(|x| image.get_pixel(x, 2).0).collect();
    let gap = [96; 3];
    let mut expected = vec![gap];
    expected.extend([[0; 3]; 3]);
    expected.extend([[255; 3]; 3]);
    expected.push(gap);
    expected.extend([[128; 3]; 3]);
    expected.extend([VERMILION; 3]);
    expected.push(gap);
    assert_eq!(row, expected);
}

#[test]
fn a_color_grid_keeps_its_channels_and_clips() {
    let folder = Folder::new();
    let path = folder.file("color.png");
    let layout = GridLayout { columns: None, upscale: Some(1) };
    write_grid(&path, &[1.0, -1.0, 0.0, 7.0, -7.0, 1.0], [1, 2, 1, 3], layout).unwrap();
    let image = open(&path);
    assert_eq!(image.dimensions(), (3, 4));
    assert_eq!((image.get_pixel(1, 1).0, image.get_pixel(1, 2).0), ([255, 0, 128], [255, 0, 255]));
}

#[test]
fn digits_become_a_grid_of_readable_size() {
    let folder = Folder::new();
    let values = digits().unwrap().values.to_f32();
    let path = folder.file("samples.png");
    write_grid(&path, &values[..64 * 64], [64, 8, 8, 1], GridLayout::default()).unwrap();
    let image = open(&path);
    assert_eq!(image.dimensions(), (8 * 49 + 1, 8 * 49 + 1));
    // The middle of the block of image 9, row 3, column 2, shows that pixel.
    let level = values[9 * 64 + 3 * 8 + 2];
    let shown = image.get_pixel(49 + 1 + 2 * 6 + 3, 49 + 1 + 3 * 6 + 3).0[0];
    assert_eq!(f32::from(shown), ((level + 1.0) * 127.5).round());
}

#[test]
fn a_grid_refuses_what_is_no_image_in_one_line() {
    let folder = Folder::new();
    let path = folder.file("none.png");
    for (values, shape) in [(0, [0, 8, 8, 1]), (5, [1, 2, 2, 1]), (8, [1, 2, 2, 2]), (4, [usize::MAX, 2, 2, 1])] {
        let error = write_grid(&path, &vec![0.0; values], shape, GridLayout::default()).unwrap_err().to_string();
        assert!(error.contains("none.png") && !error.contains('\n'), "{error}");
    }
    let huge = GridLayout { columns: None, upscale: Some(usize::MAX) };
    assert!(write_grid(&path, &[0.0], [1, 1, 1, 1], huge).is_err());
    assert!(!path.exists());
}

#[test]
fn scatters_show_their_points_and_survive_awkward_ones() {
    let folder = Folder::new();
    let moons = Toy::TwoMoons.dataset(2000, 1).unwrap().values.to_f32();
    let mut astray = Toy::TwoMoons.dataset(2000, 2).unwrap().values.to_f32();
    astray[0] = f32::NAN;
    astray[3] = 1e30;
    let path = folder.file("scatter.png");
    let panels = [Panel { title: "data", points: &moons }, Panel { title: "samples", points: &astray }];
    write_scatter(&path, &panels, None).unwrap();
    assert_eq!(open(&path).dimensions(), (720, 360));
    let awkward: [&[f32]; 5] =
        [&[], &[1.0, 1.0, 1.0, 1.0], &[f32::NAN; 4], &[f32::INFINITY, 0.0], &[3e38, -3e38, 3e38, 3e38]];
    for points in awkward {
        write_scatter(&folder.file("scatter-awkward.png"), &[Panel { title: "awkward", points }], None).unwrap();
    }
    assert!(write_scatter(&path, &[], None).is_err());
    assert!(write_scatter(&path, &[Panel { title: "odd", points: &[0.0] }], None).is_err());
}

#[test]
fn a_point_is_drawn_where_it_lies() {
    let folder = Folder::new();
    let path = folder.file("corner.png");
    let view = View { center: [0.0, 0.0], reach: 1.0 };
    // Many points on one place, up and to the right of the middle.
    write_scatter(&path, &[Panel { title: "", points: &[0.5, 0.5].repeat(20) }], Some(view)).unwrap();
    let image = open(&path);
    let near = |p: &image::Rgb<u8>| (0..3).all(|c| p.0[c].abs_diff(BLUE[c]) < 40);
    let blue: Vec<_> = image.enumerate_pixels().filter(|(_, _, p)| near(p)).map(|(x, y, _)| (x, y)).collect();
    assert!(!blue.is_empty());
    assert!(blue.iter().all(|(x, y)| *x > 190 && *y < 170), "{blue:?}");
}

#[test]
fn loss_curves_have_both_colors_and_need_nothing() {
    let folder = Folder::new();
    let path = folder.file("loss.png");
    let noise = |i: usize| ((i * 7919) % 1000) as f64 / 1000.0 - 0.5;
    let mean = |i: f64| 0.35 + 0.65 * (-i / 900.0).exp();
    let train: Vec<_> = (0..6000).map(|i| (i as f64, mean(i as f64) * (1.0 + 0.5 * noise(i)))).collect();
    let held_out: Vec<_> = (0..25).map(|i| (i as f64 * 250.0, mean(i as f64 * 250.0) * 1.04)).collect();
    let levels: Vec<_> = (1..=10).map(|i| (i as f64 / 10.0, 1.0 / (0.4 + i as f64))).collect();
    let held_levels: Vec<_> = levels.iter().map(|p| (p.0, p.1 * 1.1)).collect();
    let curves = LossCurves {
        train: &train,
        held_out: &held_out,
        train_levels: &levels,
        held_out_levels: &held_levels,
        level_name: "t",
        log_levels: false,
    };
    write_loss(&path, &curves).unwrap();
    let image = open(&path);
    assert!(count(&image, BLUE) > 300 && count(&image, VERMILION) > 300);
    let log = LossCurves { level_name: "σ", log_levels: true, train: &train[..1], held_out: &[], ..curves };
    write_loss(&folder.file("loss-log.png"), &log).unwrap();

    let awkward: [&[(f64, f64)]; 6] = [
        &[],
        &[(1.0, f64::NAN), (2.0, 0.0), (3.0, -1.0)],
        &[(1.0, 2.0), (2.0, 2.0)],
        &[(5.0, 1.0)],
        &[(0.0, 1e-300), (1.0, 1e300)],
        &[(f64::INFINITY, 1.0), (0.0, f64::INFINITY)],
    ];
    for points in awkward {
        for log_levels in [false, true] {
            let all = LossCurves {
                train: points,
                held_out: points,
                train_levels: points,
                held_out_levels: points,
                level_name: "",
                log_levels,
            };
            write_loss(&folder.file("loss-awkward.png"), &all).unwrap();
        }
    }
}

#[test]
fn score_fields_are_drawn_side_by_side() {
    let folder = Folder::new();
    let set = Toy::EightGaussians.dataset(1500, 3).unwrap();
    let mixture = set.exact.as_ref().unwrap();
    let data = set.values.to_f32();
    let view = View::around(&data);
    let at = view.lattice(20);
    let score = |x: &[f32], bend: f64| {
        let mut out = [0.0; 2];
        mixture.score(&[f64::from(x[0]), f64::from(x[1])], 1.0, 0.4, &mut out);
        [(out[0] + bend * out[1]) as f32, (out[1] - bend * out[0]) as f32]
    };
    let exact: Vec<f32> = at.chunks(2).flat_map(|x| score(x, 0.0)).collect();
    let mut learned: Vec<f32> = at.chunks(2).flat_map(|x| score(x, 0.15)).collect();
    learned[300] = f32::NAN;
    let samples = Toy::EightGaussians.dataset(300, 4).unwrap().values.to_f32();
    let path = folder.file("score-field.png");
    let field = ScoreField { at: &at, learned: &learned, exact: Some(&exact), level: "σ = 0.4" };
    write_field(&path, &field, view, &data, &samples).unwrap();
    assert_eq!(open(&path).dimensions(), (920, 488));
    let wrong = ScoreField { learned: &learned[2..], ..field };
    assert!(write_field(&path, &wrong, view, &data, &samples).is_err());
    let zeros = vec![0.0; at.len()];
    let flat = ScoreField { at: &at, learned: &zeros, exact: None, level: "" };
    write_field(&folder.file("score-field-flat.png"), &flat, View::around(&[]), &[], &[]).unwrap();
    let nothing = ScoreField { at: &[], learned: &[], exact: Some(&[]), level: "" };
    write_field(&folder.file("score-field-empty.png"), &nothing, View::around(&[]), &[], &[]).unwrap();
}

#[test]
fn an_arrow_points_along_its_score() {
    let folder = Folder::new();
    let path = folder.file("arrow.png");
    let field = ScoreField { at: &[0.0, 0.0], learned: &[0.0, 1.0], exact: None, level: "" };
    write_field(&path, &field, View { center: [0.0; 2], reach: 1.0 }, &[], &[]).unwrap();
    let image = open(&path);
    // One long arrow upwards: its head, which is wider than its shaft, is in the upper half of the rows that it darkens.
    let dark = |y: u32| (100..400).filter(|&x| image.get_pixel(x, y).0[0] < 100).count();
    let rows: Vec<u32> = (40..400).filter(|&y| (1..150).contains(&dark(y))).collect();
    let (top, bottom) = (rows[0], rows[rows.len() - 1]);
    assert!(bottom - top > 200, "{top} {bottom}");
    let widest = *rows.iter().max_by_key(|&&y| dark(y)).unwrap();
    assert!(dark(widest) > 20 && widest < (top + bottom) / 2, "the head is at row {widest} of {top} to {bottom}");
}

#[test]
fn trajectories_keep_their_frames_and_end_on_the_last() {
    let folder = Folder::new();
    let (t, n) = (12, 9);
    let set = digits().unwrap().values.to_f32();
    let mut values = Vec::new();
    for time in 0..t {
        let noise = 1.0 - time as f32 / (t - 1) as f32;
        for (i, pixel) in set[..n * 64].iter().enumerate() {
            let hash =
                (((i + 641 * time + 1) as u32).wrapping_mul(2654435769) ^ 0x5bd1e995).wrapping_mul(2246822519) >> 16;
            values.push((1.0 - noise) * pixel + noise * (hash as f32 / 32768.0 - 1.0));
        }
    }
    let shape = [t, n, 8, 8, 1];
    let path = folder.file("trajectory.gif");
    write_grid_gif(&path, &values, shape, GridLayout::default(), Duration::from_millis(80)).unwrap();
    let decoded = frames(&path);
    assert_eq!(decoded.len(), t);
    assert_eq!(decoded[0].buffer().dimensions(), (3 * 49 + 1, 3 * 49 + 1));
    let delays: Vec<Duration> = decoded.iter().map(|f| f.delay().into()).collect();
    assert_eq!((delays[0], delays[t - 1]), (Duration::from_millis(80), Duration::from_millis(1500)));
    let (ink, shown) = (set[2 * 8 + 2], decoded[t - 1].buffer().get_pixel(1 + 2 * 6 + 3, 1 + 2 * 6 + 3).0[0]);
    assert!((f32::from(shown) - (ink + 1.0) * 127.5).abs() <= 8.0, "{ink} {shown}");

    let strip = folder.file("trajectory.png");
    write_grid_strip(&strip, &values, shape, 6).unwrap();
    assert_eq!(open(&strip).dimensions(), (6 * 49 + 1, 9 * 49 + 1));
    assert!(write_grid_strip(&strip, &[], [0, 1, 8, 8, 1], 6).is_err());
    assert!(write_grid_gif(&path, &values, [t, n, 8, 8, 3], GridLayout::default(), Duration::ZERO).is_err());
}

#[test]
fn scatter_trajectories_have_a_frame_and_a_title_each() {
    let folder = Folder::new();
    let t = 12;
    let end = Toy::SwissRoll.dataset(800, 5).unwrap().values.to_f32();
    let points: Vec<f32> = (0..t).flat_map(|i| end.iter().map(move |x| x * (3.0 - 2.0 * i as f32 / 11.0))).collect();
    let titles: Vec<String> = (0..t).map(|i| format!("t = {:.2}", 1.0 - i as f32 / 11.0)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let path = folder.file("trajectory-scatter.gif");
    write_scatter_gif(&path, &points, [t, 800], &titles, None, Duration::from_millis(80)).unwrap();
    assert_eq!(frames(&path).len(), t);
    let strip = folder.file("trajectory-scatter.png");
    write_scatter_strip(&strip, &points, [t, 800], &titles, None, 5).unwrap();
    assert_eq!(open(&strip).dimensions(), (5 * 260, 260));
    assert!(write_scatter_gif(&path, &points, [t, 800], &titles[1..], None, Duration::ZERO).is_err());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_loss(&folder.path().join("missing/loss.png"), &LossCurves::default()).unwrap_err().to_string();
    assert!(error.contains("loss.png") && !error.contains('\n'), "{error}");
}
