package splat

import (
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/splat"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TransformSplat{})
	nodes.Register(&GetSplatCount{})
	nodes.Register(&MergeSplat{})
}

// TransformSplat rotates, scales and moves splats.
type TransformSplat struct {
	Splat      *geometry.Splats `in:"splat" type:"SPLAT"`
	TranslateX float64          `in:"translate_x" default:"0.0" min:"-100.0" max:"100.0" step:"0.01"`
	TranslateY float64          `in:"translate_y" default:"0.0" min:"-100.0" max:"100.0" step:"0.01"`
	TranslateZ float64          `in:"translate_z" default:"0.0" min:"-100.0" max:"100.0" step:"0.01"`
	RotateX    float64          `in:"rotate_x" default:"0.0" min:"-360.0" max:"360.0" step:"1.0"`
	RotateY    float64          `in:"rotate_y" default:"0.0" min:"-360.0" max:"360.0" step:"1.0"`
	RotateZ    float64          `in:"rotate_z" default:"0.0" min:"-360.0" max:"360.0" step:"1.0"`
	ScaleX     float64          `in:"scale_x" default:"1.0" min:"0.01" max:"100.0" step:"0.01"`
	ScaleY     float64          `in:"scale_y" default:"1.0" min:"0.01" max:"100.0" step:"0.01"`
	ScaleZ     float64          `in:"scale_z" default:"1.0" min:"0.01" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*TransformSplat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TransformSplat", DisplayName: "Transform Splat", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "SPLAT", Name: "splat"}},
		Description:   "Rotates splats (in degrees, around X, then Y, then Z), scales them along the axes and moves them. Different scales stretch each Gaussian.",
		SearchAliases: []string{"move splat", "rotate splat", "scale splat", "gaussian transform"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TransformSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("splat", n.Splat); err != nil {
		return nodes.Result{}, err
	}
	if err := ctx.Reserve("transformed splats", n.Splat.MemoryBytes()); err != nil {
		return nodes.Result{}, err
	}
	out := &geometry.Splats{}
	for i := range n.Splat.Items {
		it, err := splat.Transform(ctx, &n.Splat.Items[i],
			[3]float64{n.TranslateX, n.TranslateY, n.TranslateZ}, [3]float64{n.RotateX, n.RotateY, n.RotateZ}, [3]float64{n.ScaleX, n.ScaleY, n.ScaleZ})
		if err != nil {
			return nodes.Result{}, err
		}
		out.Items = append(out.Items, it)
	}
	return nodes.Out(out), nil
}

// GetSplatCount counts splats.
type GetSplatCount struct {
	Splat *geometry.Splats `in:"splat" type:"SPLAT"`
}

// Spec implements nodes.Node.
func (*GetSplatCount) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GetSplatCount", DisplayName: "Get Splat Count", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "SPLAT", Name: "splat"}, {Type: "INT", Name: "count"}},
		Hidden:        []string{"UNIQUE_ID"},
		Description:   "Counts the splats of all items of a batch.",
		SearchAliases: []string{"splat count", "gaussian count", "number of splats", "splat info"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *GetSplatCount) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("splat", n.Splat); err != nil {
		return nodes.Result{}, err
	}
	count := 0
	for i := range n.Splat.Items {
		count += n.Splat.Items[i].Count()
	}
	ctx.SendText(message.NewPrinter(language.English).Sprintf("%d splats", count))
	return nodes.Out(n.Splat, int64(count)), nil
}

// MergeSplat joins splats.
type MergeSplat struct {
	Splats nodes.Grown `in:"splats" autogrow:"splat" item:"SPLAT" prefix:"splat" least:"2" most:"32"`
}

// Spec implements nodes.Node.
func (*MergeSplat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MergeSplat", DisplayName: "Merge Splats", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "SPLAT", Name: "splat"}},
		Description:   "Joins batches of splats item by item. Splats that were decoded with several seeds make a denser surface together.",
		SearchAliases: []string{"union splat", "densify gaussian", "combine splat", "merge gaussian"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MergeSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	var batches []*geometry.Splats
	for i, v := range n.Splats.Values {
		if v == nil {
			continue
		}
		s, ok := v.(*geometry.Splats)
		if !ok {
			return nodes.Result{}, nodes.Errorf("TypeError", "reading the input splats.%s: want splats, have %s", n.Splats.Names[i], pyjson.TypeName(v))
		}
		if err := check("splats."+n.Splats.Names[i], s); err != nil {
			return nodes.Result{}, err
		}
		batches = append(batches, s)
	}
	if len(batches) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "merging splats: none are connected")
	}
	out, err := splat.Merge(ctx, batches, reserve(ctx, "merged splats"))
	if err != nil {
		return nodes.Result{}, failed("merging splats", err)
	}
	return nodes.Out(out), nil
}
