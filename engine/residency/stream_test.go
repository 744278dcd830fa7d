package residency_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/flux"
	"comfygo/engine/family/unet"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/residency"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/ortlib"
	"comfygo/tests/golden"
)

// library is ONNX Runtime; a process can have no more than one.
var library *ort.Runtime

func TestMain(m *testing.M) { os.Exit(withLibrary(m)) }

func withLibrary(m *testing.M) int {
	path, err := ortlib.Find(ortlib.Options{})
	if err == nil {
		library, err = ort.Open(ort.Config{Library: path})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := library.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// inParts runs graphs twice on the CPU: whole, and in parts as a GPU that is too small for them does. It returns the results of the parts.
//
// The target is that of CUDA in float32. Operators that only CUDA has are replaced after the cut (onnx.Graph.Portable), so that the graphs
// that are cut are those that a GPU runs.
type inParts struct {
	familytest.Runner
	t        *testing.T
	adapters *patch.Part
	// parts and sessions count those of the last graph; crossed is the largest number of cuts that a value crosses.
	parts, sessions, crossed int
}

// Run implements family.Runner.
func (r *inParts) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	target, err := nn.TargetFor(nn.TargetOptions{CUDA: true, Compute: dtype.F32})
	if err != nil {
		return nil, err
	}
	build := func() (*onnx.Graph, error) { return g.Build(family.Spec{Target: target, Adapters: r.adapters}) }
	graph, err := build()
	if err != nil {
		return nil, err
	}
	inputs := map[string]ort.Value{}
	for _, v := range in {
		if v.Tensor != nil {
			inputs[v.Name] = ort.Floats(v.Tensor.Data, v.Tensor.Shape...)
		} else {
			inputs[v.Name] = ort.Ints(v.Ints, v.Shape...)
		}
	}
	if err := r.addFactors(graph, inputs); err != nil {
		return nil, err
	}
	want, err := r.whole(ctx, build, inputs, outputs)
	if err != nil {
		return nil, err
	}
	out := map[string]*tensor.Tensor{}
	for _, share := range []float64{0, 0.4} {
		got, err := r.divided(ctx, graph, share, inputs, outputs)
		if err != nil {
			return nil, err
		}
		for _, name := range outputs {
			a, err := got[name].Float32s()
			if err != nil {
				return nil, err
			}
			b, err := want[name].Float32s()
			if err != nil {
				return nil, err
			}
			// ONNX Runtime fuses other operators in parts than in the whole, so sums are rounded otherwise: to about 1e-6.
			golden.Compare(r.t, fmt.Sprintf("%s of %s in %d parts, %v of the weights resident", name, graph.Name, r.parts, share), a, b, golden.Tolerance{RMSRel: 5e-6})
			out[name] = &tensor.Tensor{Shape: got[name].Shape, Data: a}
		}
	}
	return out, nil
}

// addFactors adds the values of the graph's parameters to the inputs. Their shapes are those that the network would be made ready for.
func (r *inParts) addFactors(g *onnx.Graph, inputs map[string]ort.Value) error {
	a := residency.Adapted{Adapters: r.adapters.Adapters(), Sizes: map[string][]int{}}
	for name, v := range inputs {
		a.Sizes[name] = v.Shape
	}
	sizes, err := residency.Sizes(g, a)
	if err != nil {
		return err
	}
	if r.adapters != nil && len(g.Parameters()) == 0 {
		r.t.Errorf("the graph %s has no parameters", g.Name)
	}
	for _, p := range g.Parameters() {
		factor := p.Source.(nn.Factor)
		var data []byte
		var shape []int
		if factor.IsStrength() {
			data, shape, err = factor.Strengths(a)
		} else {
			var src nn.Source
			if src, shape, err = factor.Source(a); err == nil {
				data, err = bytesOf(src)
			}
		}
		if err != nil {
			return err
		}
		inputs[p.Name] = ort.NewValue(p.DType, shape...)
		copy(inputs[p.Name].Data, data)
		if !slices.Equal(sizes[p.Name], shape) {
			r.t.Errorf("parameter %s is expected with shape %v, and has %v", p.Name, sizes[p.Name], shape)
		}
	}
	return nil
}

func bytesOf(src nn.Source) ([]byte, error) {
	data := make([]byte, src.Size())
	for _, task := range src.Tasks(data, nn.Kernels{}) {
		if err := task(); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (r *inParts) whole(ctx context.Context, build func() (*onnx.Graph, error), inputs map[string]ort.Value, outputs []string) (map[string]ort.Value, error) {
	g, err := build()
	if err != nil {
		return nil, err
	}
	g.Portable(func(source any, t dtype.DType) any {
		layout := source.(nn.Layout)
		layout.Form, layout.DType = nn.Plain, t
		return layout
	})
	s, err := session(ctx, g, func(in onnx.Initializer) ([]byte, error) { return bytesOf(in.Source.(nn.Source)) })
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(ctx, inputs, outputs)
}

func session(ctx context.Context, g *onnx.Graph, content func(onnx.Initializer) ([]byte, error)) (*ort.Session, error) {
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		data, err := content(in)
		return onnx.Placement{Inline: data}, err
	})
	if err != nil {
		return nil, err
	}
	return library.NewSession(ctx, ort.SessionSpec{Name: g.Name, Model: model, Threads: 1, OptLevel: ort.OptExtended})
}

// divided runs the parts, with one session for those of a form that have no initializers.
func (r *inParts) divided(ctx context.Context, g *onnx.Graph, share float64, inputs map[string]ort.Value, outputs []string) (map[string]ort.Value, error) {
	known := map[[sha256.Size]byte]*ort.Session{}
	var all []*ort.Session
	defer func() {
		for _, s := range all {
			s.Close()
		}
	}()
	written := map[string]int{}
	r.parts, r.crossed = 0, 0
	got, err := residency.RunInParts(g, share, inputs, outputs, func(p onnx.Part, in map[string]ort.Value) (map[string]ort.Value, error) {
		s := known[p.Form]
		if s == nil {
			p.Portable(nil)
			var err error
			if s, err = session(ctx, p.Graph, func(w onnx.Initializer) ([]byte, error) { return in[w.Name].Data, nil }); err != nil {
				return nil, err
			}
			all = append(all, s)
			if len(p.Initializers()) == 0 {
				known[p.Form] = s
			}
		}
		for _, w := range p.Initializers() {
			delete(in, w.Name)
		}
		for _, whole := range p.Reads {
			if made, ok := written[whole]; ok {
				r.crossed = max(r.crossed, r.parts-made)
			}
		}
		for _, whole := range p.Writes {
			written[whole] = r.parts
		}
		r.parts++
		return s.Run(ctx, in, slices.Collect(maps.Keys(p.Writes)))
	})
	r.sessions = len(all)
	return got, err
}

// branches is a LoRA of rank 2 for some weights.
func branches(t *testing.T, src weights.Source, prefixes ...string) *patch.Part {
	t.Helper()
	var keys patch.KeyMap
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		if len(e.Shape) != 2 && len(e.Shape) != 4 || !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		keys.AddKey(name, "m."+name)
		up, down := []int{e.Shape[0], 2}, append([]int{2}, e.Shape[1:]...)
		if len(e.Shape) == 4 {
			up = append(up, 1, 1)
		}
		for factor, shape := range map[string][]int{"up": up, "down": down} {
			key := name + ".lora_" + factor + ".weight"
			data := make([]byte, 4*tensor.Count(shape))
			if err := weights.FromFloat32(data, golden.Scale(golden.Normal(key, shape...), 0.05).Data, dtype.F32); err != nil {
				t.Fatal(err)
			}
			list = append(list, weights.Entry{Name: key, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data})
		}
	}
	lora, err := weights.Memory("lora", list...)
	if err != nil {
		t.Fatal(err)
	}
	f, err := patch.Read(lora, &keys, func(key string) []int {
		e, _ := src.Lookup(strings.TrimPrefix(key, "m."))
		return e.Shape
	})
	if err != nil {
		t.Fatal(err)
	}
	return patch.Stack{}.With(f, 0.8).Part("m.")
}

