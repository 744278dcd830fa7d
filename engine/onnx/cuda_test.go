package onnx_test

import (
	"fmt"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
	"comfygo/tests/cudakernels"
)

// operators write every operator over x [B,8,H,8], most of them in their usual form, in the type of x.
var operators = map[string]func(g *onnx.Graph, x *onnx.Value){
	"Conv":   func(g *onnx.Graph, x *onnx.Value) { g.Conv(x, weight(g, x, 8, 8, 3, 3), nil, 1, onnx.Pad1()) },
	"Conv1d": func(g *onnx.Graph, x *onnx.Value) { g.ConvND(rows(g, x), weight(g, x, 8, 8, 3), nil, 1, onnx.Same(3)) },
	"Conv3d": func(g *onnx.Graph, x *onnx.Value) {
		g.ConvND(g.Unsqueeze(x, 2), weight(g, x, 8, 8, 1, 3, 3), nil, 1, onnx.Causal(1, 3, 3))
	},
	"ConvTranspose": func(g *onnx.Graph, x *onnx.Value) {
		g.ConvTranspose(x, weight(g, x, 8, 4, 2, 2), weight(g, x, 4), 1, onnx.WindowND{})
	},
	"AveragePool": func(g *onnx.Graph, x *onnx.Value) { g.AveragePool(x, []int{2, 2}, onnx.WindowND{}) },
	"arithmetic": func(g *onnx.Graph, x *onnx.Value) {
		g.Add(g.Sub(g.Mul(x, x), x), g.Div(x, g.Pow(x, g.Min(x, g.Max(x, x)))))
	},
	"unary": func(g *onnx.Graph, x *onnx.Value) {
		g.Abs(g.Neg(g.Sqrt(g.Log(g.Exp(g.Cos(g.Sin(g.Tanh(g.Relu(g.Sigmoid(x))))))))))
	},
	"activations": func(g *onnx.Graph, x *onnx.Value) {
		g.Clip(g.LeakyRelu(g.Softplus(g.Gelu(g.Gelu(g.SiLU(x), true), false)), 0.2), 0, 1)
		g.PRelu(x, weight(g, x, 8, 1, 1))
	},
	"Softmax":  func(g *onnx.Graph, x *onnx.Value) { g.Softmax(x, -1) },
	"products": func(g *onnx.Graph, x *onnx.Value) { g.MatMulT(g.MatMul(x, weight(g, x, 8, 8)), weight(g, x, 4, 8)) },
	"LayerNorm": func(g *onnx.Graph, x *onnx.Value) {
		g.LayerNormPlain(g.LayerNorm(x, weight(g, x, 8), weight(g, x, 8), 1e-5), 1e-5)
	},
	"RMSNorm": func(g *onnx.Graph, x *onnx.Value) { g.RMSNorm(x, weight(g, x, 8), 1e-5) },
	"Attend": func(g *onnx.Graph, x *onnx.Value) {
		s := onnx.Sym("H*8")
		mask := g.Input("mask", dtype.I32, onnx.Sym("B"), s)
		bias := g.Input("bias", x.DType, onnx.D(1), onnx.D(1), s, s)
		q := g.Transpose(rows(g, x), 0, 2, 1)
		g.Attend(q, q, q, onnx.Attention{Heads: 2, Scale: 1})
		g.Attend(q, q, q, onnx.Attention{Heads: 2, Scale: 1, KeyMask: mask, Bias: bias})
		half := g.Slice(q, 2, 0, 4)
		g.Attend(q, half, half, onnx.Attention{Heads: 2, KVHeads: 1, Scale: 1})
	},
	"RotaryEmbedding": func(g *onnx.Graph, x *onnx.Value) {
		angles := g.Input("angles", x.DType, onnx.D(1), onnx.Sym("H*8"), onnx.D(2))
		g.RotaryEmbedding(g.Transpose(rows(g, x), 0, 2, 1), angles, angles, 2, true)
	},
	"shapes": func(g *onnx.Graph, x *onnx.Value) {
		y := g.Concat(1, g.Split(g.Tile(g.Squeeze(g.Unsqueeze(x, 0), 0), 1, 2, 1, 1), 1, 10, 6)...)
		g.Expand(g.Slice(y, 0, 0, 1), onnx.Sym("B"), onnx.D(16), onnx.Sym("H"), onnx.D(8))
	},
	"Pad": func(g *onnx.Graph, x *onnx.Value) {
		g.PadAxes(g.Pad(x, 1, 1, 1, 1), onnx.Edge, []int{0, 0, 1, 0}, []int{0, 0, 0, 0})
	},
	"resizing": func(g *onnx.Graph, x *onnx.Value) {
		g.Upscale(g.UpsampleNearest(x, 2), onnx.Linear, 1, 1, 2, 2)
		g.ResizeNearest(x, g.UpsampleNearest(x, 2))
		g.ResizeTo(x, onnx.Nearest, x.Dim(0), x.Dim(1), x.Dim(2), onnx.D(16))
	},
	"GridSample": func(g *onnx.Graph, x *onnx.Value) {
		g.GridSample(x, g.Transpose(g.Slice(x, 1, 0, 2), 0, 2, 3, 1), true, onnx.Edge)
	},
	"DepthToSpace": func(g *onnx.Graph, x *onnx.Value) { g.PixelShuffle(x, 2); g.DepthToSpace(x, 2) },
	"reductions": func(g *onnx.Graph, x *onnx.Value) {
		g.ReduceMean(g.ReduceSum(g.ReduceMax(g.ReduceMin(g.ReduceL2(x, true, 1), true, 2), true, 3), true, 0), false, 0)
	},
	"CumSum": func(g *onnx.Graph, x *onnx.Value) { g.CumSum(x, 1) },
	"TopK":   func(g *onnx.Graph, x *onnx.Value) { g.TopK(x, 1, 2) },
	"choices": func(g *onnx.Graph, x *onnx.Value) {
		zero := g.Scalar(x.DType, 0)
		g.Where(g.Equal(x, x), x, g.Where(g.Less(x, zero), zero, g.Where(g.Greater(x, zero), zero, x)))
	},
	"indices": func(g *onnx.Graph, x *onnx.Value) {
		i := g.Input("i", dtype.I64, onnx.Dims(1, 1)...)
		g.ScatterND(g.GatherAxis(x, g.Ints(0, 1, 2), 1), i, g.Input("rows", x.DType, onnx.D(1), onnx.D(3), onnx.Sym("H"), onnx.D(8)))
		flat := g.Input("flat", x.DType, onnx.Dims(1, 5)...)
		g.GatherElements(flat, i, 1)
		line := g.Reshape(x, onnx.Infer)
		g.Gather(line, g.NonZero(g.Less(line, g.Scalar(x.DType, 0)), line.Dim(0)))
	},
}

func weight(g *onnx.Graph, x *onnx.Value, shape ...int) *onnx.Value {
	return g.Weight(fmt.Sprint("w", shape), x.DType, shape, nil)
}

// rows is x as [B,8,H·8].
func rows(g *onnx.Graph, x *onnx.Value) *onnx.Value {
	return g.Reshape(x, x.Dim(0), x.Dim(1), onnx.Infer)
}

// TestOperatorsHaveCUDAKernels looks every operator up in the list of CUDA's kernels, in each type of activations.
func TestOperatorsHaveCUDAKernels(t *testing.T) {
	t.Parallel()
	for _, compute := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		for name, write := range operators {
			t.Run(fmt.Sprint(name, " ", compute), func(t *testing.T) {
				t.Parallel()
				g, err := onnx.Build(name, func(g *onnx.Graph) error {
					write(g, g.Input("x", compute, onnx.Sym("B"), onnx.D(8), onnx.Sym("H"), onnx.D(8)))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				cudakernels.Check(t, g)
			})
		}
	}
}
