# Calls of classes that only compute conditioning for Wan's models; see tests/nodecalls/record.py.
poses = ["Static", "Pan Up", "Pan Down", "Pan Left", "Pan Right", "Zoom In", "Zoom Out", "Anti Clockwise (ACW)", "ClockWise (CW)"]
# Norms and products in float32; moments grow with the camera's shift.
for i, pose in enumerate(poses):
    case("WanCameraEmbedding", 2e-6, camera_pose=pose, width=16 if i % 2 else 32, height=16, length=[1, 5, 9][i % 3], speed=1.0 + i % 2, fx=0.5, fy=0.5, cx=0.5, cy=0.5)
case("WanCameraEmbedding", 2e-5, camera_pose="Zoom Out", width=48, height=16, length=5, speed=10.0, fx=0.1, fy=0.9, cx=0.2, cy=0.7)
case("WanCameraEmbedding", camera_pose="Static", width=16, height=16, length=4, speed=1.0, fx=0.5, fy=0.5, cx=0.5, cy=0.5)

two = '[[{"x": 1, "y": 2}, {"x": 3.5, "y": 4}], [{"x": 5, "y": 6}, {"x": 7, "y": -8}, {"x": 9, "y": 9}]]'
for text in [two, "[{'x': 1, 'y': 2}, {'x': 3, 'y': 4}]", two.replace('"', "'")]:
    case("WanMoveTracksFromCoords", track_coords=text)
case("WanMoveTracksFromCoords", track_coords=two, track_mask=const(0.5, 2, 3, 3))
for text in ["[]", "no", "{}", "3", '[[{"x": 1, "y": 2}, {"x": 1, "y": 2}], [{"x": 1, "y": 2}]]', '[[{"x": 1}]]', '[[1]]', '[["x"]]', '[{"x": "a", "y": 1}]']:
    case("WanMoveTracksFromCoords", track_coords=text)

path = call("GenerateTracks", width=64, height=48, start_x=0.1, start_y=0.2, end_x=1.1, end_y=0.8, num_frames=5, num_tracks=3, track_spread=0.2, bezier=True, mid_x=0.5, mid_y=0.1, interpolation="linear")
shown = dict(line_resolution=24, circle_size=6, opacity=0.75, line_width=8)
for change in [{}, {"line_resolution": 1}, {"circle_size": 1, "line_width": 1}, {"opacity": 0.0}, {"opacity": 1.0, "line_width": 3, "circle_size": 11}]:
    case("WanMoveVisualizeTracks", images=img(5 if change else 1, 48, 64, 3), tracks=path, **{**shown, **change})
case("WanMoveVisualizeTracks", images=img(2, 24, 32, 3), tracks=path, **shown)
case("WanMoveVisualizeTracks", images=img(6, 24, 32, 3), tracks=path, **shown)
case("WanMoveVisualizeTracks", images=img(2, 3, 4, 3), **shown)
case("WanMoveVisualizeTracks", images=img(3, 24, 32, 3), tracks=path, **shown)


def packed(t, n, h, w, seed):
    """Random masks, packed eight pixels to a byte as SAM 3's tracks are; some objects are missing in some frames."""
    out = torch.zeros((t, n, h, w // 8), dtype=torch.uint8)
    flat = torch.from_numpy(np.floor(uniform(out.numel(), seed) * 256).astype(np.uint8).reshape(out.shape))
    for k in range(n):
        for f in range(t):
            if (f + k + seed) % 3:
                lo = k * 3 % (w // 8)
                out[f, k, k % h:, lo:lo + 2] = flat[f, k, k % h:, lo:lo + 2]
    return values(out)


def track(masks, w, h, **more):
    return {"packed_masks": masks, "orig_size": [h, w], "n_frames": 3, **more}


colored = dict(object_indices="", sort_by="left_to_right", replacement_mode=False)
for change in [{}, {"sort_by": "area"}, {"sort_by": "none", "replacement_mode": True}, {"object_indices": "2, 0,x, 9"}, {"object_indices": "7"}]:
    case("SCAIL2ColoredMask", driving_track_data=track(packed(3, 4, 8, 24, 1), 20, 12), **{**colored, **change})
case("SCAIL2ColoredMask", driving_track_data=track(packed(3, 8, 8, 24, 1), 48, 16), ref_track_data=track(packed(1, 8, 8, 16, 2), 16, 8), **colored)
case("SCAIL2ColoredMask", driving_track_data=track(None, 8, 6), ref_track_data=rnd(2, 5, 4), **colored)
case("SCAIL2ColoredMask", driving_track_data={"packed_masks": None, "orig_size": [6, 8]}, ref_track_data=rnd(5, 4), **{**colored, "replacement_mode": True})
case("SCAIL2ColoredMask", driving_track_data={"packed_masks": None}, **colored)
