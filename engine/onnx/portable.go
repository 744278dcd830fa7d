package onnx

import (
	"slices"
	"strings"

	"comfygo/engine/dtype"
)

// Portable replaces the operators that only CUDA has by others which compute the same, so that a graph that is written for a
// GPU can be checked on the CPU. source returns the source of an initializer in the layout of files and in a type.
func (g *Graph) Portable(source func(from any, t dtype.DType) any) {
	nodes := g.nodes
	g.nodes, g.byDim = nil, map[Dim]*Value{} // sizes are computed before they are needed
	weights := map[*Value]*Initializer{}
	for i := range g.inits {
		weights[g.byInit[g.inits[i].Name]] = &g.inits[i]
	}
	// change converts a weight to another shape or type, once.
	change := func(v *Value, shape Shape, t dtype.DType) {
		init := weights[v]
		if init == nil || v.DType == t && v.Shape.Equal(shape) {
			return
		}
		v.Shape, v.DType, init.DType, init.Source = shape, t, t, source(init.Source, t)
		init.Shape = nil
		for _, d := range shape {
			init.Shape = append(init.Shape, d.N)
		}
		delete(weights, v)
	}
	for _, n := range nodes {
		write := portable[n.op]
		if write == nil || n.op == "MultiHeadAttention" && len(n.in) > 1 {
			g.nodes = append(g.nodes, n)
			continue
		}
		switch n.in = slices.Clone(n.in); {
		case strings.HasSuffix(n.op, "GroupNorm"):
			for _, v := range n.in[1:] {
				change(v, v.Shape, n.in[0].DType)
			}
		case n.op != "NhwcConv":
		case g.byInit[n.in[1].Name] == nil: // computed in the graph
			n.in[1] = g.Transpose(n.in[1], 0, 3, 1, 2)
		default:
			s := n.in[1].Shape
			change(n.in[1], Shape{s[0], s[3], s[1], s[2]}, n.in[1].DType)
		}
		write(g, n)
		g.nodes[len(g.nodes)-1].out[0] = n.out[0]
	}
}

// portable are the operators that only CUDA has. The last operator that each writes makes the result.
var portable = map[string]func(g *Graph, n node){
	"NhwcConv": func(g *Graph, n node) {
		x := g.Transpose(n.in[0], 0, 3, 1, 2)
		var bias *Value
		if len(n.in) > 2 {
			bias = n.in[2]
		}
		out := n.out[0].Shape
		y := g.op(DomainONNX, "Conv", x.DType, Shape{out[0], out[3], out[1], out[2]}, withBias(x, n.in[1], bias), n.attrs...)
		g.Transpose(y, 0, 2, 3, 1)
	},
	"GroupNorm":     portableGroupNorm,
	"SkipGroupNorm": portableGroupNorm,
	"BiasSplitGelu": func(g *Graph, n node) {
		half := n.out[0].Dim(-1).N
		parts := g.Split(g.Add(n.in[0], n.in[1]), -1, half, half)
		g.Mul(parts[0], g.Gelu(parts[1], false))
	},
	"FastGelu": func(g *Graph, n node) { g.Gelu(g.Add(n.in[0], n.in[1]), true) },
	"BiasAdd":  func(g *Graph, n node) { g.Add(g.Add(n.in[0], n.in[1]), n.in[2]) },
	"MultiHeadAttention": func(g *Graph, n node) {
		x, out := n.in[0], n.out[0].Shape
		flat := g.Reshape(g.Transpose(x, 0, 1, 3, 2, 4), x.Dim(0), x.Dim(1), D(3), out[2])
		var parts []*Value
		for _, part := range g.Split(flat, 2, 1, 1, 1) {
			parts = append(parts, g.Squeeze(part, 2))
		}
		scale, _ := n.attrs[1].val.(float32)
		g.Attend(parts[0], parts[1], parts[2], Attention{Heads: x.Dim(2).N, Scale: scale})
	},
}

func portableGroupNorm(g *Graph, n node) {
	x, groups := n.in[0], int(n.number("groups"))
	var image *Value
	if len(n.out) == 1 {
		image = g.Transpose(x, 0, 3, 1, 2)
	}
	switch {
	case len(n.out) > 1:
		g.Add(x, n.in[3])
		g.nodes[len(g.nodes)-1].out[0] = n.out[1]
		image = g.Transpose(n.out[1], 0, 3, 1, 2)
	case strings.HasPrefix(n.op, "Skip"):
		image = g.Add(image, g.Unsqueeze(n.in[3], 2, 3))
	}
	eps := float32(0)
	for _, a := range n.attrs {
		if a.name == "epsilon" {
			eps = a.val.(float32)
		}
	}
	y := g.Reshape(g.LayerNormPlain(g.Reshape(image, image.Dim(0), D(groups), Infer), eps), image.Shape...)
	// As tokens, so that ONNX Runtime moves no Transpose after the weights, which would need other shapes then.
	y = g.Reshape(g.Transpose(y, 0, 2, 3, 1), x.Dim(0), Infer, x.Dim(3))
	y = g.Add(g.Mul(y, n.in[1]), n.in[2])
	if n.number("activation") != 0 {
		y = g.SiLU(y)
	}
	g.Reshape(y, x.Shape...)
}
