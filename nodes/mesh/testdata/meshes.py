# Recipes of meshes, voxels and cameras for cases.py; see tests/nodecalls/record.py, which runs them in its own namespace.
import io
import struct

from PIL import Image as PILImage

from comfy_api.latest import Types


def packed(a, dtype):
    a = np.asarray(a)
    return {"shape": list(a.shape), "data": base64.b64encode(a.astype(dtype).tobytes()).decode()}


FLOATS = ("uvs", "vertex_colors", "normals", "tangents")
STACKS = ("texture", "metallic_roughness", "normal_map", "emissive")


def item(vertices, faces, **attributes):
    """One mesh of a batch; attributes are those of FLOATS."""
    return {"vertices": np.asarray(vertices, dtype=np.float32).reshape(-1, 3), "faces": np.asarray(faces, dtype=np.int64).reshape(-1, 3),
            **{k: np.asarray(v, dtype=np.float32) for k, v in attributes.items()}}


def mesh(*items, counts=None, unlit=False, occlusion_in_mr=False, material=None, **stacks):
    """A MESH. Batches of different sizes are padded and carry counts."""
    def pad(key, dtype, n, width):
        out = np.zeros((len(items), n, width), dtype=dtype)
        for i, it in enumerate(items):
            out[i, :len(it[key])] = it[key]
        return torch.from_numpy(out)

    def make():
        n = max(len(it["vertices"]) for it in items)
        m = max(len(it["faces"]) for it in items)
        padded = len({(len(it["vertices"]), len(it["faces"])) for it in items}) > 1 if counts is None else counts
        more = {k: pad(k, np.float32, n, items[0][k].shape[1]) for k in FLOATS if k in items[0]}
        if padded:
            more["vertex_counts"] = torch.tensor([len(it["vertices"]) for it in items])
            more["face_counts"] = torch.tensor([len(it["faces"]) for it in items])
        return Types.MESH(pad("vertices", np.float32, n, 3), pad("faces", np.int64, m, 3), unlit=unlit, occlusion_in_mr=occlusion_in_mr,
                          material=material, **more, **{k: v.make() for k, v in stacks.items()})
    return Recipe({"$": "mesh", "unlit": unlit, "occlusion_in_mr": occlusion_in_mr, "stacks": spec(stacks), "material": material,
                   "items": [{k: packed(v, "<i4" if k == "faces" else "<f4") for k, v in it.items()} for it in items]}, make)


def grid(tensor):
    """A VOXEL of a dense volume."""
    return Recipe({"$": "grid", "data": tensor.spec}, lambda: Types.VOXEL(tensor.make()))


def ball(b, d, h, w, radius=0.7, seed=0):
    """A volume [B,D,H,W] with a bumpy ball of positive values."""
    def make():
        z, y, x = np.mgrid[0:d, 0:h, 0:w].astype(np.float64)
        out = []
        for i in range(b):
            r = np.sqrt(((z + 0.5) / d * 2 - 1) ** 2 + ((y + 0.5) / h * 2 - 1) ** 2 + ((x + 0.5) / w * 2 - 1) ** 2)
            out.append(radius - 0.1 * i - r + 0.05 * (uniform(d * h * w, seed + i) - 0.5).reshape(d, h, w))
        return torch.from_numpy(np.stack(out).astype(np.float32))
    return Recipe({"$": "array", **packed(make().numpy(), "<f4")}, make)


def cells(coords, colors, resolution):
    """A VOXEL of occupied cells."""
    c = np.asarray(coords, dtype=np.int64)
    k = np.asarray(colors, dtype=np.float32)
    return Recipe({"$": "cells", "cells": packed(c, "<i4"), "colors": packed(k, "<f4"), "resolution": resolution},
                  lambda: Types.VOXEL(torch.from_numpy(c), torch.from_numpy(k), resolution))


def file3d(data, format):
    """A FILE_3D in memory."""
    return Recipe({"$": "file3d", "data": base64.b64encode(data).decode(), "format": format}, lambda: Types.File3D(io.BytesIO(data), file_format=format))


