//! What can go wrong on a device.

use super::validate::PlanError;

/// An error of the gpu room. Every message is one line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// No adapter answers what was asked for; the text says what there is and what to type.
    #[error("{0}")]
    NoAdapter(String),
    /// An adapter would not give a device.
    #[error("cannot open `{adapter}`: {reason}")]
    Open {
        /// The adapter's name.
        adapter: String,
        /// What wgpu said.
        reason: String,
    },
    /// A buffer does not fit the device's memory.
    #[error("out of GPU memory: {what} takes {bytes} bytes; a smaller batch or model needs less")]
    OutOfMemory {
        /// What was being made.
        what: String,
        /// How much it takes, zero when not known.
        bytes: u64,
    },
    /// A buffer is larger than the device's limit, however much memory there is.
    #[error("{what} takes {bytes} bytes, and this device allows {limit} for one buffer")]
    TooLarge {
        /// What was being made.
        what: String,
        /// How much it takes.
        bytes: u64,
        /// The device's limit.
        limit: u64,
    },
    /// The device is gone (driver reset, unplugged, destroyed). Nothing on it can be read any more.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// wgpu refused something.
    #[error("{what}: {reason}")]
    Refused {
        /// What was being made or done.
        what: String,
        /// What wgpu said.
        reason: String,
    },
    /// A shader does not compile, or does not fit its declared interface.
    #[error("shader `{key}`: {reason}")]
    Shader {
        /// The shader's key in the plan.
        key: String,
        /// What the compiler said.
        reason: String,
    },
    /// A plan that no device may replay.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A call with an argument that does not fit the plan or the store.
    #[error("{0}")]
    Argument(String),
    /// The device lacks a feature.
    #[error("{what} needs {needs}, which `{adapter}` does not have")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// The missing feature.
        needs: String,
        /// The adapter's name.
        adapter: String,
    },
    /// A kernel wrote outside its buffer (found by guard bands).
    #[error("{buffer}: the guard band {side} it was overwritten at byte {byte}")]
    Guard {
        /// The buffer.
        buffer: String,
        /// `before` or `after`.
        side: &'static str,
        /// First damaged byte of the band.
        byte: u64,
    },
}

/// Puts a message of several lines (wgpu draws pictures of source text) on one line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty() && !part.contains('│')) {
        let part = part.strip_prefix("= ").unwrap_or(part).replace("┌─ ", "at ");
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { ": " });
        }
        line.push_str(&part);
    }
    if line.chars().count() > 600 {
        line = line.chars().take(600).chain("…".chars()).collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn compiler_pictures_become_one_line() {
        let text =
            "\nShader 'x' parsing error: expected `;`\n  ┌─ wgsl:3:5\n  │\n3 │ let a\n  │     ^\n  = note: here\n";
        assert_eq!(one_line(text), "Shader 'x' parsing error: expected `;`: at wgsl:3:5: note: here");
    }
}
