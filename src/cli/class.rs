//! The flag `--class`: which class a network is told.

use super::error::CliError;
use crate::train::experiment::{Classes, Experiment};

/// Of one class, or of any where none is given.
pub(super) fn one_class(class: Option<u32>, experiment: &Experiment) -> Result<Classes<'static>, CliError> {
    let Some(class) = class else {
        return match any_class(experiment) {
            Some(classes) => Ok(classes),
            None => Err(CliError::bad_input(format!("--class: must be {}: {NEVER_ANY}", numbers(experiment)))),
        };
    };
    if (class as usize) < experiment.classes() {
        return Ok(Classes::One(class));
    }
    Err(CliError::bad_input(match experiment.classes() {
        0 => format!("--class {class}: {KNOWS_NONE}"),
        _ => format!("--class {class}: must be {}", numbers(experiment)),
    }))
}

/// A weight of guidance other than 1 asks the network about samples of any class too.
pub(super) fn check_guidance(guidance: f64, experiment: &Experiment) -> Result<(), CliError> {
    if guidance != 1.0 && any_class(experiment).is_none() {
        return Err(CliError::bad_input(format!("--guidance {guidance}: must be 1: {NEVER_ANY}")));
    }
    Ok(())
}

/// What `--class` of `tweedie likelihood` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClassChoice {
    /// `own`: each sample's own.
    Own,
    /// `any`: none.
    Any,
    /// A number: that one for all.
    One(u32),
}

/// `own`, `any` or a number, for clap.
pub(super) fn class_choice(text: &str) -> Result<ClassChoice, String> {
    match text {
        "own" => Ok(ClassChoice::Own),
        "any" => Ok(ClassChoice::Any),
        _ => text.parse().map(ClassChoice::One).map_err(|_| "must be own, any or a whole number ≥ 0".to_string()),
    }
}

/// The classes of samples called `name`, whose labels are known for data of the experiment. Unless something is asked for
/// these, or else any.
pub(super) fn chosen_classes<'a>(
    asked: Option<ClassChoice>,
    name: &str,
    labels: Option<&'a [u32]>,
    experiment: &Experiment,
) -> Result<Classes<'a>, CliError> {
    let own = labels.filter(|_| experiment.classes() > 0).map(Classes::Each);
    match asked {
        Some(ClassChoice::One(class)) => one_class(Some(class), experiment),
        Some(ClassChoice::Own) if experiment.classes() == 0 => {
            Err(CliError::bad_input(format!("--class own: {KNOWS_NONE}; must be left out")))
        }
        Some(ClassChoice::Own) => own.ok_or_else(|| {
            let numbers = numbers(experiment);
            CliError::bad_input(format!("--class own: of {name} no classes are known; must be any or {numbers}"))
        }),
        Some(ClassChoice::Any) if any_class(experiment).is_none() => {
            Err(CliError::bad_input(format!("--class any: must be {}: {NEVER_ANY}", numbers(experiment))))
        }
        Some(ClassChoice::Any) => Ok(Classes::Any),
        None => own.map_or_else(|| one_class(None, experiment), Ok),
    }
}

const KNOWS_NONE: &str = "this network knows no classes (model.conditional = false)";
const NEVER_ANY: &str =
    "this network was told the class of every sample (model.label_dropout = 0), and knows nothing of any class";

fn any_class(experiment: &Experiment) -> Option<Classes<'static>> {
    experiment.knows_any_class().then_some(Classes::Any)
}

fn numbers(experiment: &Experiment) -> String {
    format!("from 0 to {}", experiment.classes().saturating_sub(1))
}
