// Package facemesh is the family of MediaPipe's face landmarker: BlazeFace (Bazarevsky and others, "BlazeFace: Sub-millisecond Neural Face Detection on
// Mobile GPUs") for near and for far faces, a face mesh of 478 landmarks, and the strengths of 52 movements of a face.
package facemesh

import (
	"context"
	"fmt"
	"math"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

var _ family.FaceFinder = kind{}

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "MediaPipe face landmarks" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

// Numbers of the published networks. Upstream: comfy_extras/mediapipe/face_landmarker.py.
const (
	rgb   = 3
	marks = 478
	// shapes is the number of movements, read that of landmarks from which they follow.
	shapes, read = 52, 146
	// near and far are the sides of the images that the detectors see, side that of the image of a face.
	near, far, side = 128, 192, 192
	// values are those of a detection: a box and six points.
	values = 16
	// mostBlocks bounds the blocks that are counted.
	mostBlocks = 64
	// mostFaces is the number of faces that are looked at together.
	mostFaces = 16
)

// model is a network that was read from a file.
type model struct {
	src weights.Source

	activations family.Activations
}

// prefixes are those of the detectors for near and for far faces.
var prefixes = map[bool]string{false: "detector_short", true: "detector_full"}

// ReadFaces implements family.FaceFinder.
func (kind) ReadFaces(src weights.Source) (family.FaceNetwork, error) {
	s := weights.NewScope(src)
	if !s.HasAny("mesh.blocks") || !s.HasAny(prefixes[false]) && !s.HasAny(prefixes[true]) {
		return nil, nil
	}
	for name, want := range map[string][]int{
		"mesh.head_landmarks.weight": {rgb * marks, 0, 3, 3}, "blendshapes.head.weight": {shapes, 0}, "blendshapes.token_reduce.weight": {0, read},
		"detector_short.reg_16.weight": {2 * values, 0, 1, 1}, "detector_full.reg_conv.weight": {4 * values, 0, 1, 1},
		"canonical_vertices": {0, 3}, "procrustes_indices": {0}, "procrustes_weights": {0}, "topology.face_oval": {0, 2},
	} {
		shape := s.Shape(name)
		fits := len(shape) == len(want)
		for i := range want {
			fits = fits && shape[i] > 0 && (want[i] == 0 || shape[i] == want[i])
		}
		if !fits {
			return nil, fmt.Errorf("reading the shape of the networks: %s is %v, wanted %v with any number for 0: use the file of MediaPipe's face landmarker that ComfyUI reads, which holds both detectors, mesh, blendshapes and topology", name, shape, want)
		}
	}
	if a, b := s.Shape("procrustes_indices")[0], s.Shape("procrustes_weights")[0]; a != b || a > marks {
		return nil, fmt.Errorf("reading the shape of the model of a face: %d indices and %d weights of %d landmarks", a, b, marks)
	}
	return &model{src: src}, nil
}

// Weights implements family.FaceNetwork.
func (m *model) Weights() weights.Source { return m.src }

// Memory implements family.FaceNetwork.
func (m *model) Memory() int64 {
	most := m.activations.Of(m.mesh(), map[string]int{"B": mostFaces})
	return max(most, m.activations.Of(m.detector(false), nil), m.activations.Of(m.detector(true), nil))
}

// Lines implements family.FaceNetwork.
func (m *model) Lines() (map[string][][2]int, error) {
	const prefix, most = "topology.", 1 << 16
	out := map[string][][2]int{}
	for _, name := range m.src.Names() {
		part, ok := strings.CutPrefix(name, prefix)
		e, there := m.src.Lookup(name)
		if !ok || !there {
			continue
		}
		if len(e.Shape) != 2 || e.Shape[1] != 2 || e.Shape[0] > most {
			return nil, fmt.Errorf("reading the lines of a face: %s has the shape %v, wanted pairs of landmarks", name, e.Shape)
		}
		v := make([]float32, e.Count())
		if err := weights.Range(v, e, 0); err != nil {
			return nil, fmt.Errorf("reading the lines of a face: %w", err)
		}
		lines := make([][2]int, 0, e.Shape[0])
		for i := 0; i < len(v); i += 2 {
			if !(min(v[i], v[i+1]) >= 0 && max(v[i], v[i+1]) < marks) {
				return nil, fmt.Errorf("reading the lines of a face: %s joins the landmarks %v and %v of %d", name, v[i], v[i+1], marks)
			}
			lines = append(lines, [2]int{int(v[i]), int(v[i+1])})
		}
		out[part] = lines
	}
	return out, nil
}

// Find implements family.FaceNetwork. Upstream: FaceLandmarker.detect_batch.
func (m *model) Find(ctx context.Context, run family.Runner, image *tensor.Tensor, o family.FaceOptions) ([]family.Face, error) {
	if len(image.Shape) != 3 || image.Dim(0) != rgb || image.Len() == 0 {
		return nil, fmt.Errorf("finding faces in an image of shape %v: wanted [%d, height, width]", image.Shape, rgb)
	}
	if err := run.Check("finding faces", m.Memory()); err != nil {
		return nil, err
	}
	found, err := m.detect(ctx, run, image, o)
	if err != nil {
		return nil, err
	}
	h, w := image.Dim(1), image.Dim(2)
	var out []family.Face
	for from := 0; from < len(found); from += mostFaces {
		part := found[from:min(from+mostFaces, len(found))]
		crops, turned := tensor.New(len(part), rgb, side, side), make([]rect, len(part))
		for i, d := range part {
			turned[i] = d.rect(w, h)
			turned[i].crop(crops.Index(i), image)
		}
		res, err := run.Run(ctx, m.mesh(), []family.Value{family.Floats("faces", crops)}, "marks", "presence", "shapes")
		if err != nil {
			return nil, err
		}
		for i, d := range part {
			f := family.Face{Score: d.score, Presence: res["presence"].Data[i], Shapes: res["shapes"].Data[i*shapes : (i+1)*shapes]}
			turned[i].place(&f, res["marks"].Data[rgb*marks*i:rgb*marks*(i+1)])
			if v := f.Box[0] + f.Box[1] + f.Box[2] + f.Box[3]; v-v != 0 {
				return nil, fmt.Errorf("finding faces: the network gave landmarks that are no numbers: see whether its file was downloaded whole")
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// place stores landmarks v, (x, y, z) in pixels of the square, in a face.
func (r rect) place(f *family.Face, v []float32) {
	sin, cos := float32(math.Sin(r.angle)), float32(math.Cos(r.angle))
	w, h := float32(r.w), float32(r.h)
	f.Marks, f.Points = make([][2]float32, marks), make([][3]float32, marks)
	const inverse = float32(1.0 / side)
	for i := range marks {
		p := [3]float32(v[3*i : 3*i+3])
		x, y := p[0]-side/2, p[1]-side/2
		q := [2]float32{
			float32(r.x) + x*(w*inverse*cos) - y*(h*inverse*sin),
			float32(r.y) + x*(w*inverse*sin) + y*(h*inverse*cos),
		}
		f.Marks[i], f.Points[i] = q, p
		if i == 0 {
			f.Box = [4]float32{q[0], q[1], q[0], q[1]}
		}
		f.Box = [4]float32{min(f.Box[0], q[0]), min(f.Box[1], q[1]), max(f.Box[2], q[0]), max(f.Box[3], q[1])}
	}
}

func (m *model) mesh() family.Graph {
	return family.Graph{Part: "face mesh", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("face mesh", m.src, func(b *nn.Builder, s *weights.Scope) { writer{b}.mesh(s) })
	}}
}

func (m *model) detector(far bool) family.Graph {
	return family.Graph{Part: "face detector", Variant: family.Digest(far), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("face detector", m.src, func(b *nn.Builder, s *weights.Scope) {
			if w, at := (writer{b}), s.At(prefixes[far]); far {
				w.far(at)
			} else {
				w.near(at)
			}
		})
	}}
}
