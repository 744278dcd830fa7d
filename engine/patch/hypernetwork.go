package patch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
)

// Hypernetwork adds small networks' results to the inputs of attention's keys and values (upstream: nodes_hypernetwork.py).
// It acts at one point; both points of a U-Net's attention need one.
type Hypernetwork struct {
	// Strength multiplies the added part.
	Strength float32
	at       Point
	file     *hyperFile
}

// hyperFile is what a hypernetwork's file holds.
type hyperFile struct {
	id, activation string
	src            weights.Source
	// layers are the layers for the keys and for the values, by input width.
	layers map[int][2][]hyperLayer
}

// hyperLayer is a linear layer or a norm with what follows it; scope names its tensors.
type hyperLayer struct {
	scope           string
	norm, activated bool
	in, out         int
}

var _ ContextPatch = Hypernetwork{}

// activations are the functions that hypernetworks may name.
var activations = map[string]func(b *nn.Builder, x *onnx.Value) *onnx.Value{
	"linear":    func(_ *nn.Builder, x *onnx.Value) *onnx.Value { return x },
	"relu":      func(b *nn.Builder, x *onnx.Value) *onnx.Value { return b.Relu(x) },
	"leakyrelu": func(b *nn.Builder, x *onnx.Value) *onnx.Value { return b.LeakyRelu(x, 0.01) },
	"elu": func(b *nn.Builder, x *onnx.Value) *onnx.Value {
		return b.Add(b.Relu(x), b.Sub(b.Exp(b.Min(x, b.Const(0))), b.Const(1)))
	},
	"swish": func(b *nn.Builder, x *onnx.Value) *onnx.Value { // torch's Hardswish
		return b.Mul(x, b.Clip(b.Add(b.Mul(x, b.Const(1.0/6)), b.Const(0.5)), 0, 1))
	},
	"tanh":    func(b *nn.Builder, x *onnx.Value) *onnx.Value { return b.Tanh(x) },
	"sigmoid": func(b *nn.Builder, x *onnx.Value) *onnx.Value { return b.Sigmoid(x) },
	"softsign": func(b *nn.Builder, x *onnx.Value) *onnx.Value {
		return b.Div(x, b.Add(b.Abs(x), b.Const(1)))
	},
	"mish": func(b *nn.Builder, x *onnx.Value) *onnx.Value { return b.Mul(x, b.Tanh(b.Softplus(x))) },
}

// OpenHypernetwork reads a hypernetwork's file, a pickle of tensors of which nothing is executed.
func OpenHypernetwork(path string, strength float64) (*Hypernetwork, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening a hypernetwork: %w", err)
	}
	f := &hyperFile{id: fmt.Sprintf("%s|%d|%d", path, st.Size(), st.ModTime().UnixNano()), layers: map[int][2][]hyperLayer{}}
	if err := weights.ReadTorch(path, func(v any) error { return f.read(path, v) }); err != nil {
		return nil, fmt.Errorf("opening a hypernetwork: %w; use a file of a hypernetwork (.pt) as AUTOMATIC1111's web UI trains it; a LoRA belongs into LoraLoader", err)
	}
	return &Hypernetwork{Strength: float32(strength), at: SelfAttention, file: f}, nil
}

// At returns the hypernetwork for a point of attention.
func (h Hypernetwork) At(at Point) Hypernetwork {
	h.at = at
	return h
}

