# Calls of comfy_extras/nodes_gaussian_splat.py; see tests/nodecalls/record.py.
import struct
from io import BytesIO

from types import SimpleNamespace

from comfy_api.latest import Types

LIMIT = 500  # values of a tensor that are kept
nodes.NODE_CLASS_MAPPINGS["GetSplatCount"].hidden = SimpleNamespace(unique_id=None)

sigmoid = lambda v: 1 / (1 + np.exp(-v))


def numbers(seed, n, count, lo, hi):
    return (lo + (hi - lo) * uniform(n * count, seed)).astype(np.float32).reshape(n, count)


def columns(n, k=1, seed=1, spread=1.0, size=(-2.3, -1.2)):
    """The vertices of a PLY file of n Gaussians with k coefficients, by name."""
    c = {}
    for names, lo, hi in [(["x", "y", "z"], -spread, spread), (["f_dc_0", "f_dc_1", "f_dc_2"], -1.7, 1.7), ([f"f_rest_{i}" for i in range(3 * (k - 1))], -0.5, 0.5),
                          (["opacity"], -2, 4), (["scale_0", "scale_1", "scale_2"], *size), (["rot_0", "rot_1", "rot_2", "rot_3"], -1, 1)]:
        for name in names:
            seed += 1
            c[name] = numbers(seed, n, 1, lo, hi)[:, 0]
    return c


def shell(n, radius=0.6, seed=40):
    """Flat Gaussians on a sphere."""
    c = columns(n, seed=seed, size=(-2.2, -1.9))
    u = uniform(2 * n, seed + 90).reshape(n, 2)
    z, a = 2 * u[:, 0] - 1, 2 * np.pi * u[:, 1]
    r = np.sqrt(1 - z * z)
    for name, v in zip("xyz", (r * np.cos(a), r * np.sin(a), z)):
        c[name] = (radius * v).astype(np.float32)
    c["opacity"] = np.full(n, 2, np.float32)
    return c


def ply(columns, types=None):
    """A PLY file."""
    types = types or {}
    code = {"float": "<f4", "double": "<f8", "uchar": "u1", "short": "<i2", "uint": "<u4"}
    n = len(next(iter(columns.values())))
    table = np.empty(n, dtype=[(k, code[types.get(k, "float")]) for k in columns])
    for k, v in columns.items():
        table[k] = v
    head = f"ply\nformat binary_little_endian 1.0\ncomment made\nelement vertex {n}\n" + "".join(f"property {types.get(k, 'float')} {k}\n" for k in columns)
    return head.encode() + b"element face 0\nproperty list uchar int vertex_indices\nend_header\n" + table.tobytes()


def file(data, format):
    """A FILE_3D in memory."""
    return Recipe({"$": "file", "format": format, "data": base64.b64encode(data).decode()}, lambda: Types.File3D(BytesIO(data), file_format=format))


def loaded(data, format="ply"):
    return call("File3DToSplat", model_3d=file(data, format))


def ksplat(level, n, sections=1, seed=5, full=1, size=3, partial=()):
    """A KSPLAT file. Positions above level 0 lie around the centers of buckets."""
    head = bytearray(4096)
    head[1] = 1
    struct.pack_into("<IIII", head, 4, sections, sections, n * sections, n * sections)
    struct.pack_into("<H", head, 20, level)
    heads, bodies = b"", b""
    for s in range(sections):
        h = bytearray(1024)
        degree = 1 if level else 0
        buckets = full + len(partial) if level else 0
        struct.pack_into("<IIII", h, 0, n, n + 1, size, buckets)
        struct.pack_into("<fHxxI", h, 16, 2.5, 12 if level else 0, 0 if s else 4000)
        struct.pack_into("<II", h, 32, full if level else 0, len(partial) if level else 0)
        struct.pack_into("<H", h, 40, degree)
        v = numbers(seed + s, n, 10, -1, 1)
        rgba = np.floor(uniform(4 * n, seed + 50 + s) * 256).astype(np.uint8).reshape(n, 4)
        body = b""
        if level:
            body += np.array(partial, "<u4").tobytes() + numbers(seed + 9, buckets, 3, -2, 2).astype("<f4").tobytes()
        for i in range(n):
            if level:
                body += np.floor((v[i, :3] + 1) * 4000).astype("<u2").tobytes() + np.abs(v[i, 3:6]).astype("<f2").tobytes() + v[i, 6:].astype("<f2").tobytes()
            else:
                body += v[i, :3].astype("<f4").tobytes() + np.abs(v[i, 3:6]).astype("<f4").tobytes() + v[i, 6:].astype("<f4").tobytes()
            body += rgba[i].tobytes()
            if degree:
                body += bytes(9 * (2 if level == 1 else 1))
        stride = len(body) // n if not level else {1: 24 + 18, 2: 24 + 9}[level]
        heads += bytes(h)
        bodies += body + bytes(stride)  # room for one more
    return bytes(head) + heads + bodies


