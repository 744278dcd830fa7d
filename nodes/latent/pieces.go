package latent

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LatentConcat{})
	nodes.Register(&LatentCut{})
	nodes.Register(&LatentCutToBatch{})
	nodes.Register(&LatentBatch{})
	nodes.Register(&LatentBatchSeedBehavior{})
}

// LatentConcat joins latents along an axis; with a minus the second comes first.
type LatentConcat struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
	Dim      string        `in:"dim" options:"x|-x|y|-y|t|-t"`
}

// Spec implements nodes.Node.
func (*LatentConcat) Spec() nodes.Spec {
	return advanced("LatentConcat", "join latents", "stitch latents")
}

// Sizes implements nodes.Sizer.
func (*LatentConcat) Sizes(s *nodes.Sizing) nodes.Images {
	a, b := s.Linked["samples1"], s.Linked["samples2"]
	switch dim, _ := s.Text("dim"); dim {
	case "x", "-x":
		return s.In.Of(a.Width+b.Width, s.In.Height)
	case "y", "-y":
		return s.In.Of(s.In.Width, a.Height+b.Height)
	}
	out := s.Joined()
	out.Made = true
	return out
}

// Run implements nodes.Node.
func (n *LatentConcat) Run(*nodes.Context) (nodes.Result, error) {
	a, err := samplesOf("samples1", n.Samples1)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := samplesOf("samples2", n.Samples2)
	if err != nil {
		return nodes.Result{}, err
	}
	if b, err = imaging.RepeatBatch(b, a.Shape[0]); err != nil {
		return nodes.Result{}, err
	}
	parts := []*tensor.Tensor{a, b}
	if strings.HasPrefix(n.Dim, "-") {
		parts[0], parts[1] = b, a
	}
	out, err := imaging.Concat(axisOf(a, n.Dim), parts...)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples1, out), nil
}

// LatentCut takes a piece of latents along an axis.
type LatentCut struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Dim     string        `in:"dim" options:"x|y|t"`
	Index   int           `in:"index" default:"0" min:"-16384" max:"16384" step:"1"`
	Amount  int           `in:"amount" default:"1" min:"1" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*LatentCut) Spec() nodes.Spec {
	return advanced("LatentCut", "crop latent", "slice latent", "extract region")
}

func (*LatentCut) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. A negative index counts from the end.
func (n *LatentCut) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Amount < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cutting latents: the amount is %d", n.Amount)
	}
	axis, err := knownAxis(s, n.Dim)
	if err != nil {
		return nodes.Result{}, err
	}
	size, from := s.Shape[axis], n.Index
	if from >= 0 {
		from = min(from, size-1)
	} else {
		from = max(from+size, 0)
	}
	return with(n.Samples, narrow(s, axis, from, min(n.Amount, size-from))), nil
}

// knownAxis is axisOf for x, y and t alone.
func knownAxis(t *tensor.Tensor, name string) (int, error) {
	if name != "x" && name != "y" && name != "t" {
		return 0, nodes.Errorf("ValueError", "cutting latents: there is no axis %q, want x, y or t", name)
	}
	return axisOf(t, name), nil
}

// narrow copies n places from one on along an axis.
func narrow(t *tensor.Tensor, axis, from, n int) *tensor.Tensor {
	shape := slices.Clone(t.Shape)
	shape[axis] = n
	out := tensor.New(shape...)
	inner := tensor.Count(shape[axis+1:])
	for o := range tensor.Count(shape[:axis]) {
		copy(out.Data[o*n*inner:][:n*inner], t.Data[(o*t.Shape[axis]+from)*inner:])
	}
	return out
}

// LatentCutToBatch cuts latents into equal slices along an axis and makes a batch of them.
type LatentCutToBatch struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Dim     string        `in:"dim" options:"t|x|y"`
	Size    int           `in:"slice_size" default:"1" min:"1" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*LatentCutToBatch) Spec() nodes.Spec {
	return advanced("LatentCutToBatch", "slice to batch", "split latent", "tile latent")
}

// Sizes implements nodes.Sizer.
func (*LatentCutToBatch) Sizes(s *nodes.Sizing) nodes.Images {
	in := s.Within()
	in.Count *= max(1, max(in.Width, in.Height)/latentPixel/max(1, s.Number("slice_size"))) // each slice is an image of its own
	in.Made = true
	return in
}

// latentPixel is the least number of pixels per latent value along a side.
const latentPixel = 4

// Run drops a rest that fills no slice. Latents without the axis are passed on.
func (n *LatentCutToBatch) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Size < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cutting latents: the slice size is %d", n.Size)
	}
	axis, err := knownAxis(s, n.Dim)
	if err != nil {
		return nodes.Result{}, err
	}
	if axis < 2 {
		return nodes.Out(n.Samples), nil
	}
	size := min(n.Size, s.Shape[axis])
	count := s.Shape[axis] / size
	slicesOf := make([]*tensor.Tensor, 0, s.Shape[0]*count)
	for b := range s.Shape[0] {
		for i := range count {
			slicesOf = append(slicesOf, narrow(s.Slice(b, b+1), axis, i*size, size))
		}
	}
	out, err := imaging.Concat(0, slicesOf...)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples, out), nil
}

// LatentBatch puts two batches behind each other; each keeps the noise it would have had alone.
type LatentBatch struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LatentBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentBatch", DisplayName: "Batch Latents (DEPRECATED)", Category: "model/latent/batch", Module: moduleLatent,
		V3: true, Deprecated: true, SearchAliases: []string{"combine latents", "merge latents", "join latents"},
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

func (*LatentBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node. The second batch gets the size of the first.
func (n *LatentBatch) Run(*nodes.Context) (nodes.Result, error) {
	a, err := samplesOf("samples1", n.Samples1)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := samplesOf("samples2", n.Samples2)
	if err != nil {
		return nodes.Result{}, err
	}
	if b, err = sized(b, a); err != nil {
		return nodes.Result{}, err
	}
	out := n.Samples1
	if out.Samples, err = imaging.Concat(0, a, b); err != nil {
		return nodes.Result{}, fmt.Errorf("joining latents: %w", err)
	}
	out.BatchIndex = slices.Concat(numbers(n.Samples1, a), numbers(n.Samples2, b))
	return nodes.Out(out), nil
}

func numbers(l engine.Latent, s *tensor.Tensor) []int {
	if l.BatchIndex != nil {
		return l.BatchIndex
	}
	return counting(s.Shape[0])
}

// LatentBatchSeedBehavior gives all latents of a batch the same noise, or noise of their own.
type LatentBatchSeedBehavior struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	How     string        `in:"seed_behavior" options:"random|fixed" default:"fixed"`
}

// Spec implements nodes.Node.
func (*LatentBatchSeedBehavior) Spec() nodes.Spec { return advanced("LatentBatchSeedBehavior") }

func (*LatentBatchSeedBehavior) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentBatchSeedBehavior) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	out := n.Samples
	out.BatchIndex = nil
	if n.How == "fixed" {
		first := 0
		if len(n.Samples.BatchIndex) > 0 {
			first = n.Samples.BatchIndex[0]
		}
		out.BatchIndex = slices.Repeat([]int{first}, s.Shape[0])
	}
	return nodes.Out(out), nil
}
