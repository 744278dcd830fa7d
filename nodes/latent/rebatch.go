package latent

import (
	"fmt"
	"slices"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&RebatchLatents{})
	nodes.Register(&BatchLatents{})
	nodes.Register(&ReplaceVideoLatentFrames{})
}

// RebatchLatents cuts all latents of a list into batches of one size. Where the size of the latents changes a new batch
// begins; the last of each size may be smaller.
type RebatchLatents struct {
	Latents   []engine.Latent `in:"latents" type:"LATENT"`
	BatchSize []int           `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*RebatchLatents) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RebatchLatents", DisplayName: "Rebatch Latents", Category: "model/latent/batch", Module: "comfy_extras.nodes_rebatch", V3: true,
		InputIsList: true, Outputs: []nodes.Output{{Type: "LATENT", List: true}},
		Uses: nodes.UsesNothing,
	}
}

func (*RebatchLatents) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// row is one latent with its mask, or nil, and its number for the noise.
type row struct {
	samples, mask *tensor.Tensor
	number        int
}

// Run implements nodes.Node. Latents without numbers are numbered by their place in the list.
func (n *RebatchLatents) Run(*nodes.Context) (nodes.Result, error) {
	size := 1
	if len(n.BatchSize) > 0 {
		size = max(n.BatchSize[0], 1)
	}
	out := []engine.Latent{}
	var current []row
	flush := func() error {
		for part := range slices.Chunk(current, size) {
			l, err := together(part)
			if err != nil {
				return err
			}
			out = append(out, l)
		}
		current = nil
		return nil
	}
	count := 0
	for _, l := range n.Latents {
		rows, err := rowsOf(l, count)
		if err != nil {
			return nodes.Result{}, err
		}
		count += len(rows)
		if len(current) > 0 && !sameSize(current[0].samples, rows[0].samples) {
			if err := flush(); err != nil {
				return nodes.Result{}, err
			}
		}
		current = append(current, rows...)
	}
	if err := flush(); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

func sameSize(a, b *tensor.Tensor) bool { return a.Dim(-1) == b.Dim(-1) && a.Dim(-2) == b.Dim(-2) }

// rowsOf takes a batch apart; offset numbers its first row where it has no numbers of its own.
func rowsOf(l engine.Latent, offset int) ([]row, error) {
	s, err := samplesOf("latents", l)
	if err != nil {
		return nil, err
	}
	mask := l.NoiseMask
	if mask != nil {
		if len(mask.Shape) < 2 || mask.Len() == 0 {
			return nil, nodes.Errorf("ValueError", "rebatching latents: a noise mask has the shape %v", mask.Shape)
		}
		if mask, err = mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1)); err != nil {
			return nil, err
		}
	}
	out := make([]row, s.Shape[0])
	for i := range out {
		out[i] = row{samples: s.Slice(i, i+1), number: offset + i}
		if i < len(l.BatchIndex) {
			out[i].number = l.BatchIndex[i]
		}
		if mask != nil {
			at := i % mask.Dim(0)
			out[i].mask = mask.Slice(at, at+1)
		}
	}
	return out, nil
}

// together makes a batch of rows. Rows without a mask are changed everywhere; a batch in which all are has no mask.
func together(rows []row) (engine.Latent, error) {
	var l engine.Latent
	samples, masks := make([]*tensor.Tensor, len(rows)), make([]*tensor.Tensor, len(rows))
	masked := false
	for i, r := range rows {
		samples[i], masks[i] = r.samples, r.mask
		l.BatchIndex = append(l.BatchIndex, r.number)
		masked = masked || r.mask != nil && slices.ContainsFunc(r.mask.Data, func(v float32) bool { return v != 1 })
	}
	var err error
	if l.Samples, err = imaging.Concat(0, samples...); err != nil {
		return l, fmt.Errorf("rebatching latents: %w", err)
	}
	if !masked {
		return l, nil
	}
	for i, m := range masks {
		if m == nil {
			masks[i] = ones(1, 1, samples[i].Dim(-2)*ratio, samples[i].Dim(-1)*ratio)
		}
	}
	if l.NoiseMask, err = imaging.Concat(0, masks...); err != nil {
		return l, fmt.Errorf("rebatching noise masks: %w", err)
	}
	return l, nil
}

func ones(shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = 1
	}
	return t
}

// BatchLatents puts latents behind each other; each keeps the noise it would have had alone.
type BatchLatents struct {
	Latents nodes.Grown `in:"latents" autogrow:"latent" item:"LATENT" prefix:"latent" least:"1" most:"50"`
}

// Spec implements nodes.Node.
func (*BatchLatents) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BatchLatentsNode", DisplayName: "Batch Latents", Category: "model/latent/batch", Module: "comfy_extras.nodes_post_processing", V3: true,
		SearchAliases: []string{"combine latents", "stack latents", "merge latents"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*BatchLatents) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node. All get the size of the first.
func (n *BatchLatents) Run(*nodes.Context) (nodes.Result, error) {
	if len(n.Latents.Values) == 0 {
		return nodes.Out(nil), nil
	}
	var out engine.Latent
	parts := make([]*tensor.Tensor, len(n.Latents.Values))
	for i, v := range n.Latents.Values {
		l, ok := v.(engine.Latent)
		if !ok {
			return nodes.Result{}, nodes.Errorf("ValueError", "the input latents.%s is no latent", n.Latents.Names[i])
		}
		s, err := samplesOf("latents."+n.Latents.Names[i], l)
		if err != nil {
			return nodes.Result{}, err
		}
		if i == 0 {
			out = l
			out.BatchIndex, parts[0] = nil, s
		} else if parts[i], err = sized(s, parts[0]); err != nil {
			return nodes.Result{}, err
		}
		out.BatchIndex = append(out.BatchIndex, numbers(l, s)...)
	}
	var err error
	if out.Samples, err = imaging.Concat(0, parts...); err != nil {
		return nodes.Result{}, fmt.Errorf("joining latents: %w", err)
	}
	return nodes.Out(out), nil
}

// ReplaceVideoLatentFrames puts the frames of one video latent in the place of frames of another.
type ReplaceVideoLatentFrames struct {
	Destination engine.Latent `in:"destination" type:"LATENT" tooltip:"The video latent of which frames are replaced."`
	Source      engine.Latent `in:"source" type:"LATENT" optional:"true" tooltip:"The frames to put in. Without them the destination is passed on."`
	Index       int           `in:"index" default:"0" min:"-16384" max:"16384" step:"1" tooltip:"The first frame that is replaced; below 0 it counts from the end."`
}

// Spec implements nodes.Node.
func (*ReplaceVideoLatentFrames) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ReplaceVideoLatentFrames", DisplayName: "Replace Video Latent Frames", Category: "model/latent/batch", Module: moduleLatent, V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

func (*ReplaceVideoLatentFrames) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. Frames that do not fit leave the destination as it is.
func (n *ReplaceVideoLatentFrames) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Source.Samples == nil {
		return nodes.Out(n.Destination), nil
	}
	to, err := samplesOf("destination", n.Destination)
	if err != nil {
		return nodes.Result{}, err
	}
	from, err := samplesOf("source", n.Source)
	if err != nil {
		return nodes.Result{}, err
	}
	at := n.Index
	if at < 0 {
		at += to.Shape[2]
	}
	if at < 0 || at+from.Shape[2] > to.Shape[2] {
		ctx.Log.Warn("frames do not fit into the video latent, which is left as it is", "frames", to.Shape[2], "new", from.Shape[2], "index", n.Index)
		return nodes.Out(n.Destination), nil
	}
	if len(from.Shape) != len(to.Shape) || !slices.Equal(from.Shape[:2], to.Shape[:2]) || !slices.Equal(from.Shape[3:], to.Shape[3:]) {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "replacing frames: latents of shapes %v and %v do not fit", from.Shape, to.Shape)
	}
	out := to.Clone()
	frame := tensor.Count(to.Shape[3:])
	for p := range to.Shape[0] * to.Shape[1] {
		copy(out.Data[(p*to.Shape[2]+at)*frame:], from.Data[p*from.Shape[2]*frame:][:from.Shape[2]*frame])
	}
	return with(n.Source, out), nil
}
