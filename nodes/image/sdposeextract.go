package image

import (
	"context"
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
)

func init() { nodes.Register(&SDPoseKeypointExtractor{}) }

// SDPoseKeypointExtractor finds the key points of people by a model of SDPose.
type SDPoseKeypointExtractor struct {
	Model     *engine.Model  `in:"model" type:"MODEL"`
	VAE       *engine.VAE    `in:"vae" type:"VAE"`
	Image     *tensor.Tensor `in:"image" type:"IMAGE"`
	BatchSize int            `in:"batch_size" default:"16" min:"1" max:"10000" step:"1" tooltip:"Accepted for compatibility: images run one by one, with the same result."`
	Bboxes    any            `in:"bboxes" type:"BOUNDING_BOX" optional:"true" default:"{\"x\": 0, \"y\": 0, \"width\": 512, \"height\": 512}" socketless:"true" forceInput:"true" tooltip:"Bounding boxes of people in each image: one person is found in each. Without them one person is found in the whole image."`
}

// Spec implements nodes.Node.
func (*SDPoseKeypointExtractor) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SDPoseKeypointExtractor", DisplayName: "SDPose Keypoint Extractor", Category: "image/detection",
		Module: modulePose, V3: true,
		Outputs:       []nodes.Output{{Type: "POSE_KEYPOINT", Name: "keypoints", Tooltip: "Key points of each image in the form of OpenPose: canvas_width, canvas_height, people."}},
		Description:   "Finds the key points of body, hands, face and feet in images with a model of SDPose.",
		SearchAliases: []string{"openpose", "pose detection", "preprocessor", "keypoints", "sdpose"},
		Uses:          nodes.UsesDevice,
	}
}

// The size in pixels that the model reads, and the number of pixels for each cell of its maps.
const (
	poseWidth, poseHeight = 768, 1024
	poseCell              = 4
)

// Run implements nodes.Node.
func (n *SDPoseKeypointExtractor) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case !isImage(n.Image):
		return nodes.Result{}, errNoImage("image")
	case n.Model == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "finding key points: there is no model: load one of SDPose")
	case n.VAE == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "finding key points: there is no VAE: connect that of the model")
	}
	lists := []any{nil}
	if list, ok := n.Bboxes.([]any); ok && len(list) > 0 {
		lists = list
	} else if n.Bboxes != nil && !ok {
		lists = []any{[]any{n.Bboxes}}
	}
	count, height, width := n.Image.Dim(0), n.Image.Dim(1), n.Image.Dim(2)
	frames := make([]any, count)
	for i := range count {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		people, err := n.people(ctx, n.Image.Slice(i, i+1), lists[min(i, len(lists)-1)])
		if err != nil {
			return nodes.Result{}, fmt.Errorf("image %d: %w", i, err)
		}
		frames[i] = pyjson.NewObject("canvas_width", int64(width), "canvas_height", int64(height), "people", people)
		ctx.Progress(float64(i+1), float64(count))
	}
	return nodes.Out(frames), nil
}

// people finds one person in each box of an image, or in the whole image.
func (n *SDPoseKeypointExtractor) people(ctx context.Context, image *tensor.Tensor, list any) ([]any, error) {
	out := []any{}
	height, width := image.Dim(1), image.Dim(2)
	if !pyjson.Truthy(list) {
		person, err := n.person(ctx, image, 0, 0)
		return append(out, person), err
	}
	boxes, err := rectsOf("bboxes", list)
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		x1, y1 := max(0, int(b.x)), max(0, int(b.y))
		x2, y2 := min(width, int(b.x+b.width)), min(height, int(b.y+b.height))
		if x2 <= x1 || y2 <= y1 {
			continue
		}
		part, err := imaging.Crop(image, 1, y1, y2, x1, x2)
		if err != nil {
			return nil, err
		}
		person, err := n.person(ctx, part, x1, y1)
		if err != nil {
			return nil, err
		}
		out = append(out, person)
	}
	return out, nil
}

// person finds the person in an image that lies at x, y of another.
func (n *SDPoseKeypointExtractor) person(ctx context.Context, image *tensor.Tensor, x, y int) (*pyjson.Object, error) {
	height, width := image.Dim(1), image.Dim(2)
	method := "bilinear"
	if poseHeight <= height && poseWidth <= width {
		method = "area"
	}
	pixels, err := imaging.UpscaleImage(image, poseWidth, poseHeight, method, "disabled")
	if err != nil {
		return nil, fmt.Errorf("scaling an image: %w", err)
	}
	latent, err := n.VAE.Encode(ctx, pixels)
	if err != nil {
		return nil, err
	}
	maps, err := n.Model.Heatmaps(ctx, latent, conditioning.LotusTokens())
	if err != nil {
		return nil, err
	}
	if maps.Dim(1) != posePoints {
		return nil, nodes.Errorf("ValueError", "finding key points: the model finds %d points, wanted %d: load a model of SDPose for whole bodies", maps.Dim(1), posePoints)
	}
	points := decodeHeatmaps(maps.Index(0))
	scaleX, scaleY := float32(float64(poseWidth)/float64(width)), float32(float64(poseHeight)/float64(height))
	for i := range points {
		if p := &points[i]; p.x >= 0 {
			p.x, p.y = p.x/scaleX+float32(x), p.y/scaleY+float32(y)
		} else {
			p.x, p.y = -1, -1
		}
	}
	return openPose(points), nil
}
