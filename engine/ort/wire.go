package ort

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The few fields of ONNX's protobuf that the probes' models need. Real graphs are written by engine/onnx.
const (
	opset      = 21
	irVersion  = 10
	attrFloat  = 1
	attrInt    = 2
	attrInts   = 7
	blockSpace = "com.microsoft.nchwc"
	microsoft  = "com.microsoft"
)

type wireNode struct {
	op, domain string
	in, out    []string
	ints       map[string][]int64 // a list of one is written as a single number when its name is in single
	floats     map[string]float32
}

// single are the attributes that are a number and no list.
var single = map[string]bool{"channels": true, "block": true, "to": true, "gated": true, "remember": true, "narrow": true, "num_heads": true, "groups": true, "silu": true}

type wireTensor struct {
	name string
	dims []int64
	data []float32 // nil for graph inputs and outputs
	open bool      // an output of any shape
}

func field(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func number(b []byte, n protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

// wireModel writes a model of float32 tensors.
func wireModel(nodes []wireNode, inits, inputs, outputs []wireTensor) []byte {
	var g []byte
	for _, n := range nodes {
		g = field(g, 1, n.marshal())
	}
	g = field(g, 2, []byte("probe"))
	for _, t := range inits {
		g = field(g, 5, t.tensor())
	}
	for _, t := range inputs {
		g = field(g, 11, t.info())
	}
	for _, t := range outputs {
		g = field(g, 12, t.info())
	}
	b := number(nil, 1, irVersion)
	b = field(b, 7, g)
	b = field(b, 8, number(nil, 2, opset))
	for _, domain := range []string{blockSpace, microsoft} {
		b = field(b, 8, number(field(nil, 1, []byte(domain)), 2, 1))
	}
	return b
}

func (n wireNode) marshal() []byte {
	var b []byte
	for _, s := range n.in {
		b = field(b, 1, []byte(s))
	}
	for _, s := range n.out {
		b = field(b, 2, []byte(s))
	}
	b = field(b, 4, []byte(n.op))
	for name, values := range n.ints {
		a := field(nil, 1, []byte(name))
		if single[name] {
			a = number(number(a, 3, values[0]), 20, attrInt)
		} else {
			for _, v := range values {
				a = number(a, 8, v)
			}
			a = number(a, 20, attrInts)
		}
		b = field(b, 5, a)
	}
	for name, v := range n.floats {
		a := protowire.AppendTag(field(nil, 1, []byte(name)), 2, protowire.Fixed32Type)
		b = field(b, 5, number(protowire.AppendFixed32(a, math.Float32bits(v)), 20, attrFloat))
	}
	return field(b, 7, []byte(n.domain))
}

func (t wireTensor) tensor() []byte {
	var b []byte
	for _, d := range t.dims {
		b = number(b, 1, d)
	}
	b = number(b, 2, attrFloat)
	b = field(b, 8, []byte(t.name))
	return field(b, 9, bytesOf(t.data))
}

func (t wireTensor) info() []byte {
	var shape []byte
	for _, d := range t.dims {
		shape = field(shape, 1, number(nil, 1, d))
	}
	kind := number(nil, 1, attrFloat)
	if !t.open {
		kind = field(kind, 2, shape)
	}
	return field(field(nil, 1, []byte(t.name)), 2, field(nil, 1, kind))
}

// addModel is y = x + x on two numbers.
func addModel() []byte {
	x, y := wireTensor{name: "x", dims: []int64{2}}, wireTensor{name: "y", dims: []int64{2}}
	return wireModel([]wireNode{{op: "Add", in: []string{"x", "x"}, out: []string{"y"}}}, nil, []wireTensor{x}, []wireTensor{y})
}

// networkModel is what networks cannot do without: a convolution of image [1,1,4,4], and attention of tokens [1,8,64] in
// float16.
func networkModel() []byte {
	const float16 = 10
	image, tokens := wireTensor{name: "image", dims: []int64{1, 1, 4, 4}}, wireTensor{name: "tokens", dims: []int64{1, 8, 64}}
	kernel := wireTensor{name: "kernel", dims: []int64{1, 1, 3, 3}, data: make([]float32, 9)}
	nodes := []wireNode{
		{op: "Conv", in: []string{"image", "kernel"}, out: []string{"convolved"}},
		{op: "Cast", in: []string{"tokens"}, out: []string{"narrow"}, ints: map[string][]int64{"to": {float16}}},
		{op: "MultiHeadAttention", domain: microsoft, in: []string{"narrow", "narrow", "narrow"}, out: []string{"attended"}, ints: map[string][]int64{"num_heads": {1}}},
		{op: "Cast", in: []string{"attended"}, out: []string{"wide"}, ints: map[string][]int64{"to": {attrFloat}}},
	}
	out := []wireTensor{{name: "convolved", open: true}, {name: "wide", open: true}}
	return wireModel(nodes, []wireTensor{kernel}, []wireTensor{image, tokens}, out)
}
