# Random calls of comfy_extras/nodes_gaussian_splat.py and of the savers and previews of splats and point clouds; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "cases.py")).read().split("# numpy's exponentials")[0], "cases.py", "exec"))
LIMIT = 100  # values that are kept of a tensor
import random

r = random.Random(16)
f = lambda lo, hi: round(r.uniform(lo, hi), 3)
xyz = lambda lo, hi: {"x": f(lo, hi), "y": f(lo, hi), "z": f(lo, hi)}


def anyfile():
    n, seed = r.randint(1, 16), r.randint(100, 10**6)
    kind = r.randrange(6)
    if kind == 0:
        return ply(shell(n, radius=f(0.2, 1.5), seed=seed)), r.choice(["ply", ""])
    if kind == 1:
        return ply(columns(n, k=r.choice([1, 4, 9, 16][:r.randint(1, 4)]), seed=seed, spread=f(0.1, 3))), "ply"
    if kind == 2:
        return raw(n, seed), "splat"
    if kind == 3:
        return ksplat(0, n, sections=r.randint(1, 3), seed=seed), "ksplat"
    if kind == 4:
        return ksplat(r.choice([1, 2]), n, seed=seed, full=1, size=n), "ksplat"
    return spz(r.choice([1, 2, 3]), n, seed=seed, fraction=r.randint(6, 14)), "spz"


def anysplat(full=False):
    # Gaussians whose extents a renderer sees
    n = r.randint(16, 24) if full else r.randint(1, 16)
    return loaded(ply(shell(n, radius=f(0.3, 1), seed=r.randint(100, 10**6)) if full or r.random() < 0.5 else columns(n, k=r.choice([1, 4, 9]), seed=r.randint(100, 10**6))))


def anycamera():
    mode = r.choice(["orbit", "look_at", "quaternion"])
    more = {"orbit": lambda: {"yaw": f(-180, 180), "pitch": f(-89, 89), "distance": f(1.5, 6)},
            "look_at": lambda: {f"position_{k}": f(2, 5) for k in "xyz"},
            "quaternion": lambda: {**{f"position_{k}": f(1, 4) for k in "xyz"}, **{f"quat_{k}": f(-1, 1) for k in "xyzw"}}}[mode]()
    return dict(mode=mode, **{f"target_{k}": f(-0.5, 0.5) for k in "xyz"}, roll=f(-180, 180), fov=f(10, 100), zoom=f(0.5, 2), camera_type=r.choice(["perspective", "orthographic"]), **{f"mode.{k}": v for k, v in more.items()})


exact = 2e-6
for i in range(20):
    data, format = anyfile()
    case("File3DToSplat", 1e-4 if data[:2] == b"\x1f\x8b" else exact, model_3d=file(data, format))
    s = anysplat()
    format = r.choice(["ply", "ksplat", "spz"])
    case("SplatToFile3D", 1 if format == "spz" else exact, splat=s, format=format)
    case("GetSplatCount", exact, splat=s)
    case("MergeSplat", exact, **{f"splats.splat{k}": anysplat() for k in range(r.randint(1, 3))})
    scale = f(0.2, 3)
    case("TransformSplat", 1e-5, splat=s, **{f"translate_{k}": f(-3, 3) for k in "xyz"}, **{f"rotate_{k}": f(-180, 180) for k in "xyz"}, **{f"scale_{k}": scale for k in "xyz"})
    case("CreateCameraInfo", 1e-6, **anycamera())
    # torch computes the distance of a ray from a Gaussian in float32, as a difference of numbers of several hundreds.
    camera = {"camera_info": call("CreateCameraInfo", **anycamera())} if r.random() < 0.6 else {}
    case("RenderSplat", 4e-3, splat=anysplat(), width=r.choice([64, 72, 96]), height=r.choice([64, 80]), frames=r.choice([-2, 1, 1, 3]), splat_scale=f(0.5, 2), sharpen=f(1, 4),
         headlight_shading=f(0, 2), opacity_threshold=r.choice([0.0, f(0, 0.5)]), render_style=r.choice(["color", "clay", "depth", "normal"]), background=r.choice(["#204080", "#fff", "#000000"]), **camera)
    # Colors are summed in float16 by ComfyUI, in float32 here.
    case("SplatToMesh", 4e-3, splat=anysplat(True), resolution=r.choice([64, 80]), kernel=r.randint(2, 5), smooth=r.choice([0, 0, 1, 2]), level=f(0.3, 1), min_component=r.choice([0, 0, 50]),
         min_opacity=r.choice([0.0, 0.02, 0.3]), color_sharpen=f(1, 4))
    data, format = anyfile()
    while format not in ["ply", "spz"]:
        data, format = anyfile()
    state = r.choice(["", {}, {"camera_info": xyz(-3, 3)}, {"camera_info": xyz(-3, 3), "model_3d_info": [xyz(0, 1)]}])
    more = {k: v for k, v in {"camera_info": {"position": xyz(-1, 1)}, "model_3d_info": [1, "a"]}.items() if r.random() < 0.5}
    sizes = dict(width=r.randint(1, 4096), height=r.randint(1, 4096))
    cloud = ply({k: numbers(i + 5, 4, 1, -1, 1)[:, 0] for k in "xyz"})
    saves("SaveGaussianSplat", model_3d=file(data, format), filename_prefix=r.choice(["3d/a", "s", "x/y/z"]), viewport_state=state, **sizes, **more)
    saves("PreviewGaussianSplat", model_3d=file(data, format), viewport_state=state, **sizes, **more)
    saves("SavePointCloud", model_3d=file(cloud, "ply"), filename_prefix=r.choice(["3d/a", "s", "x/y/z"]), viewport_state=state, **sizes, **more)
    saves("PreviewPointCloud", model_3d=file(cloud, "ply"), viewport_state=state, **sizes, **more)
