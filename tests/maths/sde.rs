//! Processes against published values, their own differential equations, and f32.

use tweedie::graph::expr::{Constant, Term, binary, unary};
use tweedie::graph::{Expr, Tape};
use tweedie::sde::{
    Coefficients, Cosine, Edm, PROCESSES, Parameterisation, Quantity, RectifiedFlow, Sde, Shifted, Sigmoid, SubVp, Ve,
    Vp, ZeroTerminalSnr, conversion::convert, log_snr_shift, preconditioning,
};

/// Every process, those that end without signal, and those that are made of others.
fn processes() -> Vec<(String, Box<dyn Sde>)> {
    let mut all: Vec<(String, Box<dyn Sde>)> =
        PROCESSES.iter().map(|(name, process)| (name.to_string(), process())).collect();
    let vp = || Box::new(Vp::default());
    let others: [(&str, Box<dyn Sde>); 6] = [
        ("cosine to the end", Box::new(Cosine { t_max: 1.0, ..Cosine::default() })),
        ("sigmoid to the end", Box::new(Sigmoid { t_max: 1.0, ..Sigmoid::default() })),
        ("zero-terminal vp", Box::new(ZeroTerminalSnr::new(Vp::default()))),
        ("shifted vp", Box::new(Shifted::new(vp(), log_snr_shift(256.0)))),
        ("shifted zero-terminal vp", Box::new(Shifted::new(Box::new(ZeroTerminalSnr::new(Vp::default())), 1.5))),
        ("shifted flow", Box::new(RectifiedFlow { log_snr_shift: -2.0, ..RectifiedFlow::default() })),
    ];
    all.extend(others.map(|(name, sde)| (name.to_string(), sde)));
    all
}

