# Calls of the class that gives masks of tracked objects; see tests/nodecalls/record.py.


def packed(t, n, h, w, seed):
    """Random masks, packed eight pixels to a byte."""
    bits = np.floor(uniform(t * n * h * w // 8, seed) * 256).astype(np.uint8).reshape(t, n, h, w // 8)
    return values(torch.from_numpy(bits))


def track(masks, h, w, **more):
    return {"packed_masks": masks, "orig_size": [h, w], "n_frames": 3, "scores": [1.0, 0.5], **more}


# Interpolation in float32.
for indices in ["", " ", "0", "1, 0", "2,x,-1, 9", "7", "a"]:
    case("SAM3_TrackToMask", 1e-6, track_data=track(packed(2, 3, 8, 8, 1), 11, 5), object_indices=indices)
for h, w in [(8, 16), (4, 8), (40, 33), (1, 1), (5, 64)]:
    case("SAM3_TrackToMask", 1e-6, track_data=track(packed(3, 2, 8, 16, 2), h, w), object_indices="")
for indices in ["", "0"]:
    case("SAM3_TrackToMask", track_data=track(None, 6, 7), object_indices=indices)
case("SAM3_TrackToMask", 1e-6, track_data=track(packed(1, 1, 4, 8, 3), 9, 9), object_indices="0,0")
for wrong in [{}, {"packed_masks": None}, {"orig_size": [4, 4]}, {"packed_masks": None, "orig_size": [4, 4]}]:
    case("SAM3_TrackToMask", track_data=wrong, object_indices="")
