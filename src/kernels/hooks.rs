//! What a caller puts into a template: more constants, more storage bindings, functions, and a body.

use super::compose::{Defines, compose};
use crate::plan::{Access, Shader};

/// What an array in a storage binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `array<f32>`; four in a row are loaded one by one, as far as they are valid.
    F32,
    /// `array<vec4<f32>>`: every index that is loaded or stored is a multiple of four.
    Quad,
    /// `array<u32>`.
    U32,
}

impl Element {
    /// [`Quad`](Self::Quad) where rows are a multiple of four floats long, else [`F32`](Self::F32).
    pub const fn of_row(columns: u64) -> Self {
        if columns.is_multiple_of(4) { Self::Quad } else { Self::F32 }
    }

    pub(super) const fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Quad => "vec4<f32>",
            Self::U32 => "u32",
        }
    }
}

/// A storage binding.
///
/// For [`Element::F32`] and [`Element::Quad`] alike, hooks find these functions, where `index` counts floats and
/// lanes from `valid` on are neither read nor written (they load as 0):
/// `load_NAME(index: u32, valid: u32) -> vec4<f32>`, and with [`Access::ReadWrite`]
/// `store_NAME(index: u32, valid: u32, value: vec4<f32>)`. A `Quad` needs `valid == 4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name in WGSL; not one that the template uses.
    pub name: String,
    /// What it holds.
    pub element: Element,
    /// Whether it is written.
    pub access: Access,
}

impl Binding {
    /// A binding that is read.
    pub fn read(name: impl Into<String>, element: Element) -> Self {
        Self { name: name.into(), element, access: Access::Read }
    }

    /// A binding that is written, and may be read.
    pub fn write(name: impl Into<String>, element: Element) -> Self {
        Self { name: name.into(), element, access: Access::ReadWrite }
    }

    fn declare(&self, number: usize) -> String {
        let (name, element) = (&self.name, self.element.wgsl());
        let mode = match self.access {
            Access::Read => "read",
            Access::ReadWrite => "read_write",
        };
        let mut text = format!("@group(0) @binding({number}) var<storage, {mode}> {name}: array<{element}>;\n");
        if self.element == Element::U32 {
            return text;
        }
        text += &format!("fn load_{name}(index: u32, valid: u32) -> vec4<f32> {{\n");
        text += &match self.element {
            Element::Quad => format!("    return {name}[index >> 2u];\n}}\n"),
            _ => format!(
                "    var quad = vec4<f32>({name}[index], 0.0, 0.0, 0.0);\n    \
                 if (valid > 1u) {{ quad.y = {name}[index + 1u]; }}\n    \
                 if (valid > 2u) {{ quad.z = {name}[index + 2u]; }}\n    \
                 if (valid > 3u) {{ quad.w = {name}[index + 3u]; }}\n    return quad;\n}}\n"
            ),
        };
        if self.access == Access::ReadWrite {
            text += &format!("fn store_{name}(index: u32, valid: u32, value: vec4<f32>) {{\n");
            text += &match self.element {
                Element::Quad => format!("    {name}[index >> 2u] = value;\n}}\n"),
                _ => format!(
                    "    {name}[index] = value.x;\n    \
                     if (valid > 1u) {{ {name}[index + 1u] = value.y; }}\n    \
                     if (valid > 2u) {{ {name}[index + 2u] = value.z; }}\n    \
                     if (valid > 3u) {{ {name}[index + 3u] = value.w; }}\n}}\n"
                ),
            };
        }
        text
    }
}

/// What reads or writes the columns of `NAME` where these lie in several tensors, the bindings `NAME_0`, `NAME_1`, …:
/// `load_NAME(row: u32, col: u32, valid: u32) -> vec4<f32>`, or `store_NAME(row, col, valid, value)`.
///
/// `starts` are expressions for the first column of each part but the first, multiples of 4; the last part ends with
/// `constants.columns`.
pub fn in_parts(name: &str, starts: &[String], access: Access) -> String {
    let (head, tail) = match access {
        Access::Read => (format!("fn load_{name}(row: u32, col: u32, valid: u32) -> vec4<f32> {{\n"), ""),
        Access::ReadWrite => {
            (format!("fn store_{name}(row: u32, col: u32, valid: u32, value: vec4<f32>) {{\n"), ", value")
        }
    };
    let mut text = head;
    let mut start = "0u";
    let ends = starts.iter().map(String::as_str).chain(["constants.columns"]);
    for (i, end) in ends.enumerate() {
        let index = format!("row * ({end} - {start}) + col - {start}");
        let valid = if i < starts.len() { "4u" } else { "valid" };
        let step = match access {
            Access::Read => format!("return load_{name}_{i}({index}, {valid});"),
            Access::ReadWrite => format!("store_{name}_{i}({index}, {valid}{tail});"),
        };
        text += &match (i < starts.len(), access) {
            (true, Access::Read) => format!("    if (col < {end}) {{\n        {step}\n    }}\n"),
            (true, Access::ReadWrite) => format!("    if (col < {end}) {{\n        {step}\n        return;\n    }}\n"),
            (false, _) => format!("    {step}\n"),
        };
        start = end;
    }
    text + "}\n"
}

/// What a caller puts into a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Names the variant in the shader's key; a hash of the text is added.
    pub key: String,
    /// Members of `constants` after the kernel's own, one 32-bit word each: `"scale: f32"`.
    pub constants: Vec<String>,
    /// Storage bindings after the kernel's own, in order.
    pub bindings: Vec<Binding>,
    /// `#import` lines and helper functions.
    pub declarations: String,
    /// The statements that the kernel's documentation asks for.
    pub body: String,
}

/// A shader to be: the kernel's own part.
pub(super) struct Template {
    pub file: &'static str,
    pub text: &'static str,
    pub key: String,
    pub constants: u32,
    pub access: Vec<Access>,
    pub threads: u32,
    pub workgroup_bytes: u32,
    pub defines: Defines,
}

impl Template {
    pub fn define(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.defines.insert(name.to_string(), value.to_string());
        self
    }

    pub fn flag(&mut self, name: &str, on: bool) -> &mut Self {
        if on { self.define(name, 1) } else { self }
    }

    /// The final shader.
    ///
    /// # Panics
    /// When a hook's text does not compose (an unknown `#` directive or `${…}`): a mistake of the program.
    pub fn build(mut self, hooks: &Hooks) -> Shader {
        let first = 1 + self.access.len();
        let bindings: String = hooks.bindings.iter().enumerate().map(|(i, b)| b.declare(first + i)).collect();
        let constants: String = hooks.constants.iter().map(|c| format!("{c},\n")).collect();
        self.define("HOOK_BINDINGS", bindings);
        self.define("HOOK_CONSTANTS", constants);
        self.define("HOOK_DECLARATIONS", &hooks.declarations);
        self.define("HOOK_BODY", &hooks.body);
        self.define("THREADS", self.threads);
        let wgsl = compose(self.file, self.text, &self.defines)
            .unwrap_or_else(|error| panic!("a shader template does not compose: {error}"));
        let key = match hooks.body.is_empty() && hooks.bindings.is_empty() {
            true => self.key,
            false => format!("{} {} {:016x}", self.key, hooks.key, fnv1a64(&wgsl)),
        };
        self.access.extend(hooks.bindings.iter().map(|b| b.access));
        Shader {
            key,
            wgsl,
            access: self.access,
            threads: self.threads,
            workgroup_bytes: self.workgroup_bytes,
            constant_words: self.constants + hooks.constants.len() as u32,
        }
    }
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3))
}
