//! Processes against published values, their own differential equations, and f32.

use tweedie::graph::expr::{Constant, Term, binary, unary};
use tweedie::graph::{Expr, Tape};
use tweedie::sde::{PROCESSES, Parameterisation, Quantity, Sde, Ve, Vp, conversion::convert, preconditioning};

/// Equal to all the digits that are printed.
fn printed(name: &str, value: f64, expected: &str) {
    let expected_value: f64 = expected.parse().unwrap();
    let mantissa = expected.split('e').next().unwrap();
    let digits = mantissa.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
    let unit = 10f64.powi(expected_value.abs().log10().floor() as i32 - digits as i32 + 1);
    assert!((value - expected_value).abs() <= 0.5000001 * unit, "{name}: {value}, published {expected}");
}

#[test]
fn vp_marginals_are_the_published_ones() {
    // t, ln alpha, alpha, sigma, sigma / alpha, ln SNR for beta from 0.1 to 20.
    let table = [
        (1e-5, "-5.004975e-7", "0.9999994995", "0.001000497126", "0.0010004976", "13.814516"),
        (1e-3, "-5.4975e-5", "0.9999450265", "0.01048541634", "0.010485993", "9.1154299"),
        (0.01, "-9.975e-4", "0.9990029973", "0.04464315524", "0.044687709", "6.2161136"),
        (0.1, "-0.05475", "0.9467217988", "0.3220525355", "0.34017653", "2.1565812"),
        (0.5, "-1.26875", "0.2811828808", "0.9596542021", "3.4129183", "-2.4551355"),
        (0.9, "-4.07475", "0.01699646326", "0.9998555497", "58.827271", "-8.1492111"),
        (1.0, "-5.025", "0.006571586495", "0.9999784069", "152.16697", "-10.049957"),
    ];
    for (t, log_alpha, alpha, sigma, ratio, log_snr) in table {
        let at = Vp::default().at(t);
        printed("ln alpha", at.alpha.ln(), log_alpha);
        printed("alpha", at.alpha, alpha);
        printed("sigma", at.sigma, sigma);
        printed("noise to signal", at.noise_to_signal(), ratio);
        printed("log SNR", at.log_snr, log_snr);
        let expr = Vp::default().noise_to_signal(&Expr::input(0));
        printed("noise to signal", Tape::new(&[expr]).evaluate(&[t])[0], ratio);
    }
}

#[test]
fn ve_marginals_are_the_published_ones() {
    let table = [
        (1e-5, "0.01000085176", "0.04127625"),
        (1e-3, "0.01008553568", "0.04162576"),
        (0.01, "0.01088904268", "0.04494206"),
        (0.1, "0.02343672912", "0.09672979"),
        (0.5, "0.7071067812", "2.91842307"),
        (0.9, "21.33403503", "88.0513970"),
        (1.0, "50", "206.363674"),
    ];
    for (t, sigma, g) in table {
        let at = Ve::default().at(t);
        assert_eq!(at.alpha, 1.0);
        if t < 1.0 {
            printed("sigma", at.sigma, sigma);
        }
        printed("g", at.diffusion_squared.sqrt(), g);
        assert!((at.log_snr + 2.0 * at.sigma.ln()).abs() < 1e-12);
    }
    assert!((Ve::default().at(1.0).sigma - 50.0).abs() < 1e-12);
}

#[test]
fn drift_and_diffusion_are_those_of_the_marginals() {
    // d alpha/dt = rate alpha and d sigma²/dt = 2 rate sigma² + g²; d log_snr/dt = −g² / sigma².
    let t = Expr::input(0);
    for (name, process) in PROCESSES {
        let sde = process();
        assert_eq!(*name, sde.name());
        let (alpha, variance) = (sde.alpha(&t), sde.sigma(&t).square());
        let (rate, g2) = (sde.drift_rate(&t), sde.diffusion_squared(&t));
        let pairs = [
            (alpha.derivative(0), &rate * &alpha),
            (variance.derivative(0), 2.0 * &rate * &variance + &g2),
            (sde.log_snr(&t).derivative(0), -(&g2 / &variance)),
            (sde.noise_to_signal(&t), sde.sigma(&t) / sde.alpha(&t)),
            (sde.log_snr(&t), (alpha.square() / &variance).ln()),
        ];
        for time in [1e-5, 1e-3, 0.07, 0.3, 0.8, 1.0] {
            for (i, (left, right)) in pairs.iter().enumerate() {
                let values = Tape::new(&[left.clone(), right.clone()]).evaluate(&[time]);
                let tolerance = 1e-9 * (values[1].abs() + 1e-3);
                assert!((values[0] - values[1]).abs() < tolerance, "{name}, {i} at {time}: {values:?}");
            }
        }
    }
}

