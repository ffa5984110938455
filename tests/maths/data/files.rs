//! Data from files and into them: .npy, .csv, IDX, CIFAR batches, folders of pictures.

use std::fs;

use crate::common::npy::npy;
use tweedie::data::*;

#[test]
fn npy_files_are_written_as_numpy_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    for (shape, text) in
        [(&[6][..], "(6,)"), (&[2, 3], "(2, 3)"), (&[1, 6, 1], "(1, 6, 1)"), (&[0, 4], "(0, 4)"), (&[], "()")]
    {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32 - 0.5).collect();
        write_npy(&path, shape, &values).unwrap();
        assert_eq!(fs::read(&path).unwrap(), npy("'<f4'", "False", text, &bytes(&values)));
        assert_eq!(read_npy(&path).unwrap(), Array { shape: shape.to_vec(), values: Values::F32(values) });
    }
    assert!(write_npy(&path, &[2, 2], &[0.0; 3]).is_err());
}

#[test]
fn npy_files_of_other_element_types_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let doubles: Vec<u8> = [0.25f64, -3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    // 1.5 and -2 in half precision.
    let halves = [0x00, 0x3e, 0x00, 0xc0];
    for (descr, data, expected) in [("'<f8'", &doubles[..], [0.25, -3.0]), ("'<f2'", &halves, [1.5, -2.0])] {
        fs::write(&path, npy(descr, "False", "(2,)", data)).unwrap();
        assert_eq!(read_npy(&path).unwrap().values.to_f32(), expected);
    }
    fs::write(&path, npy("'|u1'", "False", "(2, 1, 1, 1)", &[0, 255])).unwrap();
    assert_eq!(read_npy(&path).unwrap().values.to_f32(), [0.0, 255.0]);
    let set = load(&path).unwrap();
    assert_eq!((set.shape.as_slice(), set.levels, set.values.to_f32()), (&[1, 1, 1][..], Some(256), vec![-1.0, 1.0]));
}

#[test]
fn npy_files_that_do_not_fit_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let cases: [(Vec<u8>, &str); 10] = [
        (npy("'<i8'", "False", "(1,)", &[0; 8]), "'<i8'"),
        (npy("'>f4'", "False", "(1,)", &[0; 4]), "'>f4'"),
        (npy("'<f4'", "True", "(2, 2)", &[0; 16]), "Fortran"),
        (npy("'<f4'", "False", "(3,)", &[0; 8]), "12 bytes"),
        (npy("'<f4'", "False", "(1,)", &[0; 8]), "4 bytes"),
        (npy("[('a', '<f4')]", "False", "(1,)", &[0; 4]), "plain array"),
        (npy("'<f4'", "False", "(99999999999, 99999999999)", &[]), "smaller"),
        (b"\x93NUMPY\x01\x00\xff\xff".to_vec(), "no NumPy header"),
        (b"PK\x03\x04".to_vec(), "no NumPy header"),
        (Vec::new(), "no NumPy header"),
    ];
    for (bytes, part) in cases {
        fs::write(&path, bytes).unwrap();
        let error = read_npy(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("x.npy") && !error.contains('\n'), "{error}");
    }
    assert!(read_npy(&folder.path().join("missing.npy")).unwrap_err().to_string().contains("missing.npy"));
    fs::write(&path, npy("'<f4'", "False", "(2, 1)", &[0, 0, 0, 0, 0, 0, 0xc0, 0x7f])).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("x.npy") && error.contains("NaN in sample 1 (counted from 0)"), "{error}");
}

#[test]
fn tables_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let values = [0.1, -1.0 / 3.0, 1e-30, f32::MAX, 0.0, 16777217.0];
    write_csv(&path, &["a", "b"], 2, &values).unwrap();
    assert_eq!(read_csv(&path).unwrap(), (2, values.to_vec()));
    write_csv(&path, &[], 3, &[0.1; 6]).unwrap();
    assert_eq!(load(&path).unwrap().shape, [3]);
    write_csv(&path, &[], 3, &values).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("x.csv: found 3.4028235e38 in sample 1"), "{error}");
    fs::write(&path, "\u{feff}x;y\r\n1;2\r\n\r\n 3 ; 4.5\r\n").unwrap();
    assert_eq!(read_csv(&path).unwrap(), (2, vec![1.0, 2.0, 3.0, 4.5]));
    for (text, part) in
        [("1,2\n3\n", "line 2"), ("1,2\n3,x\n", "`x` in line 2, column 2"), ("", "no rows"), ("1,inf\n", "`inf`")]
    {
        fs::write(&path, text).unwrap();
        let error = read_csv(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("x.csv") && !error.contains('\n'), "{error}");
    }
    assert!(write_csv(&path, &["a"], 2, &values).is_err() && write_csv(&path, &[], 4, &values).is_err());
    fs::write(&path, b"1,2\n\xff\xfe,3\n").unwrap();
    assert!(read_csv(&path).unwrap_err().to_string().contains("UTF-8"));
    fs::write(&path, "1,2\n3\n").unwrap();
    assert!(read_csv(&path).unwrap_err().to_string().contains("found 1 cell in line 2"));
    let other = folder.path().join("x.txt");
    assert!(load(&other).unwrap_err().to_string().contains("x.txt: No such file"));
    fs::write(&other, "1 2").unwrap();
    assert!(load(&other).unwrap_err().to_string().contains(".npy"));
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.txt");
    fs::write(&path, "before").unwrap();
    let failed = write_whole(&path, |out| {
        use std::io::Write;
        out.write_all(b"half")?;
        Err(std::io::Error::other("the disk is full"))
    });
    assert!(failed.unwrap_err().to_string().contains("kept.txt: the disk is full"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

/// A link is a place to write to: what it leads to is written, be it there or not, and the link stays.
#[cfg(unix)]
#[test]
fn a_symbolic_link_is_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("there")).unwrap();
    for (link, target, file) in [("a", "there/file", "there/file"), ("b", "a", "there/file"), ("c", "new", "new")] {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
        write_csv(&at(link), &[], 1, &[7.0]).unwrap();
        assert!(at(link).is_symlink() && !at(file).is_symlink());
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "7\n");
        fs::write(at(file), "before").unwrap();
    }
    // Two links that lead to each other lead nowhere.
    std::os::unix::fs::symlink("y", at("x")).unwrap();
    std::os::unix::fs::symlink("x", at("y")).unwrap();
    write_csv(&at("x"), &[], 1, &[7.0]).unwrap_or_default();
    assert_eq!(fs::read_dir(at("there")).unwrap().count(), 1);
}

