# Calls of the classes that bake a dense mesh into textures; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))
LIMIT = 1000  # values that are kept of a tensor


def spread(it):
    """Each face with vertices of its own and half a square of the texture."""
    out, side = soup(it), math.ceil(math.sqrt(len(it["faces"])))
    k = np.arange(len(it["faces"]))[:, None]
    corner = np.float32([(0.1, 0.1), (0.9, 0.15), (0.2, 0.85)])
    uv = np.stack([k % side, k // side], -1) + corner[None]
    return {**out, "uvs": (uv / side).reshape(-1, 2).astype(np.float32)}


low = mesh(spread(sphere(5, 7)))
high = mesh(sphere(16, 22, noise=0.05))
# A pixel whose ray passes an edge may meet either triangle: colors differ by the steepness between them there.
for cage, front in [(0.05, True), (0.2, False), (0.001, True)]:
    case("BakeNormalMapFromMesh", 2e-3, low_poly=low, high_poly=high, resolution=64, cage_distance=cage, ignore_backfaces=front)
case("BakeNormalMapFromMesh", 2e-3, low_poly=mesh(spread(sphere(5, 7)), spread(cube(0.5))), high_poly=mesh(sphere(16, 22), cube(0.5)), resolution=64, cage_distance=0.05, ignore_backfaces=True)
# Rays near an edge may pass it on the other side: one of eight or sixteen.
case("BakeAmbientOcclusion", 0.13, low_poly=low, high_poly=high, resolution=64, samples=16, max_distance=0.5, strength=1.0, bias=0.01)
case("BakeAmbientOcclusion", 0.13, low_poly=mesh(spread(cube(0.5, (0.1, 0.15, 0.12)))), high_poly=mesh(sphere(8, 9, radius=0.3)), resolution=64, samples=8, max_distance=1.0, strength=0.5, bias=0.002)
