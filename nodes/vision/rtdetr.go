package vision

import (
	"cmp"
	"slices"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/coco"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&RTDETRDetect{}) }

// everyClass is the choice of all classes.
const everyClass = "all"

// RTDETRDetect finds objects in images.
type RTDETRDetect struct {
	Model         *engine.Model  `in:"model" type:"MODEL" display_name:"model"`
	Image         *tensor.Tensor `in:"image" type:"IMAGE" display_name:"image"`
	Threshold     float64        `in:"threshold" default:"0.5" display_name:"threshold"`
	ClassName     string         `in:"class_name" options:"all|person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear|hair drier|toothbrush" default:"all" tooltip:"Class of objects that are kept; 'all' keeps every class."`
	MaxDetections int            `in:"max_detections" default:"100" display_name:"max_detections" tooltip:"Maximum number of objects per image, those of the highest scores."`
}

// Spec implements nodes.Node.
func (*RTDETRDetect) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RTDETR_detect", DisplayName: "Run Real-Time Detection (RT-DETR)", Category: "image/detection",
		Module: "comfy_extras.nodes_rtdetr", V3: true,
		Outputs:       []nodes.Output{{Type: "BOUNDING_BOX", Name: "bboxes"}},
		SearchAliases: []string{"bbox", "bounding box", "object detection", "coco"},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *RTDETRDetect) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "reading the input model: there is no model: load a model of RT-DETR v4 with UNETLoader")
	}
	if err := checkImages(n.Image); err != nil {
		return nodes.Result{}, err
	}
	total := float64(n.Image.Dim(0))
	found, err := n.Model.Detect(ctx, n.Image, func(done int) { ctx.Progress(float64(done), total) })
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	lists := make([]any, len(found))
	for i, list := range found {
		if lists[i], err = n.boxes(list); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(lists), nil
}

// boxes are those of an image that are kept, the best first.
func (n *RTDETRDetect) boxes(list []engine.Detection) ([]any, error) {
	var kept []engine.Detection
	least := float32(n.Threshold) // torch compares in the type of the scores
	for _, d := range list {
		if d.Score <= least {
			continue
		}
		if d.Class >= len(coco.Classes) {
			return nil, nodes.Errorf("IndexError", "finding objects in images: the model found class %d, but COCO has %d classes: use a model for COCO", d.Class, len(coco.Classes))
		}
		if n.ClassName == everyClass || coco.Classes[d.Class] == n.ClassName {
			kept = append(kept, d)
		}
	}
	slices.SortStableFunc(kept, func(a, b engine.Detection) int { return cmp.Compare(b.Score, a.Score) })
	end := n.MaxDetections
	if end < 0 { // Python's slices count from the end
		end = max(len(kept)+end, 0)
	}
	out := []any{}
	for _, d := range kept[:min(end, len(kept))] {
		x, y := d.Box[0], d.Box[1]
		out = append(out, pyjson.NewObject("x", float64(x), "y", float64(y), "width", float64(d.Box[2]-x), "height", float64(d.Box[3]-y),
			"label", coco.Classes[d.Class], "score", float64(d.Score)))
	}
	return out, nil
}