def spz(version, n, seed=6, fraction=10):
    r = np.floor(uniform(n * 32, seed) * 256).astype(np.uint8)
    body = struct.pack("<IIIBBBB", 0x5053474E, version, n, 0, fraction, 0, 0)
    if version == 1:
        body += numbers(seed, n, 3, -3, 3).astype("<f2").tobytes() + r[:n * 10].tobytes()
    else:
        body += r[:n * (9 + 1 + 3 + 3 + (4 if version == 3 else 3))].tobytes()
    return gzip.compress(body, mtime=0)


def raw(n, seed=7):
    v = numbers(seed, n, 6, 0.1, 2)
    b = np.floor(uniform(n * 8, seed) * 256).astype(np.uint8).reshape(n, 8)
    return b"".join(v[i].astype("<f4").tobytes() + b[i].tobytes() for i in range(n))


def described_splats(g):
    items = []
    for i in range(g.positions.shape[0]):
        end = int(g.counts[i]) if g.counts is not None else g.positions.shape[1]
        items.append({"positions": g.positions[i, :end], "scales": g.scales[i, :end], "rotations": g.rotations[i, :end], "opacities": g.opacities[i, :end].reshape(-1), "sh": g.sh[i, :end]})
    return {"splats": items}


def described_file(f):
    """The bytes as numbers: floats of PLY and KSPLAT, bytes of the rest."""
    data = f.get_bytes()
    if f.format == "ply":
        head, body = data.split(b"end_header\n", 1)
        return {"format": f.format, "head": head.decode(), "floats": torch.from_numpy(np.frombuffer(body, "<f4").copy())}
    if f.format == "ksplat":
        rec = np.frombuffer(data[5120:], np.uint8).reshape(-1, 44)
        return {"format": f.format, "head": torch.from_numpy(np.frombuffer(data[:5120:4], np.uint8).copy()), "floats": torch.from_numpy(np.ascontiguousarray(rec[:, :40]).view("<f4").copy()), "colors": torch.from_numpy(rec[:, 40:].copy())}
    return {"format": f.format, "bytes": torch.from_numpy(np.frombuffer(gzip.decompress(data), np.uint8).copy())}


def described_mesh(m):
    items = []
    for i in range(m.vertices.shape[0]):
        nv, nf = (int(m.vertex_counts[i]), int(m.face_counts[i])) if m.vertex_counts is not None else (m.vertices.shape[1], m.faces.shape[1])
        items.append({"vertices": m.vertices[i, :nv], "faces": m.faces[i, :nf], "colors": m.vertex_colors[i, :nv]})
    return {"meshes": items, "unlit": m.unlit}


DESCRIBE |= {"SPLAT": described_splats, "File3D": described_file, "MESH": described_mesh}

# numpy's exponentials and logarithms are off by a unit in the last place.
exact = 2e-6
a, b, c = loaded(ply(columns(7))), loaded(ply(columns(5, k=4, seed=30))), loaded(ply(columns(40, k=9, seed=60)))
for data, format in [(ply(columns(7)), "ply"), (ply(columns(5, k=4, seed=30)), ""), (raw(6), "splat"), (raw(4), "bin"),
                     (ksplat(0, 4), "ksplat"), (ksplat(0, 3, sections=2), ""), (ksplat(1, 6, full=1, size=3, partial=(2, 1)), "ksplat"), (ksplat(2, 5, sections=2, full=0, partial=(5,)), "ksplat"),
                     (spz(1, 5), "spz"), (spz(2, 6), ""), (spz(3, 8), "spz"), (spz(2, 3, fraction=14), "spz")]:
    # scales of SPZ files go up to 380
    case("File3DToSplat", 1e-4 if data[:2] == b"\x1f\x8b" else exact, model_3d=file(data, format))
