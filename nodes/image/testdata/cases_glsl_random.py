# 20 random shaders and more for GLSLShader; see tests/nodecalls/record.py and cases_glsl.py.
import random

exec(compile(open(os.path.join(os.path.dirname(cases_path), "cases_glsl.py")).read().split("from comfy_extras")[0], "cases_glsl.py", "exec"))
r = random.Random(16)
near = 5e-4  # rounding of bilinear filters and functions, which passes and products enlarge
LIMIT = 200  # values of a tensor that are kept
number = lambda lo, hi: repr(round(r.uniform(lo, hi), 3))


def scalar(depth):
    if depth == 0:
        return r.choice(["v_texCoord.x", "v_texCoord.y", "u_float0", "float(u_int0)", "gl_FragCoord.x / u_resolution.x", "c0.r", "c0.g", "c1.b", "c1.a", number(-2, 2)])
    a, b, c = (scalar(depth - 1) for _ in range(3))
    return r.choice([f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"sin({a})", f"cos({a} * 3.0)", f"abs({a})", f"fract({a})", f"floor({a} * 4.0) / 4.0", f"mix({a}, {b}, clamp({c}, 0.0, 1.0))", f"min({a}, {b})", f"max({a}, {b})",
                     f"smoothstep(0.0, 1.0, {a})", f"sqrt(abs({a}))", f"exp(-abs({a}))", f"pow(abs({a}) + 0.1, 1.5)", f"length(vec2({a}, {b}))", f"mod({a}, 0.7)", f"({a} > {b} ? {c} : {b})", f"dot(c0.rgb, vec3({a}, {b}, {c}))"])


def vector():
    return f"vec4({', '.join(scalar(r.randint(1, 3)) for _ in range(4))})" if r.random() < 0.7 else f"mix(c0, c1, clamp({scalar(2)}, 0.0, 1.0))"


def picture(n):
    return r.choice([img, smooth])(n, r.randint(2, 24), r.randint(2, 24), r.choice([3, 3, 4]), seed=r.randint(1, 10**6))


for i in range(24):
    passes, more = r.choice([1, 1, 2, 3]), {}
    n = r.randint(1, 2)
    given = {"images.image0": picture(n), "images.image1": picture(n), "floats.u_float0": round(r.uniform(-2, 2), 3), "ints.u_int0": r.randint(-3, 3), "bools.u_bool0": r.random() < 0.5}
    extra = f"#pragma passes {passes}\n" if passes > 1 else ""
    extra += "uniform float u_float0; uniform int u_int0; uniform bool u_bool0; uniform int u_pass;\n"
    outputs = r.randint(1, 3)
    for k in range(1, outputs):
        extra += f"layout(location = {k}) out vec4 fragColor{k};\n"
    # Texels are hit in their middle, or between two, by a bilinear filter of the driver's precision.
    code = f"void main() {{ vec4 c0 = texture(u_image0, v_texCoord); vec4 c1 = texture(u_image1, {r.choice(['v_texCoord', 'v_texCoord.yx', 'fract(v_texCoord * 1.5)'])}); "
    code += " ".join(f"fragColor{k} = {vector()};" for k in range(outputs))
    code += " if (u_bool0) fragColor0 = fragColor0.bgra;" if r.random() < 0.3 else ""
    code += " if (u_pass > 0) fragColor0 = fragColor0 * 0.5;" if passes > 1 else ""
    shader(code + " }", extra, size=None if r.random() < 0.5 else (r.randint(1, 40), r.randint(1, 40)), **given)
