package testnodes

import (
	"math"
	"strconv"

	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// lazyMixImages blends two images by a mask and computes only those that it needs.
type lazyMixImages struct {
	Image1 *tensor.Tensor `in:"image1" type:"IMAGE" lazy:"true"`
	Image2 *tensor.Tensor `in:"image2" type:"IMAGE" lazy:"true"`
	Mask   *tensor.Tensor `in:"mask" type:"MASK"`
}

var _ nodes.LazyInputs = (*lazyMixImages)(nil)

// Spec implements nodes.Node.
func (*lazyMixImages) Spec() nodes.Spec {
	return pack("TestLazyMixImages", "Lazy Mix Images", "Testing/Nodes", "IMAGE")
}

// CheckLazy implements nodes.LazyInputs.
func (n *lazyMixImages) CheckLazy(*nodes.Context) ([]string, error) {
	lo, hi := bounds(n.Mask)
	var need []string
	if n.Image1 == nil && (lo != 1 || hi != 1) {
		need = append(need, "image1")
	}
	if n.Image2 == nil && (lo != 0 || hi != 0) {
		need = append(need, "image2")
	}
	return need, nil
}

// Run implements nodes.Node.
func (n *lazyMixImages) Run(*nodes.Context) (nodes.Result, error) {
	lo, hi := bounds(n.Mask)
	switch {
	case lo == 0 && hi == 0:
		return nodes.Out(n.Image1), nil
	case lo == 1 && hi == 1:
		return nodes.Out(n.Image2), nil
	}
	if !tensor.SameShape(n.Image1, n.Image2) || len(n.Mask.Data)*n.Image1.Dim(-1) != len(n.Image1.Data) {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "mixing images of %v and %v by a mask of %v: sizes differ", n.Image1.Shape, n.Image2.Shape, n.Mask.Shape)
	}
	out, channels := tensor.New(n.Image1.Shape...), n.Image1.Dim(-1)
	for i := range out.Data {
		m := n.Mask.Data[i/channels]
		out.Data[i] = n.Image1.Data[i]*(1-m) + n.Image2.Data[i]*m
	}
	return nodes.Out(out), nil
}

// variadicAverage takes any number of images: input1, input2, …
type variadicAverage struct {
	Input1 *tensor.Tensor `in:"input1" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*variadicAverage) Spec() nodes.Spec {
	return pack("TestVariadicAverage", "Variadic Average", "Testing/Nodes", "IMAGE")
}

// Run implements nodes.Node.
func (n *variadicAverage) Run(ctx *nodes.Context) (nodes.Result, error) {
	all := []*tensor.Tensor{n.Input1}
	for {
		v, ok := ctx.Input("input" + strconv.Itoa(len(all)+1))
		if !ok {
			break
		}
		t, ok := v.(*tensor.Tensor)
		if !ok || !tensor.SameShape(t, n.Input1) {
			return nodes.Result{}, nodes.Errorf("RuntimeError", "stack expects each tensor to be equal size")
		}
		all = append(all, t)
	}
	out := tensor.New(n.Input1.Shape...)
	for i := range out.Data {
		for _, t := range all {
			out.Data[i] += t.Data[i] / float32(len(all))
		}
	}
	return nodes.Out(out), nil
}

type customIsChanged struct {
	Image        *tensor.Tensor `in:"image" type:"IMAGE"`
	ShouldChange bool           `in:"should_change" type:"BOOL" optional:"true" default:"false"`
}

var _ nodes.Fingerprinter = (*customIsChanged)(nil)

// Spec implements nodes.Node.
func (*customIsChanged) Spec() nodes.Spec {
	return pack("TestCustomIsChanged", "Custom IsChanged", "Testing/Nodes", "IMAGE")
}

// Fingerprint implements nodes.Fingerprinter.
func (n *customIsChanged) Fingerprint(*nodes.Context) (any, error) {
	if n.ShouldChange {
		return math.NaN(), nil
	}
	return false, nil
}

// Run implements nodes.Node.
func (n *customIsChanged) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Image), nil }

type isChangedWithConstants struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	Value float64        `in:"value" default:"1.0" min:"0.0" max:"10.0"`
}

var _ nodes.Fingerprinter = (*isChangedWithConstants)(nil)

// Spec implements nodes.Node.
func (*isChangedWithConstants) Spec() nodes.Spec {
	return pack("TestIsChangedWithConstants", "IsChanged With Constants", "Testing/Nodes", "IMAGE")
}

// Fingerprint implements nodes.Fingerprinter.
func (n *isChangedWithConstants) Fingerprint(*nodes.Context) (any, error) {
	if n.Image == nil {
		return n.Value, nil
	}
	sum := 0.0
	for _, v := range n.Image.Data {
		sum += float64(v)
	}
	return sum / float64(len(n.Image.Data)) * n.Value, nil
}

// Run implements nodes.Node.
func (n *isChangedWithConstants) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(scaled(n.Image, n.Value)), nil
}

type dynamicDependencyCycle struct {
	Input1 *tensor.Tensor `in:"input1" type:"IMAGE"`
	Input2 *tensor.Tensor `in:"input2" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*dynamicDependencyCycle) Spec() nodes.Spec {
	return pack("TestDynamicDependencyCycle", "Dynamic Dependency Cycle", "Testing/Nodes", "IMAGE")
}