points = {"x": numbers(1, 6, 1, -1, 1)[:, 0], "y": numbers(2, 6, 1, -1, 1)[:, 0], "z": numbers(3, 6, 1, -1, 1)[:, 0], "red": np.arange(6) * 40, "green": np.arange(6) * 9, "blue": np.arange(6) * 51}
case("File3DToSplat", exact, model_3d=file(ply(points, {"x": "double", "red": "uchar", "green": "short", "blue": "uint"}), "ply"))
case("File3DToSplat", exact, model_3d=file(ply({k: points[k] for k in "xyz"}), "ply"))
for data, format in [(b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1", "ply"), (ply(columns(7))[:-5], "ply"), (b"ply\n", "ply"), (raw(2)[:-1], "splat"),
                     (bytes([1, 2]) + ksplat(0, 2)[2:], "ksplat"), (ksplat(0, 2)[:5200], "ksplat"), (spz(4, 2), "spz"), (spz(2, 9)[:-20], "spz"), (b"hello", "txt"), (gzip.compress(bytes(40)), "spz"),
                     (ply({k: points[k] for k in "xy"}), "ply"), (ksplat(1, 6, full=0, partial=(2, 1)), "ksplat")]:
    case("File3DToSplat", model_3d=file(data, format))

for s in [a, b, c, call("MergeSplat", **{"splats.splat0": a, "splats.splat1": b})]:
    for format in ["ply", "ksplat"]:
        case("SplatToFile3D", exact, splat=s, format=format)
    # A byte that rounds the other way.
    case("SplatToFile3D", 1, splat=s, format="spz")
    case("GetSplatCount", exact, splat=s)

case("MergeSplat", exact, **{"splats.splat0": a, "splats.splat1": b})
case("MergeSplat", exact, **{"splats.splat0": b, "splats.splat1": c, "splats.splat2": a})

for move, turn, scale in [((0, 0, 0), (0, 0, 0), (1, 1, 1)), ((1, -2, 0.5), (30, -45, 170), (1, 1, 1)), ((0, 0, 3), (360, 90, -12.5), (2.5, 2.5, 2.5))]:
    case("TransformSplat", 4e-6, splat=b, **dict(zip(["translate_x", "translate_y", "translate_z"], move)), **dict(zip(["rotate_x", "rotate_y", "rotate_z"], turn)), **dict(zip(["scale_x", "scale_y", "scale_z"], scale)))

camera = lambda mode, target=(0.0, 0.0, 0.0), roll=0.0, fov=35.0, zoom=1.0, kind="perspective", **more: dict(
    mode=mode, target_x=target[0], target_y=target[1], target_z=target[2], roll=roll, fov=fov, zoom=zoom, camera_type=kind, **{f"mode.{k}": v for k, v in more.items()})
cameras = [
    camera("orbit", yaw=35.0, pitch=30.0, distance=4.0), camera("orbit", (1.0, 0.5, -0.25), roll=25.0, yaw=-100.0, pitch=-60.0, distance=2.0),
    camera("look_at", position_x=4.0, position_y=4.0, position_z=4.0), camera("look_at", (0.0, 1.0, 0.0), kind="orthographic", zoom=0.7, position_x=0.0, position_y=5.0, position_z=0.0),
    camera("quaternion", fov=50.0, position_x=0.3, position_y=0.2, position_z=5.0, quat_x=0.05, quat_y=-0.02, quat_z=0.1, quat_w=0.9),
    camera("quaternion", zoom=2.0, position_x=1.0, position_y=-2.0, position_z=3.0, quat_x=0.0, quat_y=0.0, quat_z=0.0, quat_w=0.0),
]
for cam in cameras:
    case("CreateCameraInfo", 1e-6, **cam)

# torch computes the distance of a ray from a Gaussian in float32, as a difference of numbers of several hundreds.
render = lambda splat, tolerance=2e-3, width=64, height=72, frames=1, scale=1.0, sharpen=2.0, light=0.0, threshold=0.0, style="color", background="#204080", **more: case(
    "RenderSplat", tolerance, splat=splat, width=width, height=height, frames=frames, splat_scale=scale, sharpen=sharpen, headlight_shading=light, opacity_threshold=threshold, render_style=style, background=background, **more)
ball = loaded(ply(shell(60)))
for style in ["color", "clay", "depth", "normal"]:
    render(ball, style=style)
    render(c, style=style, width=80, height=64, camera_info=call("CreateCameraInfo", **cameras[0]), light=0.7)
render(c, frames=3, sharpen=1.0, camera_info=call("CreateCameraInfo", **cameras[1]), scale=1.4)
render(ball, frames=-2, sharpen=3.5, bg_image=img(2, 5, 7, 3), threshold=0.3)
for i in [2, 3, 4]:
    render(c, light=1.5 if i == 2 else 0.0, camera_info=call("CreateCameraInfo", **cameras[i]), background="#fff")
render(c, frames=2, camera_info={"position": {"x": 2, "y": 1.5, "z": 3.5}, "target": {"x": 0, "y": 0.1, "z": 0}})
render(a, camera_info={"position": {"x": 2, "y": 1.5, "z": 3.5}})
render(a, threshold=1.0)
render(a, threshold=1.0, style="clay")
render(call("MergeSplat", **{"splats.splat0": c, "splats.splat1": ball}), camera_info={"position": {"x": 0, "y": 0, "z": 0.4}, "target": {"x": 0, "y": 0, "z": 0}, "fov": 90, "zoom": 1.25})
# The axes of a stretched Gaussian may be turned round, which its picture does not show.
render(call("TransformSplat", splat=c, translate_x=0.2, translate_y=0.0, translate_z=0.1, rotate_x=20.0, rotate_y=0.0, rotate_z=40.0, scale_x=0.5, scale_y=1.5, scale_z=1.0), sharpen=1.0)
many = loaded(ply(shell(2500, seed=200)))
render(many, sharpen=1.0)

# Colors are summed in float16 by ComfyUI, in float32 here.
mesh = lambda splat, tolerance=4e-3, resolution=64, kernel=5, smooth=0, level=0.4, least=0, opacity=0.02, sharpen=2.0: case(
    "SplatToMesh", tolerance, splat=splat, resolution=resolution, kernel=kernel, smooth=smooth, level=level, min_component=least, min_opacity=opacity, color_sharpen=sharpen)
fat = loaded(ply(shell(300, seed=300)))
mesh(fat)
mesh(fat, smooth=3, least=100, sharpen=1.0)
mesh(fat, kernel=2, level=1.0, sharpen=4.0, least=30)
mesh(a, opacity=1.0)
