# Calls of RemeshMesh; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 1000  # values that are kept of a tensor

blob = sphere(10, 14, radius=0.31, noise=0.15, seed=6)
blob["vertices"] += np.float32([0.011, 0.007, -0.013])  # no point of the grid is equally near to two centers of faces
small = sphere(7, 9, radius=0.1, noise=0.2, seed=7)
small["vertices"] += np.float32([0.33, 0.31, 0.012])


def joined(a, b):
    return item(np.concatenate([a["vertices"], b["vertices"]]), np.concatenate([a["faces"], b["faces"] + len(a["vertices"])]))


two = joined(blob, small)
options = dict(resolution=32, band=1.0, project_back=0.0, fix_poles=False, smooth_iters=0, drop_small_components=0.01, precluster_max_verts=20_000_000)


def remeshed(tolerance, m, mode, **more):
    sub = {"sign_mode." + k: v for k, v in more.items() if k in ("qef", "manifold", "drop_inverted_components", "drop_enclosed_components")}
    case("RemeshMesh", tolerance, mesh=m, sign_mode=mode, **sub, **{**options, **{k: v for k, v in more.items() if "sign_mode." + k not in sub}})


# Sums of float32 values are made in another order; quadratic error functions magnify that.
remeshed(2e-6, mesh(blob), "udf", qef=False)
remeshed(1e-4, mesh(blob), "udf", qef=True, drop_inverted_components=True)
remeshed(2e-6, mesh(two), "udf", qef=False, drop_enclosed_components=True, drop_small_components=0.0, band=0.7)
remeshed(2e-6, mesh(two), "udf", qef=False, drop_inverted_components=True, drop_small_components=0.4, fix_poles=True, band=2.0)
remeshed(2e-6, mesh(blob), "sdf", qef=False, manifold=False)
remeshed(1e-4, mesh(two), "sdf", qef=True, manifold=False)
remeshed(2e-6, mesh(two), "sdf", qef=False, manifold=True, resolution=40)
remeshed(2e-5, mesh(painted(blob), painted(small)), "sdf", qef=False, manifold=False, project_back=0.6, smooth_iters=2, resolution=36)
remeshed(2e-5, mesh(painted(blob)), "udf", qef=False, project_back=0.3, fix_poles=True, precluster_max_verts=60)