func input(name string, v *tensor.Tensor) sampling.Input {
	return sampling.Input{Name: name, Value: v, Rule: sampling.ByRows}
}

// predicting is a call for a latent at timesteps, with a text encoding and further inputs.
func predicting(x *tensor.Tensor, timesteps []float32, context *tensor.Tensor, more ...sampling.Input) family.Call {
	return family.Call{X: x, T: timesteps, Inputs: sampling.Inputs{List: append([]sampling.Input{input(sampling.InputContext, context)}, more...)}}
}

// TestPartsEqualWhole compares networks in parts with whole ones: blocks of two kinds, skip connections, controls beside the blocks, and LoRAs.
func TestPartsEqualWhole(t *testing.T) {
	t.Parallel()
	open := func(src weights.Source) family.Denoiser {
		d, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	fluxSource, err := weights.Open(golden.Checkpoint(t, "flux-tiny-dev"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fluxSource.Close(); err != nil {
			t.Error(err)
		}
	})
	_, unetSource := familytest.Recorded(t, "../family/unet/testdata/pointing", "unet")
	cfg, err := unet.Read(unetSource)
	if err != nil {
		t.Fatal(err)
	}
	cfg.HeadChannels = 32
	_, wan := familytest.Recorded(t, "../family/wan/testdata/vace", "wan")
	_, qwen := familytest.Recorded(t, "../family/qwenimage/testdata/layered", "layered")
	fluxCall := func(rows, h, w int) family.Call {
		return predicting(golden.Normal("x", rows, 16, h, w), []float32{0.7, 0.2}[:rows], golden.Normal("context", rows, 5, 768),
			input(flux.InputVector, golden.Normal("y", rows, 768)), input(flux.InputGuidance, golden.Normal("guidance", rows)))
	}
	unetCall := predicting(golden.Normal("x", 2, 4, 6, 4), []float32{999, 10}, golden.Normal("context", 2, 3, 16), input(unet.InputVector, golden.Normal("y", 2, 4)))
	wanCall := predicting(golden.Normal("x", 2, 16, 3, 6, 4), []float32{300, 800}, golden.Normal("context", 2, 7, 24),
		input("vace0", golden.Normal("vace0", 2, 96, 3, 6, 4)), input("vace1", golden.Normal("vace1", 2, 96, 3, 6, 4)),
		input("vace_strength", &tensor.Tensor{Shape: []int{2}, Data: []float32{0.7, 1.2}}))
	qwenCall := predicting(golden.Normal("x", 1, 16, 3, 4, 6), []float32{0.3}, golden.Normal("context", 1, 5, 24))
	for name, c := range map[string]struct {
		model    family.Denoiser
		adapters *patch.Part
		call     family.Call
		// shared is how many parts use the session of another, crossed over how many parts a value is kept, at least.
		shared, crossed int
	}{
		"Flux":                 {model: open(fluxSource), call: fluxCall(2, 6, 7), shared: 10, crossed: 20},
		"Flux with a LoRA":     {model: open(fluxSource), call: fluxCall(1, 4, 6), adapters: branches(t, fluxSource, "double_blocks.", "single_blocks.1."), crossed: 4},
		"U-Net":                {model: &unet.Model{Config: cfg, Source: unetSource}, call: unetCall, crossed: 10},
		"U-Net with a LoRA":    {model: &unet.Model{Config: cfg, Source: unetSource}, call: unetCall, adapters: branches(t, unetSource, "input_blocks.1.", "output_blocks."), crossed: 10},
		"Qwen-Image":           {model: open(qwen), call: qwenCall, crossed: 2},
		"Wan VACE":             {model: open(wan), call: wanCall, shared: 2, crossed: 10},
		"Wan VACE with a LoRA": {model: open(wan), call: wanCall, adapters: branches(t, wan, "blocks."), shared: 2, crossed: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &inParts{t: t, adapters: c.adapters}
			if _, err := c.model.Predict(t.Context(), r, c.call); err != nil {
				t.Fatal(err)
			}
			if r.parts-r.sessions < c.shared || r.crossed < c.crossed {
				t.Errorf("%d parts have %d sessions, values cross up to %d cuts", r.parts, r.sessions, r.crossed)
			}
		})
	}
}
