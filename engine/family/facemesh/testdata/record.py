"""What ComfyUI 0.33.0's port of MediaPipe's face landmarker computes with random weights.

usage: python record.py COMFYUI RECIPE
"""
import math, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "familytest"))
import recording
recording.prepare()
import numpy as np
import torch
from comfy_extras.mediapipe import face_landmarker as mp
from comfy_extras.mediapipe.face_geometry import transformation_matrix_from_detection
torch.set_num_threads(1)


def ring(first, n=8):
    return [(first + i, first + (i + 1) % n) for i in range(n)]


def topology():
    """Lines of made-up parts: rings of landmarks, some parts of two of them, an open line for the nose."""
    parts = {name: ring(10 * i) for i, name in enumerate(["face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow"])}
    return {**parts, "lips": ring(60) + ring(70, 5), "irises": ring(80, 4) + ring(90, 4), "nose": [(i, i + 1) for i in range(100, 106)], "tesselation": [(i, i + 7) for i in range(0, 120, 3)]}


class Networks:
    """The networks of the landmarker under the names of its file."""

    def __init__(self):
        o = {"device": "cpu", "dtype": torch.float32}
        self.near, self.far = mp.FaceLandmarker(**o, detector_variant="short").eval(), mp.FaceLandmarker(**o, detector_variant="full").eval()
        self.far.mesh, self.far.blendshapes = self.near.mesh, self.near.blendshapes

    def eval(self):
        return self

    def state_dict(self):
        out = {}
        for name, v in self.near.state_dict().items():
            out[("detector_short." + name[len("detector."):]) if name.startswith("detector.") else name] = v
        for name, v in self.far.state_dict().items():
            if name.startswith("detector."):
                out["detector_full." + name[len("detector."):]] = v
        return {**out, **self.tables()}

    def tables(self):
        if not hasattr(self, "made"):
            self.made = {"canonical_vertices": torch.zeros(468, 3), "procrustes_indices": torch.zeros(30), "procrustes_weights": torch.zeros(30)}
            self.made.update({"topology." + k: torch.zeros(len(v), 2) for k, v in topology().items()})
        return self.made

    def canonical(self):
        """The model of a face, whose indices and weights are not random."""
        return {"canonical_vertices": self.made["canonical_vertices"].numpy(), "procrustes_indices": np.arange(30, dtype=np.int32) * 15, "procrustes_weights": (1 / (1 + np.arange(30))).astype(np.float32)}


class Recorder(recording.Recorder):
    """Makes the scores of cells small, so that none of them is 1 in float32, which would leave their order open."""

    def fill(self, module):
        shapes = super().fill(module)
        for k, v in module.state_dict().items():
            if ".cls_" in k and "cls_dw" not in k:
                v.data.mul_(0.05)
        return shapes


def joined(boxes, logits, far, threshold):
    decode = mp._decode_blazeface_full_range if far else mp._decode_blazeface
    return torch.from_numpy(mp._weighted_nms(decode(boxes.numpy(), logits.numpy(), score_thresh=threshold)))


def faces(list_):
    keys = ["bbox_xyxy", "landmarks_xy", "landmarks_3d"]
    return [torch.from_numpy(np.concatenate([np.concatenate([np.asarray(f[k]).reshape(-1) for k in keys]), np.array(list(f["blendshapes"].values()) + [f["presence"], f["score"]])]).astype(np.float32)) for f in list_]


if __name__ == "__main__":
    r = Recorder("facemesh", here)
    net = Networks()
    pixels = lambda name, *shape: np.clip(r.normal(name, *shape).numpy() * 40 + 128, 0, 255).astype(np.uint8)
    small, large = r.normal("small", 1, 3, 128, 128).clamp(-1, 1), r.normal("large", 1, 3, 192, 192).clamp(-1, 1)
    crops = r.normal("faces", 2, 3, 192, 192).div(6).add(0.5).clamp(0, 1)
    boxes, logits, wide = r.normal("boxes", 896, 16) * 30, r.normal("logits", 896, 1) * 2, r.normal("logits", 2304, 1) * 2
    photo = pixels("photo", 60, 91, 3)
    chw = torch.from_numpy(photo).float().movedim(-1, 0).contiguous()
    box = torch.tensor([0.2, 0.3, 0.7, 0.9, 0.3, 0.45, 0.62, 0.5] + [0.0] * 9).numpy()

    def landmarks(m):
        lmks, presence = m.near.mesh(crops)
        return torch.cat([lmks.flatten(1)[:, ::7], presence[:, None], m.near.blendshapes(lmks[:, m.near._bs_idx, :2])], 1)

    def posed(m):
        f = {"landmarks_xy": r.normal("marks", 478, 2).numpy() * 20 + 40, "landmarks_3d": r.normal("points", 478, 3).numpy() * 30 + 90}
        return torch.from_numpy(transformation_matrix_from_detection(f, 91, 60, m.canonical()))

    calls = {
        "near": lambda m: torch.cat(m.near.detector(small), -1)[:, ::7], "far": lambda m: torch.cat(m.far.detector(large), -1)[:, ::19], "mesh": landmarks,
        "joined near": lambda m: joined(boxes, logits, False, 0.9), "joined far": lambda m: joined(r.normal("boxes", 2304, 16) * 30, wide, True, 0.97),
        "square": lambda m: mp._blazeface_input_warp(chw)[0][:, ::3, ::5], "crop": lambda m: mp._warp_face_crop(chw / 255, *mp._detection_to_face_rect(box, 91, 60))[:, ::5, ::3],
        "beyond": lambda m: mp._warp_face_crop(chw / 255, -20.0, 70.0, 300.0, -80.0, 0.5)[:, ::9, ::7], "pose": posed,
        "found": lambda m: torch.stack(faces(m.near.detect_batch([photo], num_faces=3, score_thresh=0.0)[0]))[:, ::5],
        "found far": lambda m: torch.stack(faces(m.far.detect_batch([photo], num_faces=2, score_thresh=0.0)[0]))[:, ::5],
    }
    r.record("net", net, calls)
