# Calls of DecimateMesh; see tests/nodecalls/record.py.
exec(compile(open(os.path.join(os.path.dirname(cases_path), "meshes.py")).read(), "meshes.py", "exec"))

# Vertices are noisy, so that rounding decides no comparison. Sums of float32 values are made in another order.
shapes = [mesh(sphere(9, 14, noise=0.3, seed=k)) for k in (1, 2)] + [mesh(painted(sphere(12, 16, noise=0.1, seed=3)), painted(sphere(6, 9, noise=0.2, seed=4)))]
rim = sphere(10, 15, noise=0.2, seed=5)
shapes.append(mesh({**rim, "faces": rim["faces"][30:]}))
for m in shapes:
    for target in (100, 40):
        case("DecimateMesh", 1e-5, mesh=m, target_face_count=target, placement_mode="midpoint")
    for k, (line, feature, clamp) in enumerate([(0.0, 0.0, True), (0.5, 20.0, True), (0.0, 0.0, False)]):
        case("DecimateMesh", 1e-4, mesh=m, target_face_count=80, placement_mode="qem", **{"placement_mode.line_quadric_weight": line,
             "placement_mode.feature_edge_quadric_weight": feature, "placement_mode.feature_edge_min_dihedral_deg": 30.0, "placement_mode.clamp_v_to_edge": clamp})
case("DecimateMesh", mesh=shapes[0], target_face_count=0, placement_mode="midpoint")