/// The tape in f32: every term is rounded.
fn evaluate_f32(expr: &Expr, t: f64) -> f64 {
    let tape = Tape::new(std::slice::from_ref(expr));
    let mut values: Vec<f32> = Vec::new();
    for term in &tape.terms {
        let get = |i: &usize| f64::from(values[*i]);
        let value = match term {
            Term::Input(_) => t,
            Term::Constant(Constant(value)) => *value,
            Term::Unary(op, a) => unary(*op, get(a)),
            Term::Binary(op, a, b) => binary(*op, get(a), get(b)),
            other => panic!("{other:?} in a process"),
        };
        values.push(value as f32);
    }
    f64::from(values[tape.outputs[0]])
}

#[test]
fn f32_is_enough_where_nothing_of_the_data_is_left() {
    // B = 170 at time 1: e^B is beyond any f32, what is made of it is not.
    let steep = Vp { beta_min: 170.0, beta_max: 170.0, t_min: 1e-3 };
    let t = Expr::input(0);
    for time in [0.1, 0.5, 0.6, 1.0] {
        let integral = 170.0 * time;
        for (what, expr, exact) in [
            ("log_snr", steep.log_snr(&t), -f64::exp_m1(integral).ln()),
            ("noise_to_signal", steep.noise_to_signal(&t), f64::exp_m1(integral).sqrt()),
        ] {
            let value = evaluate_f32(&expr, time);
            assert!((value / exact - 1.0).abs() < 2e-5, "{what} at {time}: {value}, exactly {exact}");
        }
    }
}

#[test]
fn f32_is_enough_near_time_0() {
    let t = Expr::input(0);
    for (name, process) in PROCESSES {
        let sde = process();
        for time in [1e-5f32, 3e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 1.0] {
            let time = f64::from(time);
            let at = sde.at(time);
            let pairs = [
                ("alpha", sde.alpha(&t), at.alpha),
                ("sigma", sde.sigma(&t), at.sigma),
                ("log_snr", sde.log_snr(&t), at.log_snr),
                ("noise_to_signal", sde.noise_to_signal(&t), at.noise_to_signal()),
            ];
            for (quantity, expr, exact) in pairs {
                let value = evaluate_f32(&expr, time);
                let error = (value - exact).abs() / exact.abs().max(1.0e-3);
                assert!(error < 3e-6, "{name} {quantity} at {time}: {value}, exactly {exact}");
            }
        }
    }
    // The naive form fails there by far, so that the bound above says something.
    let naive = (1.0 - Vp::default().alpha(&t).square()).sqrt();
    let error = evaluate_f32(&naive, f64::from(1e-5f32)) / Vp::default().at(1e-5).sigma - 1.0;
    assert!(error.abs() > 1e-3, "{error}");
}

#[test]
fn times_are_found_again_from_noise_levels() {
    for (name, process) in PROCESSES {
        let sde = process();
        for t in [1e-5, 1e-3, 0.02, 0.4, 0.77, 1.0] {
            let at = sde.at(t);
            let from_ratio = sde.t_of_noise_to_signal(at.noise_to_signal()).unwrap();
            assert!((from_ratio - t).abs() < 1e-9 * t.max(1e-2), "{name}: {from_ratio} for {t}");
            // VP's sigma is nearly 1 for late times, so that little of t is left in it.
            let from_sigma = sde.t_of_sigma(at.sigma).unwrap();
            assert!((from_sigma - t).abs() < 1e-10 + 1e-7 * t, "{name}: {from_sigma} for {t}");
        }
    }
    let message = Ve::default().t_of_sigma(60.0).unwrap_err().to_string();
    assert!(message.contains("sigma = 60") && message.contains("0.01") && message.contains("50"), "{message}");
    assert!(Vp::default().t_of_sigma(1.0).is_err());
    assert!(Vp::default().t_of_noise_to_signal(f64::NAN).is_err());
    let constant = Vp { beta_min: 2.0, beta_max: 2.0, t_min: 1e-3 };
    assert!((constant.t_of_sigma(constant.at(0.3).sigma).unwrap() - 0.3).abs() < 1e-12);
}

/// A process that says only what it has to.
#[derive(Debug)]
struct Bare(Vp);

impl Sde for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }
    fn alpha(&self, t: &Expr) -> Expr {
        self.0.alpha(t)
    }
    fn sigma(&self, t: &Expr) -> Expr {
        self.0.sigma(t)
    }
    fn log_snr(&self, t: &Expr) -> Expr {
        self.0.log_snr(t)
    }
    fn drift_rate(&self, t: &Expr) -> Expr {
        self.0.drift_rate(t)
    }
    fn diffusion_squared(&self, t: &Expr) -> Expr {
        self.0.diffusion_squared(t)
    }
    fn t_min(&self) -> f64 {
        self.0.t_min
    }
    fn prior_sigma(&self) -> f64 {
        1.0
    }
}

