//! What a data set is: its split, and what it refuses.

use tweedie::data::*;

#[test]
fn a_split_is_whole_disjoint_balanced_and_always_the_same() {
    let set = digits().unwrap();
    let split = set.split().unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (1498, 299));
    let held = split.held_out.labels.as_ref().unwrap();
    for digit in 0..10 {
        let all = set.labels.as_ref().unwrap().iter().filter(|l| **l == digit).count() as f64;
        let share = held.iter().filter(|l| **l == digit).count() as f64;
        assert!((share - all / 6.0).abs() <= 1.0, "{share} of {all} for digit {digit}");
    }
    assert_eq!(split, set.split().unwrap());

    // Without labels every sixth sample, and each part in order: nothing is lost, and nothing is in both.
    let plain = Dataset::new("count", vec![1], Values::F32((0..20).map(|i| i as f32).collect())).unwrap();
    let parts = plain.split().unwrap();
    assert_eq!(parts.held_out.values.to_f32(), [5.0, 11.0, 17.0]);
    assert_eq!(parts.train.values.to_f32().len(), 17);
    let mut all = [parts.train.values.to_f32(), parts.held_out.values.to_f32()].concat();
    all.sort_by(f32::total_cmp);
    assert_eq!(all, plain.values.to_f32());
    let few = Dataset::new("few", vec![1], Values::F32(vec![0.0; 5])).unwrap();
    assert!(few.split().unwrap_err().to_string().contains("at least 6"));
}

#[test]
fn a_data_set_refuses_what_does_not_fit() {
    let new = |shape: &[usize], values: Vec<f32>| Dataset::new("bad", shape.to_vec(), Values::F32(values));
    for (shape, values) in [(&[2][..], vec![0.0; 3]), (&[2], vec![]), (&[0], vec![0.0]), (&[], vec![0.0])] {
        assert!(new(shape, values).is_err(), "{shape:?}");
    }
    assert!(new(&[usize::MAX, usize::MAX], vec![0.0]).is_err());
    let error = new(&[2], vec![0.0, 1.0, 2.0, f32::NAN]).unwrap_err().to_string();
    assert!(error.contains("NaN in sample 1 (counted from 0)"), "{error}");
    assert!(new(&[1], vec![0.0; 3]).unwrap().with_labels(vec![0]).is_err());
}

#[test]
fn a_data_set_refuses_sizes_whose_squares_32_bits_do_not_hold() {
    let new = |values: &[f32]| Dataset::new("sizes", vec![2], Values::F32(values.to_vec()));
    for good in [&[0.0, 0.0][..], &[1e18, -1e18], &[1e-18, 0.0], &[1.0, 1e-30]] {
        assert!(new(good).is_ok(), "{good:?}");
    }
    for (bad, wanted) in [
        (&[0.0, 1.0, 0.0, -2e18][..], "-2e18 in sample 1"),
        (&[f32::MAX, 0.0], "in sample 0"),
        (&[1e-19, -1e-25], "at most 1e-19"),
        (&[f32::from_bits(1), 0.0], "at most 1e-45"),
    ] {
        let error = new(bad).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("32 bits"), "{bad:?}: {error}");
    }
}
