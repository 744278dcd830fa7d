package vision

import (
	"cmp"
	"context"
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadMediaPipeFaceLandmarker{})
	nodes.Register(&MediaPipeFaceLandmarker{})
}

const (
	moduleFaces = "comfy_extras.nodes_mediapipe"
	typeFaces   = "FACE_DETECTION_MODEL"
	typeMarks   = "FACE_LANDMARKS"
)

// faceWords are words by which the classes of faces are found.
var faceWords = []string{"face", "facial", "mediapipe", "face landmark", "face mesh", "blazeface", "face detection"}

// FaceLandmarks is the value of FACE_LANDMARKS links: the faces of each image of a batch.
type FaceLandmarks struct {
	Frames        [][]family.Face
	Height, Width int
	// Lines are the lines between landmarks that draw each part of a face.
	Lines map[string][][2]int
}

// LoadMediaPipeFaceLandmarker loads a face landmark model.
type LoadMediaPipeFaceLandmarker struct {
	ModelName string `in:"model_name" files:"detection" tooltip:"Face landmark model from the folder detection."`
}

// Spec implements nodes.Node.
func (*LoadMediaPipeFaceLandmarker) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadMediaPipeFaceLandmarker", DisplayName: "Load Face Detection Model (MediaPipe)", Category: "model/loaders", Module: moduleFaces, V3: true,
		Outputs: nodes.Outputs(typeFaces), SearchAliases: faceWords, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LoadMediaPipeFaceLandmarker) Run(ctx *nodes.Context) (nodes.Result, error) {
	const folder = "detection"
	path, ok := ctx.Folders.Find(folder, n.ModelName)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the face landmark model: there is no file %q in the folder %s", n.ModelName, folder)
	}
	m, err := ctx.Engine.LoadFaceFinder(path)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	return nodes.Out(m), nil
}

// MediaPipeFaceLandmarker finds faces with their landmarks.
type MediaPipeFaceLandmarker struct {
	FaceDetectionModel   *engine.FaceFinder `in:"face_detection_model" type:"FACE_DETECTION_MODEL"`
	Image                *tensor.Tensor     `in:"image" type:"IMAGE"`
	DetectorVariant      string             `in:"detector_variant" options:"short|full|both" default:"short" tooltip:"Detector: 'short' is for faces up to 2 m away, 'full' for those up to 5 m, and slower. 'both' takes for each image the detector that finds more faces."`
	NumFaces             int                `in:"num_faces" default:"1" min:"0" max:"16" step:"1" tooltip:"Maximum number of faces per image. 0 returns all."`
	MinConfidence        float64            `in:"min_confidence" default:"0.5" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Least score of a face. Lower values find small and hidden faces."`
	MissingFrameFallback string             `in:"missing_frame_fallback" options:"empty|previous|interpolate" default:"empty" advanced:"true" tooltip:"What images without a face get: 'empty' nothing, 'previous' the faces of the last image that has some, 'interpolate' faces between those of the images around it, matched by the distance of their centers."`
}

// Spec implements nodes.Node.
func (*MediaPipeFaceLandmarker) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MediaPipeFaceLandmarker", DisplayName: "Detect Face Landmarks (MediaPipe)", Category: "image/detection", Module: moduleFaces, V3: true,
		Description:   "Finds faces and their landmarks with MediaPipe's networks.",
		Outputs:       []nodes.Output{{Type: typeMarks, Name: "face_landmarks"}, {Type: "BOUNDING_BOX", Name: "bboxes"}},
		SearchAliases: faceWords, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *MediaPipeFaceLandmarker) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.FaceDetectionModel == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "reading the input face_detection_model: there is no model: connect LoadMediaPipeFaceLandmarker")
	}
	if err := checkImages(n.Image); err != nil {
		return nodes.Result{}, err
	}
	out := &FaceLandmarks{Height: n.Image.Dim(1), Width: n.Image.Dim(2), Lines: n.FaceDetectionModel.Lines}
	for i := range n.Image.Dim(0) {
		faces, err := n.find(ctx, n.Image.Index(i))
		if err != nil {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "image %d: %w", i, err)
		}
		out.Frames = append(out.Frames, faces)
		ctx.Progress(float64(i+1), float64(n.Image.Dim(0)))
	}
	fill(out.Frames, n.MissingFrameFallback)
	boxes := make([]any, len(out.Frames))
	for i, faces := range out.Frames {
		list := []any{}
		for k := range faces {
			f := &faces[k]
			var err error
			if f.Pose, err = n.FaceDetectionModel.Pose(f, out.Width, out.Height); err != nil {
				return nodes.Result{}, nodes.Errorf("ValueError", "image %d: %w", i, err)
			}
			x, y := float64(f.Box[0]), float64(f.Box[1])
			list = append(list, pyjson.NewObject("x", x, "y", y, "width", float64(f.Box[2])-x, "height", float64(f.Box[3])-y, "label", "face", "score", float64(f.Score)))
		}
		boxes[i] = list
	}
	return nodes.Out(out, boxes), nil
}