// Run implements nodes.Node.
func (n *dynamicDependencyCycle) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	mask := g.Node("StubMask", "value", 0.5, "height", 512, "width", 512, "batch_size", 1)
	mix1 := g.Node("TestLazyMixImages", "image1", n.Input1, "mask", mask.Out(0))
	mix2 := g.Node("TestLazyMixImages", "image1", mix1.Out(0), "image2", n.Input2, "mask", mask.Out(0))
	mix1.Set("image2", mix2.Out(0))
	return nodes.Result{Values: []any{mix2.Out(0)}, Expand: g.Finish()}, nil
}

// mixedExpansionReturns expands for some of its inputs and not for others.
type mixedExpansionReturns struct {
	Input1 float64 `in:"input1"`
}

// Spec implements nodes.Node.
func (*mixedExpansionReturns) Spec() nodes.Spec {
	return pack("TestMixedExpansionReturns", "Mixed Expansion Returns", "Testing/Nodes", "IMAGE", "IMAGE")
}

// Run implements nodes.Node.
func (n *mixedExpansionReturns) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Input1 <= 0.1:
		return nodes.Out(canvas(0.1), canvas(1)), nil
	case n.Input1 <= 0.2:
		return nodes.Out(canvas(0.2), canvas(1)), nil
	}
	g := ctx.NewGraph()
	mask := g.Node("StubMask", "value", 0.3, "height", 512, "width", 512, "batch_size", 1)
	black := g.Node("StubImage", "content", "BLACK", "height", 512, "width", 512, "batch_size", 1)
	white := g.Node("StubImage", "content", "WHITE", "height", 512, "width", 512, "batch_size", 1)
	mix := g.Node("TestLazyMixImages", "image1", black.Out(0), "image2", white.Out(0), "mask", mask.Out(0))
	return nodes.Result{Values: []any{mix.Out(0), canvas(1)}, Expand: g.Finish()}, nil
}

type samplingInExpansion struct {
	Model    any     `in:"model" type:"MODEL"`
	Clip     any     `in:"clip" type:"CLIP"`
	VAE      any     `in:"vae" type:"VAE"`
	Seed     uint64  `in:"seed" default:"0" min:"0" max:"18446744073709551615"`
	Steps    int64   `in:"steps" default:"20" min:"1" max:"100"`
	CFG      float64 `in:"cfg" default:"7.0" min:"0.0" max:"30.0"`
	Prompt   string  `in:"prompt" multiline:"true" default:"a beautiful landscape with mountains and trees"`
	Negative string  `in:"negative_prompt" multiline:"true" default:"blurry, bad quality, worst quality"`
}

// Spec implements nodes.Node.
func (*samplingInExpansion) Spec() nodes.Spec {
	return pack("TestSamplingInExpansion", "Sampling In Expansion", "Testing/Nodes", "IMAGE")
}

// Run implements nodes.Node.
func (n *samplingInExpansion) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	positive := g.Node("CLIPTextEncode", "text", n.Prompt, "clip", n.Clip)
	negative := g.Node("CLIPTextEncode", "text", n.Negative, "clip", n.Clip)
	latent := g.Node("EmptyLatentImage", "width", 512, "height", 512, "batch_size", 1)
	sampler := g.Node("KSampler", "model", n.Model, "positive", positive.Out(0), "negative", negative.Out(0), "latent_image", latent.Out(0),
		"seed", n.Seed, "steps", n.Steps, "cfg", n.CFG, "sampler_name", "euler_ancestral", "scheduler", "normal")
	out := g.Node("VAEDecode", "samples", sampler.Out(0), "vae", n.VAE)
	return nodes.Result{Values: []any{out.Out(0)}, Expand: g.Finish()}, nil
}

type outputWithSocket struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	Value float64        `in:"value" default:"1.0" min:"0.0" max:"10.0"`
}

// Spec implements nodes.Node.
func (*outputWithSocket) Spec() nodes.Spec {
	s := pack("TestOutputNodeWithSocketOutput", "Test Output Node With Socket Output", "experimental", "IMAGE")
	s.OutputNode = true
	return s
}

// Run implements nodes.Node.
func (n *outputWithSocket) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(scaled(n.Image, n.Value)), nil
}
