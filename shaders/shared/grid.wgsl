// A grid may be folded: workgroups are numbered row by row, and those past the end leave.
fn workgroup_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