// find finds the faces of an image [H,W,C].
func (n *MediaPipeFaceLandmarker) find(ctx context.Context, image *tensor.Tensor) ([]family.Face, error) {
	o := family.FaceOptions{Far: n.DetectorVariant == "full", Most: n.NumFaces, Threshold: float32(n.MinConfidence)}
	faces, err := n.FaceDetectionModel.Find(ctx, image, o)
	if err != nil || n.DetectorVariant != "both" {
		return faces, err
	}
	o.Far = true
	more, err := n.FaceDetectionModel.Find(ctx, image, o)
	if len(more) > len(faces) {
		faces = more
	}
	return faces, err
}

// fill gives images without faces those of images around them.
func fill(frames [][]family.Face, how string) {
	var found []int
	for i, f := range frames {
		if len(f) > 0 {
			found = append(found, i)
		}
	}
	if how == "empty" || len(found) == 0 {
		return
	}
	for i, f := range frames {
		if len(f) > 0 {
			continue
		}
		at, _ := slices.BinarySearch(found, i) // the next image with faces
		switch {
		case at == 0 && how == "previous":
		case at == 0:
			frames[i] = slices.Clone(frames[found[0]])
		case at == len(found) || how == "previous":
			frames[i] = slices.Clone(frames[found[at-1]])
		default:
			before, after := found[at-1], found[at]
			frames[i] = between(frames[before], frames[after], float64(i-before)/float64(after-before))
		}
	}
}

// between are the faces between those of two images, t of the way, each with the nearest of those left in the other image.
func between(a, b []family.Face, t float64) []family.Face {
	type pair struct {
		distance float64
		a, b     int
	}
	var pairs []pair
	center := func(f family.Face) (x, y float64) {
		return 0.5 * float64(f.Box[0]+f.Box[2]), 0.5 * float64(f.Box[1]+f.Box[3])
	}
	for i, f := range a {
		for k, g := range b {
			x, y := center(f)
			u, v := center(g)
			pairs = append(pairs, pair{math.Hypot(x-u, y-v), i, k})
		}
	}
	slices.SortFunc(pairs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance), p.a-q.a, p.b-q.b)
	})
	usedA, usedB := make([]bool, len(a)), make([]bool, len(b))
	var out []family.Face
	for _, p := range pairs {
		if !usedA[p.a] && !usedB[p.b] {
			usedA[p.a], usedB[p.b] = true, true
			out = append(out, blend(a[p.a], b[p.b], float32(t)))
		}
	}
	return out
}

// blend is a face t of the way from a to b.
func blend(a, b family.Face, t float32) family.Face {
	mix := func(x, y float32) float32 { return (1-t)*x + t*y }
	out := family.Face{Score: mix(a.Score, b.Score), Presence: mix(a.Presence, b.Presence)}
	for i := range out.Box {
		out.Box[i] = mix(a.Box[i], b.Box[i])
	}
	for i := range a.Marks {
		out.Marks = append(out.Marks, [2]float32{mix(a.Marks[i][0], b.Marks[i][0]), mix(a.Marks[i][1], b.Marks[i][1])})
		p, q := a.Points[i], b.Points[i]
		out.Points = append(out.Points, [3]float32{mix(p[0], q[0]), mix(p[1], q[1]), mix(p[2], q[2])})
	}
	for i := range a.Shapes {
		out.Shapes = append(out.Shapes, mix(a.Shapes[i], b.Shapes[i]))
	}
	return out
}
