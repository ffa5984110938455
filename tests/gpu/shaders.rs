//! Every shader variant through naga, with no GPU: it parses, validates with the capabilities of WebGPU's baseline, is
//! what its description says, and every backend's writer takes it.

use std::collections::BTreeSet;

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use tweedie::kernels::all_variants;
use tweedie::plan::{Access, Shader};

fn validated(shader: &Shader) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(&shader.wgsl)
        .unwrap_or_else(|e| panic!("{}:\n{}", shader.key, e.emit_to_string(&shader.wgsl)));
    // Baseline has no subgroups; the variants that need them say so in their key.
    let mut validator = match shader.key.contains("subgroup") {
        true => Validator::new(ValidationFlags::all(), Capabilities::SUBGROUP),
        false => Validator::new(ValidationFlags::all(), Capabilities::empty()),
    };
    let info = validator
        .subgroup_stages(ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::SHUFFLE)
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}:\n{}", shader.key, e.emit_to_string(&shader.wgsl)));
    (module, info)
}

/// What the text declares is what the description says, and within the limits of WebGPU's baseline.
fn check_description(shader: &Shader, module: &Module) {
    let key = &shader.key;
    let mut access = vec![None; shader.access.len()];
    let mut workgroup_bytes = 0;
    for (_, global) in module.global_variables.iter() {
        let bytes = module.types[global.ty].inner.size(module.to_ctx());
        match (global.space, &global.binding) {
            (AddressSpace::Uniform, Some(binding)) => {
                assert_eq!((binding.group, binding.binding), (0, 0), "{key}: constants are binding 0");
                assert_eq!(bytes, shader.constant_words * 4, "{key}: words of constants");
                let TypeInner::Struct { members, .. } = &module.types[global.ty].inner else {
                    panic!("{key}: constants are a struct")
                };
                assert_eq!(members.len() as u32, shader.constant_words, "{key}: every constant is one word");
            }
            (AddressSpace::Storage { access: mode }, Some(binding)) => {
                let slot = &mut access[binding.binding as usize - 1];
                assert!(slot.is_none() && binding.group == 0, "{key}: binding {} once", binding.binding);
                let written = mode.contains(StorageAccess::STORE);
                *slot = Some(if written { Access::ReadWrite } else { Access::Read });
            }
            (AddressSpace::WorkGroup, None) => workgroup_bytes += bytes,
            (AddressSpace::Private, None) => {}
            other => panic!("{key}: no place for {other:?}"),
        }
    }
    assert_eq!(access.iter().flatten().copied().collect::<Vec<_>>(), shader.access, "{key}: access");
    assert_eq!(workgroup_bytes, shader.workgroup_bytes, "{key}: workgroup memory");
    assert!(workgroup_bytes <= 16_384 && shader.threads <= 256 && shader.access.len() <= 8, "{key}: baseline limits");
    let [entry] = &module.entry_points[..] else { panic!("{key}: one entry point") };
    assert_eq!((entry.name.as_str(), entry.workgroup_size), ("main", [shader.threads, 1, 1]), "{key}");
}

fn write_all(shader: &Shader, module: &Module, info: &ModuleInfo) {
    let key = &shader.key;
    for policy in [BoundsCheckPolicy::Restrict, BoundsCheckPolicy::Unchecked] {
        let checked = policy == BoundsCheckPolicy::Restrict;
        let policies = BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy };
        let options =
            spv::Options { bounds_check_policies: policies, force_loop_bounding: checked, ..Default::default() };
        let words = spv::write_vec(module, info, &options, None).unwrap_or_else(|e| panic!("{key}: SPIR-V: {e}"));
        assert_eq!(words[0], 0x0723_0203, "{key}: SPIR-V's magic number");

        // The bindings are wgpu's affair: naga makes up numbers for them.
        let options =
            msl::Options { bounds_check_policies: policies, fake_missing_bindings: true, ..Default::default() };
        let (text, _) = msl::write_string(module, info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|e| panic!("{key}: MSL: {e}"));
        assert!(text.contains("kernel void main_"), "{key}: MSL without its kernel");

        let options = hlsl::Options { restrict_indexing: checked, fake_missing_bindings: true, ..Default::default() };
        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(module, info, None)
            .unwrap_or_else(|e| panic!("{key}: HLSL: {e}"));
        assert!(
            text.contains(&format!("[numthreads({}, 1, 1)]", shader.threads)),
            "{key}: HLSL without its entry point"
        );
    }
}

#[test]
fn every_variant_is_valid_on_every_backend() {
    let variants = all_variants();
    assert!(variants.len() > 100, "only {} variants", variants.len());
    for shader in &variants {
        let (module, info) = validated(shader);
        check_description(shader, &module);
        write_all(shader, &module, &info);
    }
}

#[test]
fn keys_name_texts() {
    let variants = all_variants();
    let keys: BTreeSet<_> = variants.iter().map(|s| &s.key).collect();
    let texts: BTreeSet<_> = variants.iter().map(|s| &s.wgsl).collect();
    assert_eq!(
        (keys.len(), texts.len()),
        (variants.len(), variants.len()),
        "two keys for one text, or two texts for one"
    );
}

/// What some compiler refuses or gets wrong although naga takes it.
#[test]
fn no_shader_uses_what_some_backend_gets_wrong() {
    for shader in all_variants() {
        let code: String =
            shader.wgsl.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
        for word in ["enable ", "ptr<", "i32", "atomic", "${", "#"] {
            assert!(!code.contains(word), "{}: `{word}`", shader.key);
        }
        // A store into a component of a shared vector may write the whole vector.
        for line in code.lines().filter(|l| l.contains(" = ")) {
            let left = line.split(" = ").next().unwrap_or("");
            let shared = ["tile_a[", "tile_b[", "meeting["].iter().any(|name| left.trim().starts_with(name));
            assert!(
                !shared || (left.trim().ends_with(']') && left.matches('[').count() == 1),
                "{}: {line}",
                shader.key
            );
        }
    }
}