#[test]
fn idx_files_are_read_with_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("train-images-idx3-ubyte.gz");
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
    bytes.extend([0, 51, 255, 255, 0, 0]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &bytes).unwrap();
    fs::write(&images, packed.finish().unwrap()).unwrap();
    let plain = load(&images).unwrap();
    assert_eq!((plain.shape.as_slice(), plain.labels.as_ref(), plain.levels), (&[1, 3, 1][..], None, Some(256)));
    assert_eq!(
        plain.values.to_f32().iter().map(|x| (x * 10.0).round()).collect::<Vec<_>>(),
        [-10., -6., 10., 10., -10., -10.]
    );

    let labels = folder.path().join("train-labels-idx1-ubyte.gz");
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 7, 3]).unwrap();
    assert_eq!(load(&images).unwrap().labels, Some(vec![7, 3]));
    fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
    assert!(load(&images).unwrap_err().to_string().contains("1 labels"));
    for broken in [&bytes[..21], &bytes[..3], &[1, 2, 3, 4, 5][..], &[]] {
        fs::write(&images, broken).unwrap();
        let error = load_idx(&images).unwrap_err().to_string();
        assert!(error.contains("idx3-ubyte") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn cifar_batches_become_images_with_channels_last() {
    let folder = tempfile::tempdir().unwrap();
    let record = |label: u8, [r, g, b]: [u8; 3]| {
        let mut record = vec![label];
        record.extend([r, g, b].iter().flat_map(|x| [*x; 1024]));
        record
    };
    fs::write(folder.path().join("data_batch_1.bin"), [record(3, [255, 0, 255]), record(9, [0; 3])].concat()).unwrap();
    fs::write(folder.path().join("data_batch_2.bin"), record(1, [0, 255, 0])).unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.labels.clone()), (3, &[32, 32, 3][..], Some(vec![3, 9, 1])));
    let mut image = vec![0.0; 3072];
    set.sample(0, &mut image);
    assert_eq!(image[3069..], [1.0, -1.0, 1.0]);
    let broken = folder.path().join("data_batch_2.bin");
    for bytes in [vec![0; 3072], record(10, [0; 3]), vec![]] {
        fs::write(&broken, bytes).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("data_batch_2.bin"));
    }
}

#[cfg(feature = "cli")]
#[test]
fn folders_of_pictures_are_read_in_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("no pictures"));
    let grey =
        |name: &str, value: u8| image::GrayImage::from_pixel(3, 2, image::Luma([value])).save(folder.path().join(name));
    grey("b.png", 255).unwrap();
    grey("a.png", 0).unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (2, &[2, 3, 1][..], Some(256)));
    assert_eq!(set.values.to_f32(), [[-1.0; 6], [1.0; 6]].concat());
    // One picture with colour, wherever it stands, and all are colour.
    image::RgbaImage::from_pixel(3, 2, image::Rgba([255, 0, 255, 9])).save(folder.path().join("ab.png")).unwrap();
    fs::create_dir(folder.path().join("d.png")).unwrap();
    let set = load(folder.path()).unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (3, &[2, 3, 3][..], Some(256)));
    assert_eq!(set.values.to_f32(), [vec![-1.0; 18], [1.0, -1.0, 1.0].repeat(6), vec![1.0; 18]].concat());
    image::RgbImage::from_pixel(4, 2, image::Rgb([1, 2, 3])).save(folder.path().join("c.png")).unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("2x4 pixels"));
    fs::write(folder.path().join("c.png"), "not a picture").unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("c.png") && !error.contains('\n'), "{error}");
}
