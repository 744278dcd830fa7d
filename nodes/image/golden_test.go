package image_test

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

type nodeCase struct {
	ID, Class string
	Args      map[string]any
	Tensors   map[string]any
	Scalars   []any
	Error     string
}

// tolerances are the greatest differences to torch on the CPU. Everything that only moves, adds or multiplies values is
// equal to the last bit or two; sums of many products differ by what the order of the additions makes.
var tolerances = map[string]golden.Tolerance{
	"ColorTransfer": {MaxAbs: 1e-4}, // powers, sums and eigenvectors in float32
	"ImageSharpen":  {MaxAbs: 2e-6}, "LatentUpscale": {MaxAbs: 2e-6}, "LatentUpscaleBy": {MaxAbs: 2e-6}, "LatentBlend": {MaxAbs: 2e-6},
}

// fallback is the tolerance of classes that tolerances does not name.
var fallback = golden.Tolerance{MaxAbs: 6e-7}

// elsewhere are classes whose recorded calls are tested by other packages.
var elsewhere = map[string]bool{
	"ConditioningAverage": true, "ConditioningCombine": true, "ConditioningConcat": true, "ConditioningSetArea": true, "ConditioningSetAreaPercentage": true,
	"ConditioningSetAreaStrength": true, "ConditioningSetTimestepRange": true, "ConditioningZeroOut": true,
}

// TestNodesGoldens runs every recorded call of the classes that are here.
func TestNodesGoldens(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []nodeCase }
	stored := golden.Load(t, "nodes/image", &file)
	ran, missing := map[string]int{}, map[string]int{}
	for _, c := range file.Cases {
		class, ok := nodes.Default().Get(c.Class)
		if !ok || elsewhere[c.Class] {
			missing[c.Class]++
			continue
		}
		t.Run(c.ID+"_"+c.Class, func(t *testing.T) { runCase(t, class, c, stored) })
		ran[c.Class]++
	}
	if len(ran) < 50 {
		t.Errorf("only %d classes ran", len(ran))
	}
	for class, n := range missing {
		if !elsewhere[class] {
			t.Errorf("%d recorded calls of %s were not made", n, class)
		}
	}
}

func runCase(t *testing.T, class *nodes.Class, c nodeCase, stored *golden.Tensors) {
	inputs := pyjson.NewObject()
	for name, arg := range c.Args {
		if choice, ok := arg.(map[string]any); ok && choice[name] != nil { // a dynamic combo
			for key, v := range choice {
				if key != name {
					key = name + "." + key
				}
				inputs.Set(key, plain(v))
			}
			continue
		}
		if v := argument(t, arg); v != nil {
			inputs.Set(name, v)
		}
	}
	node, err := class.Bind(inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := node.Run(nodes.TestContext(context.Background(), nodes.Services{}))
	if c.Error != "" && c.Class != "GetImageSize" { // that one only missed its server when it was recorded
		if err == nil {
			t.Errorf("no error, upstream says %q", c.Error)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(c.Tensors))
	for name := range c.Tensors {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		compareOutput(t, c, name, result, stored.Get(t, c.ID+"/"+name))
	}
	compareScalars(t, c, result)
}

func compareOutput(t *testing.T, c nodeCase, name string, result nodes.Result, want *tensor.Tensor) {
	t.Helper()
	slot, part, _ := strings.Cut(name, ".")
	i, err := strconv.Atoi(slot)
	if err != nil || i >= len(result.Values) {
		t.Fatalf("no output %s", name)
	}
	var got *tensor.Tensor
	switch v := result.Values[i].(type) {
	case *tensor.Tensor:
		got = v
	case *tensor.View:
		got = v.Dense()
	case engine.Latent:
		if got = v.Samples; part == "noise_mask" {
			got = v.NoiseMask
		}
	}
	if got == nil {
		t.Fatalf("output %s is a %T", name, result.Values[i])
	}
	if !tensor.SameShape(got, want) {
		t.Fatalf("output %s: shape %v, want %v", name, got.Shape, want.Shape)
	}
	tol, ok := tolerances[c.Class]
	if !ok {
		tol = fallback
	}
	golden.Compare(t, fmt.Sprintf("%s %v", c.Class, c.Args), got.Data, want.Data, tol)
}

// compareScalars compares the batch numbers that latents carry.
func compareScalars(t *testing.T, c nodeCase, result nodes.Result) {
	t.Helper()
	for i, s := range c.Scalars {
		want, _ := s.(map[string]any)
		if want["batch_index"] == nil {
			continue
		}
		latent, ok := result.Values[i].(engine.Latent)
		if got := fmt.Sprint(latent.BatchIndex); !ok || got != fmt.Sprint(want["batch_index"]) {
			t.Errorf("batch numbers %s, want %v", got, want["batch_index"])
		}
	}
}

// argument makes an input from its recipe.
func argument(t *testing.T, arg any) any {
	t.Helper()
	recipe, ok := arg.(map[string]any)
	if !ok || recipe["recipe"] == nil {
		return plain(arg)
	}
	name, _ := recipe["name"].(string)
	shape := sizes(recipe["shape"].([]any))
	switch recipe["recipe"] {
	case "image":
		return golden.Image(name, shape[0], shape[1], shape[2], shape[3])
	case "mask":
		return golden.Uniform(name, 0.5, 1<<23, shape...)
	case "latent":
		l := engine.Latent{Samples: golden.Normal(name, shape...)}
		if mask, ok := recipe["mask"].([]any); ok {
			l.NoiseMask = golden.Uniform(name+"m", 0.5, 1<<23, sizes(mask)...)
		}
		return l
	case "const":
		return filled(shape, func(_, _, _ int) float32 { return float32(recipe["v"].(float64)) })
	case "binmask":
		return filled(shape, func(b, y, x int) float32 { return truth((3*x+5*y+7*b)%11 < 4) })
	case "blobmask":
		h, w := shape[1], shape[2]
		return filled(shape, func(_, y, x int) float32 {
			dx, dy := x-2*w/5, y-h/2
			return truth((dx*dx*h*h+dy*dy*w*w)*9 < h*w*h*w)
		})
	}
	t.Fatalf("unknown recipe %v", recipe)
	return nil
}

func sizes(dims []any) []int {
	var shape []int
	for _, d := range dims {
		shape = append(shape, int(d.(float64)))
	}
	return shape
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// filled makes a tensor from the first three indexes of each element.
func filled(shape []int, f func(b, y, x int) float32) *tensor.Tensor {
	out := tensor.New(shape...)
	inner := tensor.Count(shape[3:])
	for i := range out.Data {
		at := i / inner
		out.Data[i] = f(at/(shape[1]*shape[2]), at/shape[2]%shape[1], at%shape[2])
	}
	return out
}

// plain turns whole JSON numbers into integers, as prompts have them.
func plain(v any) any {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return int64(f)
	}
	return v
}
