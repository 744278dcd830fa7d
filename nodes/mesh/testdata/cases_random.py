# Random calls of the mesh classes that have fewer than 20 in the other files; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "cases_saved.py")).read().split("tiny = run")[0], "cases_saved.py", "exec"))
LIMIT = 40  # values of a tensor that are kept
import random

r = random.Random(16)
f = lambda lo, hi, digits=3: round(r.uniform(lo, hi), digits)
seed = lambda: r.randint(1, 10**6)
some = lambda chance, **more: more if r.random() < chance else {}


def shaped(noise=True, least=3):
    """A mesh without symmetry, so that rounding decides no comparison."""
    it = sphere(r.randint(least, least + 2), r.randint(least + 2, least + 4), radius=f(0.2, 0.6), noise=f(0.1, 0.3) if noise else 0.0, seed=seed())
    it["vertices"] += np.float32([f(-0.1, 0.1), f(-0.1, 0.1), f(-0.1, 0.1)])
    return it


def dressed(it):
    if r.random() < 0.5:
        it = painted(it, seed(), r.choice([3, 4]))
    return textured(it) if r.random() < 0.5 else it


def any_mesh(count=None, dress=True):
    items = [shaped() for _ in range(count or r.choice([1, 1, 2]))]
    if dress:
        colors, channels, uv = r.random() < 0.5, r.choice([3, 4]), r.random() < 0.5
        items = [painted(it, seed(), channels) if colors else it for it in items]
        items = [textured(it) if uv else it for it in items]
        return mesh(*items, unlit=r.random() < 0.3, **(some(0.6, texture=img(1, r.randint(1, 6), r.randint(1, 6), 3, seed=seed())) if uv else {}))
    return mesh(*items)


def with_uv(count=None, **stacks):
    return mesh(*[textured(shaped()) for _ in range(count or r.choice([1, 1, 2]))], **stacks)


def voxels(batch=1):
    n = r.randint(6, 10)
    at = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    at = at[np.abs(np.linalg.norm((at + 0.5) / n - 0.5, axis=1) - f(0.3, 0.4)) < 0.12]
    return cells(at, uniform(len(at) * 3, seed()).reshape(-1, 3), n)


tiny = run("MeshToFile3D", {"mesh": mesh(cube())})["result"][0].get_bytes()
image3 = lambda: rnd(1, r.randint(1, 6), r.randint(1, 6), 3, seed=seed(), lo=-0.1, hi=1.1)
xyz = lambda lo, hi: {k: f(lo, hi) for k in "xyz"}
camera = lambda: {"position": xyz(0.8, 2), "target": xyz(-0.1, 0.1), "fov": r.randint(20, 70), "zoom": f(0.8, 1.5)}
PREFIXES = ["3d/m", "m", "x y/ü"]


