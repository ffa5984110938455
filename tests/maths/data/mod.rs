//! Data: the bundled digits, toys with their stated scales, mixtures against closed forms, and files in and out.

mod dataset;
mod digits;
mod files;
mod mixture;
mod toys;