def described_mesh(m):
    items = []
    for i in range(m.vertices.shape[0]):
        n, f = m.vertices.shape[1], m.faces.shape[1]
        if m.vertex_counts is not None:
            n, f = int(m.vertex_counts[i]), int(m.face_counts[i])
        it = {"vertices": m.vertices[i, :n], "faces": m.faces[i, :f]}
        for k in FLOATS:
            if getattr(m, k) is not None:
                it[k] = getattr(m, k)[i, :n]
        items.append(it)
    out = {"items": items, "unlit": m.unlit, "occlusion_in_mr": m.occlusion_in_mr}
    for k in STACKS:
        if getattr(m, k) is not None:
            out[k] = getattr(m, k)
    return out


def described_file(f):
    """A GLB file by its JSON, the numbers of its buffer and the pixels of its images; another file by its bytes."""
    data = f.get_bytes()
    if f.format != "glb" or data[:4] != b"glTF":
        return {"format": f.format, "bytes": torch.tensor(list(data), dtype=torch.float32)}
    length = struct.unpack("<I", data[12:16])[0]
    doc = json.loads(data[20:20 + length])
    buffer = data[28 + length:]
    images = []
    start = len(buffer)
    for image in doc.get("images", []):
        view = doc["bufferViews"][image["bufferView"]]
        png = buffer[view["byteOffset"]:view["byteOffset"] + view["byteLength"]]
        start = min(start, view["byteOffset"])
        images.append(torch.from_numpy(np.array(PILImage.open(io.BytesIO(png)).convert("RGB"), dtype=np.float32)))
        view["byteOffset"] = view["byteLength"] = 0  # the length depends on zlib
    doc["buffers"][0]["byteLength"] = start
    assert struct.unpack("<I", data[8:12])[0] == len(data)
    return {"format": f.format, "json": json.dumps(doc), "numbers": torch.from_numpy(np.frombuffer(buffer[:start], dtype="<f4").copy()), "images": images}


DESCRIBE["MESH"] = described_mesh
DESCRIBE["File3D"] = described_file


def cube(size=1.0, at=(0, 0, 0)):
    v = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    f = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    return item(np.asarray(v, dtype=np.float32) * size + np.asarray(at, dtype=np.float32), f)


def sphere(rings=8, segments=12, radius=0.4, noise=0.0, seed=3):
    """A welded sphere, bumpy with noise."""
    v = [(0, radius, 0)]
    for i in range(1, rings):
        for j in range(segments):
            a, b = math.pi * i / rings, 2 * math.pi * j / segments
            v.append((radius * math.sin(a) * math.cos(b), radius * math.cos(a), radius * math.sin(a) * math.sin(b)))
    v.append((0, -radius, 0))
    v = np.asarray(v)
    if noise:
        v = v * (1 + noise * (uniform(len(v), seed)[:, None] - 0.5))
    f = []
    at = lambda i, j: 1 + (i - 1) * segments + j % segments
    for j in range(segments):
        f.append((0, at(1, j + 1), at(1, j)))
        for i in range(1, rings - 1):
            f.append((at(i, j), at(i, j + 1), at(i + 1, j)))
            f.append((at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)))
        f.append((len(v) - 1, at(rings - 1, j), at(rings - 1, j + 1)))
    return item(v, f)


def soup(it):
    """Vertices of their own for each face."""
    return item(it["vertices"][it["faces"].reshape(-1)], np.arange(3 * len(it["faces"])).reshape(-1, 3))


def painted(it, seed=5, channels=3):
    return {**it, "vertex_colors": uniform(len(it["vertices"]) * channels, seed).reshape(-1, channels).astype(np.float32)}


def textured(it):
    """Texture coordinates from x and y of the vertices, in 0...1."""
    v = it["vertices"]
    lo, hi = v.min(0), v.max(0)
    return {**it, "uvs": ((v - lo) / np.maximum(hi - lo, 1e-9))[:, :2].astype(np.float32)}


class Unseen:
    """The hidden inputs of a class outside of a server."""
    unique_id = prompt = extra_pnginfo = None


for name in ("GetMeshInfo", "DecimateMesh", "RemeshMesh", "UnwrapMesh"):
    nodes.NODE_CLASS_MAPPINGS[name].hidden = Unseen
