// Elementary functions: NAME_1 for f32, NAME_4 for vec4<f32>.
// exp, log, log1p, expm1, tanh, sigmoid, silu, softplus, is_finite, cos_turn, sin_turn.
#import numerics_of F=f32 U=u32 S=1
#import numerics_of F=vec4<f32> U=vec4<u32> S=4
