# Calls of GLSLShader; see tests/nodecalls/record.py. Recorded with comfy-angle 0.1.1 over Mesa's software Vulkan (lavapipe).
import comfy_api.latest._ui as _ui
from comfy_api.latest._input.curve_types import CurveInput
_ui.ImageSaveHelper.save_images = staticmethod(lambda *a, **k: [])

head = "#version 300 es\nprecision highp float;\nin vec2 v_texCoord;\nuniform vec2 u_resolution;\nuniform sampler2D u_image0;\nuniform sampler2D u_image1;\n"
out = "layout(location = 0) out vec4 fragColor0;\n"
first = {"images.image0": smooth(2, 13, 17, 3)}
# Drivers filter and compute with their own rounding, in float32.
near = 1e-4


def shader(code, extra="", size=None, **more):
    given = {"size_mode": "from_input"} if size is None else {"size_mode": "custom", "size_mode.width": size[0], "size_mode.height": size[1]}
    case("GLSLShader", near, fragment_shader=head + out + extra + code, **{**given, **first, **more})


from comfy_extras.nodes_glsl import DEFAULT_FRAGMENT_SHADER
case("GLSLShader", near, fragment_shader=DEFAULT_FRAGMENT_SHADER, size_mode="from_input", **first)
shader("void main() { fragColor0 = texture(u_image0, v_texCoord); }", size=(40, 9))
shader("void main() { fragColor0 = vec4(v_texCoord, gl_FragCoord.x / u_resolution.x, 0.25); }", size=(8, 6))
shader("void main() { fragColor0 = mix(texture(u_image0, v_texCoord), texture(u_image1, v_texCoord.yx), u_float0) * float(u_int0) + (u_bool0 ? 0.0 : 0.5); }", "uniform float u_float0; uniform int u_int0; uniform bool u_bool0;\n",
       **{"images.image1": img(2, 5, 6, 4, seed=2), "floats.u_float0": 0.3, "ints.u_int0": 2, "bools.u_bool0": True})
shader("void main() { fragColor0 = vec4(2.0, -1.0, sqrt(v_texCoord.x), 1.0); fragColor2 = texture(u_image0, v_texCoord) * 3.0; }", "layout(location = 1) out vec4 fragColor1;\nlayout(location = 2) out vec4 fragColor2;\n")
shader("void main() { vec2 p = 1.0 / u_resolution; vec4 s = vec4(0.0); for (int i = -2; i <= 2; i++) s += texture(u_image0, v_texCoord + vec2(u_pass == 0 ? float(i) * p.x : 0.0, u_pass == 1 ? float(i) * p.y : 0.0)); fragColor0 = s / 5.0; }", "#pragma passes 2\nuniform int u_pass;\n")
shader("void main() { fragColor0 = texture(u_image0, v_texCoord) + vec4(0.01 * float(u_pass)); }", "#pragma  passes   7\nuniform int u_pass;\n")
for points in [{"points": [[0.0, 1.0], [0.4, 0.2], [1.0, 0.9]], "interpolation": "monotone_cubic"}, {"points": [[0.2, 0.1], [0.9, 1.0]], "interpolation": "linear"}]:
    shader("void main() { fragColor0 = vec4(texture(u_curve0, vec2(v_texCoord.x, 0.5)).r); }", "uniform sampler2D u_curve0;\n", size=(61, 2), **{"curves.u_curve0": call("CurveEditor", curve=points)})
shader("void main() { fragColor0 = unknown; }")
shader("void main() { }", "void f() {}\nvoid f() {}\n")
case("GLSLShader", fragment_shader="", size_mode="from_input", **first)
case("GLSLShader", fragment_shader=DEFAULT_FRAGMENT_SHADER, size_mode="from_input", **{"images.image0": img(2, 3, 3, 3), "images.image1": img(1, 3, 3, 3)})
case("GLSLShader", fragment_shader=DEFAULT_FRAGMENT_SHADER, size_mode="from_input", images={})