#[test]
fn a_process_without_inverses_gets_them_by_bisection() {
    let (bare, vp) = (Bare(Vp::default()), Vp::default());
    for ratio in [1e-3, 0.1, 1.0, 20.0, 150.0] {
        let (t, exact) = (bare.t_of_noise_to_signal(ratio).unwrap(), vp.t_of_noise_to_signal(ratio).unwrap());
        assert!((t - exact).abs() < 1e-12, "{t} for {exact}");
    }
    for sigma in [1e-3, 0.1, 0.9] {
        let (t, exact) = (bare.t_of_sigma(sigma).unwrap(), vp.t_of_sigma(sigma).unwrap());
        assert!((t - exact).abs() < 1e-12, "{t} for {exact}");
    }
}

#[test]
fn conversions_are_inverse_to_each_other() {
    let [value, x, alpha, sigma] = [0, 1, 2, 3].map(Expr::input);
    for from in Quantity::ALL {
        for to in Quantity::ALL {
            let there = convert(from, to, &value, &x, &alpha, &sigma);
            let back = convert(to, from, &there, &x, &alpha, &sigma);
            let result = Tape::new(&[back]).evaluate(&[0.37, -1.3, 0.8, 0.6])[0];
            assert!((result - 0.37).abs() < 1e-12, "{from:?} to {to:?}: {result}");
        }
    }
}

#[test]
fn conversions_know_the_score_of_a_gaussian() {
    // x_0 ~ N(m, s²): score = (alpha m − x) / v, E[x_0 | x] = m + alpha s² / v (x − alpha m), v = alpha² s² + sigma².
    let (m, s, alpha, sigma, x) = (0.7f64, 1.4f64, 0.8f64, 0.6f64, -1.1f64);
    let v = alpha * alpha * s * s + sigma * sigma;
    let exact = |quantity| match quantity {
        Quantity::Score => (alpha * m - x) / v,
        Quantity::Epsilon => sigma * (x - alpha * m) / v,
        Quantity::Denoised => m + alpha * s * s / v * (x - alpha * m),
    };
    let inputs = [0, 1, 2, 3].map(Expr::input);
    for from in Quantity::ALL {
        for to in Quantity::ALL {
            let expr = convert(from, to, &inputs[0], &inputs[1], &inputs[2], &inputs[3]);
            let value = Tape::new(&[expr]).evaluate(&[exact(from), x, alpha, sigma])[0];
            assert!((value - exact(to)).abs() < 1e-12, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn preconditioning_has_the_published_coefficients() {
    // Karras et al. (2022): c_skip, c_out, c_in, c_noise at sigma, alpha = 1, sigma_data = 0.5.
    let table = [
        ("0.002", "0.999984", "0.001999984", "1.999984", "-1.553652"),
        ("0.1", "0.96153846", "0.098058068", "1.9611614", "-0.57564627"),
        ("0.3", "0.73529412", "0.25724788", "1.7149859", "-0.3009932"),
        ("0.5", "0.5", "0.35355339", "1.4142136", "-0.1732868"),
        ("1", "0.2", "0.4472136", "0.89442719", "0"),
        ("10", "0.0024937656", "0.49937617", "0.099875234", "0.57564627"),
        ("80", "3.9060974e-5", "0.49999023", "0.012499756", "1.0955067"),
    ];
    let [f, x, alpha, sigma] = [0, 1, 2, 3].map(Expr::input);
    for (level, skip, out, scale, noise) in table {
        let level: f64 = level.parse().unwrap();
        let denoised = Parameterisation::Preconditioned.quantity(Quantity::Denoised, &f, &x, &alpha, &sigma, 0.5);
        let tape = Tape::new(&[denoised, preconditioning::input_scale(&alpha, &sigma, 0.5)]);
        printed("c_skip", tape.evaluate(&[0.0, 1.0, 1.0, level])[0], skip);
        printed("c_out", tape.evaluate(&[1.0, 0.0, 1.0, level])[0], out);
        printed("c_in", tape.evaluate(&[0.0, 0.0, 1.0, level])[1], scale);
        let told = Tape::new(&[preconditioning::noise_level(&Expr::input(0))]).evaluate(&[-2.0 * level.ln()])[0];
        if level != 1.0 {
            printed("c_noise", told, noise);
        }
    }
}

#[test]
fn every_parameterisation_gives_consistent_quantities() {
    let [f, x, alpha, sigma] = [0, 1, 2, 3].map(Expr::input);
    for parameterisation in [
        Parameterisation::Preconditioned,
        Parameterisation::Epsilon,
        Parameterisation::Score,
        Parameterisation::Denoised,
    ] {
        for to in Quantity::ALL {
            for from in Quantity::ALL {
                let direct = parameterisation.quantity(to, &f, &x, &alpha, &sigma, 0.7);
                let other = parameterisation.quantity(from, &f, &x, &alpha, &sigma, 0.7);
                let converted = convert(from, to, &other, &x, &alpha, &sigma);
                let values = Tape::new(&[direct, converted]).evaluate(&[0.3, -1.2, 0.6, 0.8]);
                assert!((values[0] - values[1]).abs() < 1e-12, "{parameterisation:?} {from:?} {to:?}: {values:?}");
            }
        }
    }
}