// Widths lists the widths for which the file has networks.
func (h Hypernetwork) Widths() []int {
	var out []int
	for w := range h.file.layers {
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

func (f *hyperFile) read(path string, v any) error {
	d, ok := v.(*pickle.Dict)
	if !ok {
		return fmt.Errorf("%s holds no hypernetwork: wanted a dict by width", path)
	}
	f.activation = "linear"
	if a, ok := d.Get("activation_func"); ok && a != nil {
		if f.activation, ok = a.(string); !ok {
			return fmt.Errorf("%s: activation_func is no text", path)
		}
	}
	if activations[f.activation] == nil {
		return fmt.Errorf("%s: the activation %q is not known, only %s", path, f.activation, strings.Join(slices.Sorted(maps.Keys(activations)), ", "))
	}
	flag := func(key string) bool {
		v, _ := d.Get(key)
		b, _ := v.(bool)
		return b
	}
	norms, activated := flag("is_layer_norm"), flag("activate_output")
	var entries []weights.Entry
	for i, key := range d.Keys {
		width, ok := key.(int64)
		if !ok {
			continue
		}
		pair, ok := sequence2(d.Values[i])
		if !ok {
			return fmt.Errorf("%s: width %d has no pair of networks", path, width)
		}
		var both [2][]hyperLayer
		for k, one := range pair {
			dict, ok := one.(*pickle.Dict)
			if !ok {
				return fmt.Errorf("%s: network %d of width %d is no dict", path, k, width)
			}
			layers, es, err := readHyper(dict, fmt.Sprintf("%d.%d", width, k), int(width), norms, activated && f.activation != "linear", f.activation != "linear")
			if err != nil {
				return fmt.Errorf("%s: network %d of width %d: %w", path, k, width, err)
			}
			both[k], entries = layers, append(entries, es...)
		}
		f.layers[int(width)] = both
	}
	if len(f.layers) == 0 {
		return fmt.Errorf("%s holds no hypernetwork: there is no width among its keys", path)
	}
	var err error
	f.src, err = weights.Memory(path, entries...)
	return err
}

func sequence2(v any) (pair [2]any, ok bool) {
	var list []any
	switch v := v.(type) {
	case pickle.Tuple:
		list = v
	case []any:
		list = v
	}
	if len(list) < len(pair) {
		return pair, false
	}
	copy(pair[:], list)
	return pair, true
}

// readHyper lists the layers of one network in the order of its tensors, and copies these. With norms every second one is a
// norm. Upstream counts norms among the layers when it looks for the last: the activation after the last linear layer is
// left out only where no norm follows it.
func readHyper(d *pickle.Dict, scope string, width int, norms, activateLast, activate bool) ([]hyperLayer, []weights.Entry, error) {
	var names []string
	for _, k := range d.Keys {
		if name, ok := k.(string); ok {
			if base, is := strings.CutSuffix(name, ".weight"); is {
				names = append(names, base)
			}
		}
	}
	if len(names) == 0 || norms && len(names)%2 != 0 {
		return nil, nil, fmt.Errorf("it has %d layers", len(names))
	}
	var layers []hyperLayer
	var entries []weights.Entry
	at := width
	for i, name := range names {
		l := hyperLayer{scope: scope + "." + strconv.Itoa(i), norm: norms && i%2 == 1, in: at}
		weight, err1 := hyperTensor(d, name+".weight", l.scope+".weight")
		bias, err2 := hyperTensor(d, name+".bias", l.scope+".bias")
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, err
		}
		switch {
		case l.norm && (len(weight.Shape) != 1 || weight.Shape[0] != at), !l.norm && (len(weight.Shape) != 2 || weight.Shape[1] != at),
			len(bias.Shape) != 1 || bias.Shape[0] != weight.Shape[0]:
			return nil, nil, fmt.Errorf("%s is %v with a bias of %v, it reads a width of %d", name, weight.Shape, bias.Shape, at)
		}
		at = weight.Shape[0]
		l.out = at
		last := i == len(names)-1
		l.activated = !l.norm && activate && (!last || activateLast)
		layers, entries = append(layers, l), append(entries, weight, bias)
	}
	if at != width {
		return nil, nil, fmt.Errorf("it gives a width of %d", at)
	}
	return layers, entries, nil
}

// hyperTensor copies a tensor, which is valid only while its file is read.
func hyperTensor(d *pickle.Dict, key, name string) (weights.Entry, error) {
	v, _ := d.Get(key)
	e, ok := v.(weights.Entry)
	if !ok {
		return e, fmt.Errorf("%s is missing", key)
	}
	e.Name = key
	if err := weights.Scan(e); err != nil {
		return e, fmt.Errorf("%s: %w", key, err)
	}
	values, err := weights.Float32s(e)
	if err != nil {
		return e, fmt.Errorf("%s: %w", key, err)
	}
	out := weights.Entry{Name: name, DType: dtype.F32, Shape: slices.Clone(e.Shape), Data: make([]byte, 4*len(values))}
	return out, weights.FromFloat32(out.Data, values, dtype.F32)
}

// Point implements GraphPatch.
func (h Hypernetwork) Point() Point { return h.at }

// Digest implements GraphPatch.
func (h Hypernetwork) Digest() string { return fmt.Sprint(h.file.id, " ", h.Strength) }

// Context implements ContextPatch.
func (h Hypernetwork) Context(b *nn.Builder, at Site, k, v *onnx.Value) (newK, newV *onnx.Value) {
	both, ok := h.file.layers[k.Dim(-1).N]
	if !ok || h.Strength == 0 {
		return k, v
	}
	return h.added(b, both[0], k), h.added(b, both[1], v)
}

func (h Hypernetwork) added(b *nn.Builder, layers []hyperLayer, x *onnx.Value) *onnx.Value {
	s := weights.NewScope(h.file.src)
	y := x
	for _, l := range layers {
		if l.norm {
			y = b.LayerNorm(s.At(l.scope), y, 1e-5)
			continue
		}
		y = b.Linear(s.At(l.scope), y, l.out)
		if l.activated {
			y = activations[h.file.activation](b, y)
		}
	}
	if err := s.Err(); err != nil {
		b.Fail("Hypernetwork", "%v", err)
	}
	return b.Add(x, b.Mul(y, b.Const(h.Strength)))
}