def spread(it):
    """Each face with vertices of its own and half a square of the texture."""
    out, side = soup(it), math.ceil(math.sqrt(len(it["faces"])))
    k = np.arange(len(it["faces"]))[:, None]
    corner = np.float32([(0.1, 0.1), (0.9, 0.15), (0.2, 0.85)])
    return {**out, "uvs": ((np.stack([k % side, k // side], -1) + corner[None]) / side).reshape(-1, 2).astype(np.float32)}


for i in range(20):
    case("MeshToFile3D", mesh=any_mesh())
    case("GetMeshInfo", mesh=any_mesh())
    # Sums of float32 values are made in another order.
    case("RotateMesh", 1e-6, mesh=any_mesh(), **r.choice([{"mode": "euler_xyz", **{f"mode.angle_{k}": f(-360, 360, 1) for k in "xyz"}}, {"mode": "quaternion", **{f"mode.q{k}": f(-1, 1) for k in "wxyz"}}]))
    case("MergeMeshes", **{f"meshes.mesh{k}": any_mesh() for k in range(r.randint(1, 3))})
    case("WeldVertices", 1e-6, mesh=mesh(*[soup(shaped()) for _ in range(r.choice([1, 1, 2]))]), epsilon_rel=r.choice([0.0, 1e-5, 1e-4]), epsilon_abs=r.choice([0.0, 0.0, f(0.01, 0.2)]))
    case("MeshSmoothNormals", 1e-6, mesh=any_mesh(), crease_angle=float(r.randint(0, 180)))
    case("RenderUVAtlas", mesh=mesh(*[textured(shaped())] * r.choice([1, 2])), resolution=r.choice([64, 128]))
    # The power function of float32 is another one.
    case("PaintMesh", 1e-6, mesh=any_mesh(1), voxel_colors=voxels())
    count = r.choice([1, 1, 1, 2])
    case("BakeTextureFromVoxel", 2e-5, mesh=with_uv(count), voxel_colors=voxels(), texture_size=64)
    if count > 1:
        differs("cells without a batch column count for each mesh of a batch")
    case("MeshTextureToImage", mesh=with_uv(**some(0.8, texture=image3()), **some(0.5, metallic_roughness=img(1, 4, 4, 3, seed=seed()), occlusion_in_mr=r.random() < 0.5), **some(0.4, normal_map=img(1, 3, 2, 3, seed=seed()))))
    # Tangents are quotients of small differences.
    case("ApplyTextureToMesh", 5e-5, mesh=with_uv(), base_color=image3(), **some(0.5, metallic=image3()), **some(0.5, roughness=image3()), **some(0.4, occlusion=image3()), **some(0.4, normal_map=image3()))
    case("VoxelToMeshBasic", voxel=grid(ball(r.choice([1, 1, 2]), r.randint(4, 9), r.randint(4, 9), r.randint(4, 9), radius=f(0.4, 0.9), seed=seed())), threshold=f(-0.3, 0.3, 2))
    # Where edges meet a pixel's middle either face may be found.
    case("RenderMesh", 1e-4, mesh=any_mesh(), mode=r.choice(["auto", "texture", "vertex colors", "solid", "normal", "depth"]), width=r.choice([64, 72, 80]), height=r.choice([64, 72]), background=r.choice(["#336699", "#000000", "#ff8000"]), **some(0.7, camera_info=camera()))
    file3d_ = file(tiny, "glb") if r.random() < 0.5 else file(b"#obj\n", "obj")
    saves("SaveGLB", mesh=r.choice([lambda: mesh(*[painted(shaped(), seed())] * r.choice([1, 2])), lambda: file3d_])(), filename_prefix=r.choice(PREFIXES), **some(0.4, prompt={"1": {"class_type": "SaveGLB", "inputs": {}}}, workflow={"nodes": [1]}))
    view = r.choice(["", {}, {"camera_info": camera()}, {"camera_info": camera(), "model_3d_info": [{"name": "a"}]}])
    more = dict(width=r.randint(1, 4096), height=r.randint(1, 4096), **some(0.4, camera_info={"zoom": f(0.5, 2)}), **some(0.4, model_3d_info=r.choice([[], [1], [{"a": 2}]])))
    saves("Save3DAdvanced", model_3d=file3d_, filename_prefix=r.choice(PREFIXES), viewport_state=view, **more)
    saves("Preview3DAdvanced", model_3d=file3d_, viewport_state=view, **more)
    saves("Preview3D", model_file=r.choice([file3d_, file3d_, "3d/x.glb"]), **some(0.5, camera_info=camera()))
    shot = {"input/a.png": pixel(*[r.randint(0, 255) for _ in range(3)]), "input/m.png": pixel(*[r.randint(0, 255) for _ in range(4)]), "input/n.png": pixel(128, 128, 255), "input/3d/x.glb": tiny}
    taken = {"image": "a.png", "mask": "m.png", "normal": "n.png", "camera_info": {"zoom": f(1, 3)}, "recording": "", **some(0.4, model_3d_info=[{"a": 1}])}
    model = r.choice(["none", "3d/x.glb", ""])
    saves("Load3D", given=shot, model_file=model, image=taken, width=r.randint(1, 64), height=r.randint(1, 64))
    saves("Load3DAdvanced", given=shot, model_file=model, viewport_state=view, width=r.randint(1, 64), height=r.randint(1, 64))

low = [spread(shaped(least=4)) for _ in range(3)]
for i in range(16):
    it = r.choice(low)
    at = {"vertices": it["vertices"] * np.float32(f(0.98, 1.0))}
    # A pixel whose ray passes an edge may meet either triangle: colors differ by the steepness between them there; rays near an edge may pass it on the
    # other side.
    high = sphere(12, 15, radius=f(0.35, 0.45), noise=0.05, seed=seed())
    case("BakeNormalMapFromMesh", 2e-3, low_poly=mesh(it), high_poly=mesh(high), resolution=64, cage_distance=f(0.01, 0.3), ignore_backfaces=r.random() < 0.5)
for i in range(18):
    case("BakeAmbientOcclusion", 0.26, low_poly=mesh(r.choice(low)), high_poly=mesh(sphere(8, 9, radius=f(0.2, 0.5), noise=0.1, seed=seed())), resolution=64, samples=r.choice([8, 12, 16]), max_distance=f(0.1, 2), strength=f(0.2, 1.5), bias=f(0.001, 0.05, 4))
for i in range(11):
    mode = r.choice(["udf", "sdf"])
    sub = {"sign_mode.qef": r.random() < 0.4, **({"sign_mode.drop_inverted_components": r.random() < 0.5, "sign_mode.drop_enclosed_components": r.random() < 0.5} if mode == "udf" else {"sign_mode.manifold": r.random() < 0.5})}
    # Quadratic error functions magnify sums in another order.
    case("RemeshMesh", 5e-4 if sub["sign_mode.qef"] else 2e-5, mesh=mesh(shaped(least=7)), sign_mode=mode, resolution=r.randint(32, 40), band=f(0.7, 2, 1), project_back=r.choice([0.0, f(0.1, 0.9, 2)]), fix_poles=r.random() < 0.5, smooth_iters=r.choice([0, 0, 1, 2]),
         drop_small_components=r.choice([0.0, 0.01, 0.2]), precluster_max_verts=20_000_000, **sub)
for i in range(8):
    case("UnwrapMesh", 1e-5, mesh=mesh(shaped(least=7)), segmenter=r.choice(["pec", "adaptive"]), resolution=r.choice([0, 256, 512]), padding=r.randint(0, 4), weld_distance=r.choice([0.0, 0.0, 0.01]))
