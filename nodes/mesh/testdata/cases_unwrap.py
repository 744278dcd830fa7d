# Calls of UnwrapMesh; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 1000  # values that are kept of a tensor

blob = sphere(9, 13, noise=0.25, seed=11)
hilly = sphere(14, 18, noise=0.06, seed=12)
sheet_at = np.stack(np.meshgrid(np.arange(9.0), np.arange(8.0), indexing="ij"), -1).reshape(-1, 2)
sheet = item(np.concatenate([sheet_at, (np.sin(sheet_at[:, :1] * 0.9) + 0.3 * uniform(72, 3)[:, None])], 1),
             [(i * 8 + j, i * 8 + j + 8, i * 8 + j + 9) if k else (i * 8 + j, i * 8 + j + 9, i * 8 + j + 1) for i in range(8) for j in range(7) for k in (0, 1)])
for m in [mesh(blob), mesh(soup(painted(hilly)), texture=img(1, 2, 2, 3)), mesh(sheet), mesh(painted(blob), painted(sheet))]:
    for segmenter, resolution, padding in [("pec", 256, 1), ("adaptive", 256, 2), ("pec", 0, 0)]:
        # Charts are turned and scaled in float32; the functions of angles are others.
        case("UnwrapMesh", 1e-5, mesh=m, segmenter=segmenter, resolution=resolution, padding=padding, weld_distance=0.0)
case("UnwrapMesh", 1e-5, mesh=mesh(soup(blob)), segmenter="pec", resolution=512, padding=4, weld_distance=0.05)
