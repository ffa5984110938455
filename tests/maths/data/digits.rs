//! The bundled digits.

use tweedie::data::*;

#[test]
fn digits_are_the_published_ones() {
    let set = digits().unwrap();
    assert_eq!((set.len(), set.shape.as_slice(), set.levels), (1797, &[8, 8, 1][..], Some(17)));
    let labels = set.labels.as_ref().unwrap();
    let counts: Vec<usize> = (0..10).map(|digit| labels.iter().filter(|l| **l == digit).count()).collect();
    // As scikit-learn's documentation of `load_digits` gives them.
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // The first image, as its documentation prints it: rows 0 and 1.
    let mut first = [0.0; 64];
    set.sample(0, &mut first);
    let level = |x: f32| x * 8.0 + 8.0;
    assert_eq!(first[..8].iter().map(|x| level(*x)).collect::<Vec<_>>(), [0., 0., 5., 13., 9., 1., 0., 0.]);
    assert_eq!(first[8..16].iter().map(|x| level(*x)).collect::<Vec<_>>(), [0., 0., 13., 15., 10., 15., 5., 0.]);
    assert_eq!(labels[0], 0);
    assert!(set.values.to_f32().iter().all(|x| (-1.0..=1.0).contains(x)));
    let (mean, std) = set.mean_std();
    assert!((mean + 0.3894794275).abs() < 1e-9 && (std - 0.7520984436).abs() < 1e-9, "{mean} {std}");
}