/// Times at which a process is looked at: short of the end where nothing is left of the data, and so few digits of it just
/// before.
fn times(sde: &dyn Sde, shares: &[f64]) -> Vec<f64> {
    let last = if sde.loses_all_signal() { 0.95 * sde.t_max() } else { sde.t_max() };
    shares.iter().map(|share| share * last).collect()
}

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
        assert_eq!(*name, process().name());
    }
    for (name, sde) in processes() {
        let (alpha, variance) = (sde.alpha(&t), sde.sigma(&t).square());
        let (rate, g2) = (sde.drift_rate(&t), sde.diffusion_squared(&t));
        let pairs = [
            (alpha.derivative(0), &rate * &alpha),
            (variance.derivative(0), 2.0 * &rate * &variance + &g2),
            (sde.log_snr(&t).derivative(0), -(&g2 / &variance)),
            (sde.noise_to_signal(&t), sde.sigma(&t) / sde.alpha(&t)),
            (sde.log_snr(&t), (alpha.square() / &variance).ln()),
        ];
        for time in times(sde.as_ref(), &[1e-5, 1e-3, 0.07, 0.3, 0.8, 1.0]) {
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
    let steep = Vp { beta_min: 170.0, beta_max: 170.0, ..Vp::default() };
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
    for (name, sde) in processes() {
        for time in times(sde.as_ref(), &[1e-5, 3e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 1.0]) {
            let time = f64::from(time as f32);
            let at = sde.at(time);
            let pairs = [
                ("alpha", sde.alpha(&t), at.alpha),
                ("sigma", sde.sigma(&t), at.sigma),
                ("log_snr", sde.log_snr(&t), at.log_snr),
                ("noise_to_signal", sde.noise_to_signal(&t), at.noise_to_signal()),
            ];
            for (quantity, expr, exact) in pairs {
                let value = evaluate_f32(&expr, time);
                // An error of a logarithm is a relative error already.
                let floor = if quantity == "log_snr" { 1.0 } else { 1e-3 };
                let error = (value - exact).abs() / exact.abs().max(floor);
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
fn f32_is_enough_for_what_moves_x_up_to_the_end() {
    let t = Expr::input(0);
    for (name, sde) in processes() {
        for share in [1e-5, 1e-3, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            let time = f64::from((share * sde.t_max()) as f32);
            let (rate, half) = (sde.drift_rate(&t), sde.diffusion_squared(&t) * 0.5);
            // The probability flow moves x by rate x − ½ g² score: together on x / alpha of the prior's width as the score is
            // −x / sigma² there.
            let flow = &rate + &half / sde.sigma(&t).square();
            let size = Tape::new(&[rate.abs() + &half / sde.sigma(&t).square()]).evaluate(&[time])[0];
            for (quantity, expr, floor) in [
                ("alpha", sde.alpha(&t), 1e-8),
                ("sigma", sde.sigma(&t), 1e-8),
                ("log_snr", sde.log_snr(&t), 1.0),
                ("drift rate", rate, 1e-8),
                ("g²", half, 1e-8),
                ("the flow's factor", flow, size),
            ] {
                let exact = Tape::new(std::slice::from_ref(&expr)).evaluate(&[time])[0];
                let error = (evaluate_f32(&expr, time) - exact).abs() / exact.abs().max(floor);
                assert!(error < 4e-6, "{name} {quantity} at {share}: off by {error:e} of {exact}");
            }
        }
    }
}

#[test]
fn times_are_found_again_from_noise_levels() {
    for (name, sde) in processes() {
        for t in times(sde.as_ref(), &[1e-5, 1e-3, 0.02, 0.4, 0.77, 1.0]) {
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
    let constant = Vp { beta_min: 2.0, beta_max: 2.0, ..Vp::default() };
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

/// What conversions need of a process at time `t`.
fn coefficients(sde: &dyn Sde, t: &Expr) -> Coefficients {
    Coefficients::of(sde, t)
}

#[test]
fn conversions_are_inverse_to_each_other() {
    let [value, x, t] = [0, 1, 2].map(Expr::input);
    for (name, sde) in processes() {
        let at = coefficients(sde.as_ref(), &t);
        for from in Quantity::ALL {
            for to in Quantity::ALL {
                let there = convert(from, to, &value, &x, &at);
                let back = convert(to, from, &there, &x, &at);
                let result = Tape::new(&[back]).evaluate(&[0.37, -1.3, 0.4])[0];
                assert!((result - 0.37).abs() < 1e-9, "{name}: {from:?} to {to:?}: {result}");
            }
        }
    }
}

#[test]
fn conversions_know_the_score_of_a_gaussian() {
    // x_0 ~ N(m, s²): score = (alpha m − x) / v, E[x_0 | x] = m + alpha s² / v (x − alpha m), v = alpha² s² + sigma².
    let (m, s, alpha, sigma, x) = (0.7f64, 1.4f64, 0.8f64, 0.6f64, -1.1f64);
    let v = alpha * alpha * s * s + sigma * sigma;
    let (epsilon, denoised) = (sigma * (x - alpha * m) / v, m + alpha * s * s / v * (x - alpha * m));
    let exact = |quantity| match quantity {
        Quantity::Score => (alpha * m - x) / v,
        Quantity::Epsilon => epsilon,
        Quantity::Velocity => alpha * epsilon - sigma * denoised,
        Quantity::Denoised => denoised,
    };
    let inputs = [0, 1, 2, 3].map(Expr::input);
    for from in Quantity::ALL {
        for to in Quantity::ALL {
            let expr = convert(from, to, &inputs[0], &inputs[1], &Coefficients::new(&inputs[2], &inputs[3]));
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
        let denoised = Parameterisation::Preconditioned.quantity(
            Quantity::Denoised,
            &f,
            &x,
            &Coefficients::new(&alpha, &sigma),
            0.5,
        );
        let tape = Tape::new(&[denoised, preconditioning::input_scale(&alpha, &sigma, 0.5)]);
        printed("c_skip", tape.evaluate(&[0.0, 1.0, 1.0, level])[0], skip);
        printed("c_out", tape.evaluate(&[1.0, 0.0, 1.0, level])[0], out);
        printed("c_in", tape.evaluate(&[0.0, 0.0, 1.0, level])[1], scale);
        let found = Tape::new(&[preconditioning::noise_input(&Expr::input(0))]).evaluate(&[-2.0 * level.ln()])[0];
        if level != 1.0 {
            printed("c_noise", found, noise);
        }
    }
}

#[test]
fn every_parameterisation_gives_consistent_quantities() {
    let [f, x, t] = [0, 1, 2].map(Expr::input);
    for (name, sde) in processes() {
        let at = coefficients(sde.as_ref(), &t);
        for parameterisation in PARAMETERISATIONS {
            for to in Quantity::ALL {
                for from in Quantity::ALL {
                    let direct = parameterisation.quantity(to, &f, &x, &at, 0.7);
                    let other = parameterisation.quantity(from, &f, &x, &at, 0.7);
                    let converted = convert(from, to, &other, &x, &at);
                    let values = Tape::new(&[direct, converted]).evaluate(&[0.3, -1.2, 0.4]);
                    let error = (values[0] - values[1]).abs() / values[0].abs().max(1.0);
                    assert!(error < 1e-9, "{name} {parameterisation:?} {from:?} {to:?}: {values:?}");
                }
            }
        }
    }
}

const PARAMETERISATIONS: [Parameterisation; 5] = [
    Parameterisation::Preconditioned,
    Parameterisation::Epsilon,
    Parameterisation::Score,
    Parameterisation::Velocity,
    Parameterisation::Denoised,
];

#[test]
fn where_nothing_is_left_of_the_data_they_are_still_told_from_the_output() {
    // alpha = 0 and sigma = 1: x is epsilon, and what a network puts out is all that is known of the data.
    let [f, x, t] = [0, 1, 2].map(Expr::input);
    for (name, sde) in processes().into_iter().filter(|(_, sde)| sde.loses_all_signal()) {
        let at = coefficients(sde.as_ref(), &t);
        let last = sde.at(sde.t_max());
        assert!((last.sigma - 1.0).abs() < 1e-12, "{name}: {last:?}");
        // Alpha counts as no less than 1e-8, here and in what a network is told; a shift comes on top, here of 1.5 and -2.
        let most = if name.contains("shifted") { 2.1 } else { 1e-6 };
        assert!((last.log_snr - 2.0 * 1e-8f64.ln()).abs() < most, "{name}: {last:?}");
        for parameterisation in PARAMETERISATIONS.into_iter().filter(|p| p.survives_loss_of_signal()) {
            let exprs = Quantity::ALL.map(|to| parameterisation.quantity(to, &f, &x, &at, 0.7));
            let [score, epsilon, velocity, denoised] =
                Tape::new(&exprs).evaluate(&[0.3, -1.2, sde.t_max()])[..].try_into().unwrap();
            assert!((epsilon + 1.2).abs() < 1e-12 && (score - 1.2).abs() < 1e-12, "{name} {parameterisation:?}");
            let [p, q] = Tape::new(&at.velocity).evaluate(&[0.0, 0.0, sde.t_max()])[..].try_into().unwrap();
            assert!((velocity - (p * denoised + q * epsilon)).abs() < 1e-12, "{name} {parameterisation:?}: {velocity}");
            let expected = match parameterisation {
                Parameterisation::Denoised => 0.3,
                // p denoised + q epsilon = f
                Parameterisation::Velocity => (0.3 - q * epsilon) / p,
                _ => 0.7 * 0.3,
            };
            assert!((denoised - expected).abs() < 1e-12, "{name} {parameterisation:?}: {denoised}, {expected}");
        }
    }
}

#[test]
fn velocity_is_the_derivative_of_the_path() {
    // d(alpha, sigma)/dt is a positive multiple of velocity's factors where alpha² + sigma² or alpha is constant or the
    // path straight; for rectified flow it is the derivative itself.
    let t = Expr::input(0);
    for (name, sde) in processes() {
        let [p, q] = coefficients(sde.as_ref(), &t).velocity;
        let slopes = [sde.alpha(&t).derivative(0), sde.sigma(&t).derivative(0)];
        let [slope_alpha, slope_sigma, p, q] =
            Tape::new(&[slopes[0].clone(), slopes[1].clone(), p, q]).evaluate(&[0.4])[..].try_into().unwrap();
        if name == "rectified-flow" {
            assert_eq!((slope_alpha, slope_sigma), (p, q));
        }
        if name != "sub-vp" {
            let cross = (slope_alpha * q - slope_sigma * p) / slope_alpha.hypot(slope_sigma);
            assert!(cross.abs() < 1e-12 && slope_alpha * p + slope_sigma * q > 0.0, "{name}: {cross}");
        }
    }
}

#[test]
fn sub_vp_marginals_are_the_published_ones() {
    // t, sigma, g².
    let table = [
        (1e-5, "1.000994499e-6", "2.005971952e-7"),
        (1e-3, "1.099439557e-4", "2.636311127e-5"),
        (0.01, "0.00199301131", "0.001190633107"),
        (0.1, "0.1037178356", "0.4110576091"),
        (0.5, "0.9209361875", "9.987176581"),
        (0.9, "0.9997111202", "18.0099985"),
        (1.0, "0.9999568143", "19.99999996"),
    ];
    for (t, sigma, g2) in table {
        let (at, vp) = (SubVp::default().at(t), Vp::default().at(t));
        printed("sigma", at.sigma, sigma);
        printed("g²", at.diffusion_squared, g2);
        assert_eq!((at.alpha, at.drift_rate), (vp.alpha, vp.drift_rate));
        assert!((at.log_snr - 2.0 * (at.alpha / at.sigma).ln()).abs() < 1e-12 * at.log_snr.abs());
    }
}

/// What is left of the signal after each step that takes a share β away.
fn signal(betas: impl Iterator<Item = f64>) -> Vec<f64> {
    let left = |signal: &mut f64, beta: f64| {
        *signal *= 1.0 - beta;
        Some(*signal)
    };
    betas.scan(1.0, left).collect()
}

/// The squares of `alphas` after they are stretched so that the first stays and the last is 0 (Lin et al. 2024, algorithm 1).
fn rescaled(signal: &[f64]) -> Vec<f64> {
    let [first, last] = [signal[0], signal[signal.len() - 1]].map(f64::sqrt);
    signal.iter().map(|signal| ((signal.sqrt() - last) * first / (first - last)).powi(2)).collect()
}

#[test]
fn vp_and_cosine_are_the_limits_of_the_published_schedules() {
    // Ho et al. (2020): 1000 steps of β from 1e-4 to 0.02, of which 1000 times is the β of continuous time; the published
    // signal after i steps is that at i / 1000, but for what β² adds to −ln(1 − β).
    let published = signal((0..1000).map(|i| 1e-4 + f64::from(i) / 999.0 * 0.0199));
    for (i, expected) in [(0, "0.9999"), (499, "0.0785872429"), (999, "4.03582977e-5")] {
        printed("linear", published[i], expected);
        let limit = Vp::default().at((i as f64 + 1.0) / 1000.0).alpha.powi(2);
        assert!((published[i] / limit).ln().abs() < 0.01 * (1.0 - limit.ln()), "{i}: {}, {limit}", published[i]);
    }
    let ends = rescaled(&published);
    for (i, expected) in [(0, "0.9999"), (499, "0.076028751"), (500, "0.0752462157")] {
        printed("rescaled", ends[i], expected);
    }
    let process = ZeroTerminalSnr::new(Vp::default());
    assert!((ends[499] / process.at(0.5).alpha.powi(2) - 1.0).abs() < 0.02);

    // Nichol and Dhariwal (2021): β of each step from the ratio of the signals at its ends, clipped at 0.999.
    let cosine = Cosine { t_max: 1.0, ..Cosine::default() };
    let alpha = |i: u32| cosine.at(f64::from(i) / 1000.0).alpha.powi(2);
    let betas: Vec<f64> = (0..1000).map(|i| (1.0 - alpha(i + 1) / alpha(i)).min(0.999)).collect();
    for (i, expected) in [(0, "4.12842248e-5"), (499, "0.00314588623"), (998, "0.749999393"), (999, "0.999")] {
        printed("cosine, beta", betas[i], expected);
    }
    let signal = signal(betas.into_iter());
    for (i, expected) in [(0, "0.999958716"), (499, "0.493843590"), (998, "2.42876691e-6"), (999, "2.42876691e-9")] {
        printed("cosine", signal[i], expected);
    }
}

#[test]
fn zero_terminal_snr_is_the_limit_of_its_discrete_form() {
    // At ever smaller steps, whose first alpha goes to 1.
    let process = ZeroTerminalSnr::new(Vp::default());
    let error = |steps: usize| {
        let at = |i: usize| Vp::default().at((i + 1) as f64 / steps as f64).alpha.powi(2);
        let discrete = rescaled(&(0..steps).map(at).collect::<Vec<_>>());
        let at = |share: usize| (discrete[steps * share / 10 - 1] - process.at(0.1 * share as f64).alpha.powi(2)).abs();
        (1..=10).map(at).fold(0.0, f64::max)
    };
    let (coarse, fine) = (error(1000), error(4000));
    assert!(fine < 1e-4 && coarse > 2.0 * fine, "{coarse}, {fine}");
    assert!(process.loses_all_signal() && !Vp::default().loses_all_signal());
    assert_eq!(process.at(0.0).alpha, 1.0);
}

#[test]
fn the_sigmoid_schedule_is_its_definition() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (start, end, temperature) in [(-3.0, 3.0, 1.0), (0.0, 3.0, 0.3), (-3.0, 3.0, 1.7)] {
        let sde = Sigmoid { start, end, temperature, ..Sigmoid::default() };
        for t in [0.05, 0.3, 0.5, 0.9] {
            let v = sigmoid((start + t * (end - start)) / temperature);
            let [first, last] = [start, end].map(|x| sigmoid(x / temperature));
            let at = sde.at(t);
            assert!((at.alpha.powi(2) - (last - v) / (last - first)).abs() < 1e-12, "{t}: {at:?}");
            assert!((at.alpha.powi(2) + at.sigma.powi(2) - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn a_shift_moves_the_log_snr_and_nothing_else() {
    assert!((log_snr_shift(256.0) + 2.7726).abs() < 5e-5, "as published");
    let (cosine, shift) = (Cosine::default(), log_snr_shift(256.0));
    let shifted = Shifted::new(Box::new(cosine), shift);
    let straight = RectifiedFlow { log_snr_shift: shift, ..RectifiedFlow::default() };
    for t in [1e-3, 0.25, 0.5, 0.9] {
        let (at, before) = (shifted.at(t), cosine.at(t));
        assert!((at.log_snr - before.log_snr - shift).abs() < 1e-12);
        assert!((2.0 * (at.alpha / at.sigma).ln() - at.log_snr).abs() < 1e-10);
        assert!((at.alpha.powi(2) + at.sigma.powi(2) - 1.0).abs() < 1e-12);
        // Esser et al. (2024), eq. 23: t' = r t / (1 + (r − 1) t) with r = √(m / n), here 256 / 64.
        let at = straight.at(t);
        assert!((at.sigma - 4.0 * t / (1.0 + 3.0 * t)).abs() < 1e-12 && (at.alpha + at.sigma - 1.0).abs() < 1e-12);
    }
}

#[test]
fn even_times_of_edm_are_the_published_grid() {
    let published = [
        80.0, 57.586, 40.7856, 28.3746, 19.3525, 12.9101, 8.40094, 5.31519, 3.25682, 1.92334, 1.08817, 0.585348,
        0.296442, 0.139516, 0.0599473, 0.0229345, 0.00752802, 0.002,
    ];
    for (i, expected) in (0..18).zip(published) {
        let sigma = Edm::default().at(1.0 - f64::from(i) / 17.0).sigma;
        assert!((sigma / expected - 1.0).abs() < 6e-6, "{sigma}, published {expected}");
    }
}
