package birefnet

import (
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// writer writes the graph for one image, whose sizes are known: images are [1,C,H,W], tokens [1,H,W,C].
type writer struct {
	*nn.Builder
	*model

	// masks are those of partitions that were written.
	masks map[partition]*onnx.Value
}

var d1 = onnx.D(1)

// write writes the network. Input: image [1,3,side,side]; output: logits [1,1,side,side]. Upstream: BiRefNet.
func (w writer) write(s *weights.Scope, side int) {
	image := dit.Input(w.Builder, "image", d1, onnx.D(rgb), onnx.D(side), onnx.D(side))
	whole := w.backbone(s.At("bb"), image)
	half := w.backbone(s.At("bb"), w.resized(image, side/2, side/2))
	for i := range whole {
		whole[i] = w.Concat(1, whole[i], w.like(half[i], whole[i]))
	}
	last := whole[stages-1]
	parts := make([]*onnx.Value, 0, stages)
	for _, x := range whole[:stages-1] {
		parts = append(parts, w.like(x, last))
	}
	whole[stages-1] = w.block(s.At("squeeze_module.0"), w.Concat(1, append(parts, last)...))
	dit.Output(w.Builder, "logits", w.decoder(s.At("decoder"), image, whole))
}

// decoder joins the features of the stages, from the coarsest on, with the image in patches. Upstream: Decoder.
func (w writer) decoder(s *weights.Scope, image *onnx.Value, features []*onnx.Value) *onnx.Value {
	x := features[stages-1]
	for i := stages; i >= 1; i-- {
		number := fmt.Sprint(i)
		x = w.Concat(1, x, w.simple(s.At("ipt_blk"+fmt.Sprint(i+1)), w.patches(image, x)))
		x = w.block(s.At("decoder_block"+number), x)
		if i == 1 {
			break
		}
		shown := w.Relu(w.conv(s.At("gdt_convs_"+number+".0"), x, 1))
		x = w.Mul(x, w.Sigmoid(w.conv(s.At("gdt_convs_attn_"+number+".0"), shown, 0)))
		x = w.Add(w.like(x, features[i-2]), w.conv(s.At("lateral_block"+number+".conv"), features[i-2], 0))
	}
	x = w.like(x, image)
	x = w.Concat(1, x, w.simple(s.At("ipt_blk1"), image))
	return w.conv(s.At("conv_out1.0"), x, 0)
}

// patches are the patches of an image, as large as like, one behind the other in the channels: column by column.
func (w writer) patches(image, like *onnx.Value) *onnx.Value {
	h, width := like.Dim(2).N, like.Dim(3).N
	rows, columns := image.Dim(2).N/h, image.Dim(3).N/width
	x := w.Reshape(image, d1, onnx.D(rgb), onnx.D(rows), onnx.D(h), onnx.D(columns), onnx.D(width))
	x = w.Transpose(x, 0, 4, 2, 1, 3, 5)
	return w.Reshape(x, d1, onnx.D(columns*rows*rgb), onnx.D(h), onnx.D(width))
}

// simple is the pair of convolutions at s. Upstream: SimpleConvs.
func (w writer) simple(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.conv(s.At("conv_out"), w.conv(s.At("conv1"), x, 1), 1)
}

// block is a block of the decoder. Upstream: BasicDecBlk.
func (w writer) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.conv(s.At("conv_out"), w.pyramid(s.At("dec_att"), w.Relu(w.conv(s.At("conv_in"), x, 1))), 1)
}

// pyramid looks at x by deformable convolutions of several sizes and as a whole. Upstream: ASPPDeformable.
func (w writer) pyramid(s *weights.Scope, x *onnx.Value) *onnx.Value {
	parts := []*onnx.Value{w.Relu(w.deformable(s.At("aspp1.atrous_conv"), x))}
	for i := range s.Count("aspp_deforms") {
		parts = append(parts, w.Relu(w.deformable(s.At("aspp_deforms").Index(i).At("atrous_conv"), x)))
	}
	mean := w.Relu(w.conv(s.At("global_avg_pool.1"), w.ReduceMean(x, true, 2, 3), 0))
	parts = append(parts, w.Expand(mean, d1, mean.Dim(1), x.Dim(2), x.Dim(3)))
	return w.Relu(w.conv(s.At("conv1"), w.Concat(1, parts...), 0))
}

// deformable is a convolution that reads each value at a place beside its own, times a factor, both predicted from x. The values are laid out as an
// image of kernel² values for each of x, over which an ordinary convolution steps; it is computed in bands, which bounds the memory.
// Upstream: DeformableConv2d; Zhu and others, "Deformable ConvNets v2".
func (w writer) deformable(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const band = 1 << 18 // places that are read at once
	regular := s.At("regular_conv")
	k := kernel(regular)
	h, width := x.Dim(2).N, x.Dim(3).N
	grid := w.places(w.conv(s.At("offset_conv"), x, k/2), k)
	factors := w.Mul(w.Sigmoid(w.conv(s.At("modulator_conv"), x, k/2)), w.Const(2))
	factors = w.Reshape(factors, d1, onnx.D(k), onnx.D(k), onnx.D(h), onnx.D(width))
	factors = w.Reshape(w.Transpose(factors, 0, 3, 1, 4, 2), d1, d1, onnx.D(h*k), onnx.D(width*k))
	rows := min(max(band/(k*k*width), 1), h)
	var parts []*onnx.Value
	for from := 0; from < h; from += rows {
		to := min(from+rows, h)
		read := w.GridSample(x, w.Slice(grid, 1, from*k, to*k), false, onnx.Zeros)
		read = w.Mul(read, w.Slice(factors, 2, from*k, to*k))
		parts = append(parts, w.ConvND(regular, read, out(regular), []int{k, k}, 1, onnx.WindowND{Stride: []int{k, k}}))
	}
	return w.Concat(2, parts...)
}

// places are the places [1,H·k,W·k,2] that a deformable convolution reads, across and down in -1…1, for its offsets [1,2·k²,H,W]: down and across, in
// pixels. They are computed in float32.
func (w writer) places(offsets *onnx.Value, k int) *onnx.Value {
	h, width := offsets.Dim(2).N, offsets.Dim(3).N
	apart := w.Reshape(w.asFloats(offsets), d1, onnx.D(k), onnx.D(k), onnx.D(2), onnx.D(h), onnx.D(width))
	apart = w.Reshape(w.Transpose(apart, 0, 4, 1, 5, 2, 3), d1, onnx.D(h*k), onnx.D(width*k), onnx.D(2))
	parts := w.Split(apart, 3, 1, 1)
	base := func(n int) []float32 { // the places without offsets, of which an edge of the image is at -1 or 1
		list := make([]float32, n*k)
		for i := range list {
			list[i] = float32(float64(2*(i/k+i%k-k/2)+1)/float64(n) - 1)
		}
		return list
	}
	scaled := func(part *onnx.Value, n int, shape ...int) *onnx.Value {
		return w.Add(w.Mul(part, w.Floats([]float32{2 / float32(n)}, 1)), w.Floats(base(n), shape...))
	}
	return w.Concat(3, scaled(parts[1], width, 1, 1, width*k, 1), scaled(parts[0], h, 1, h*k, 1, 1))
}

// backbone writes a Swin transformer and returns the features of its stages. Upstream: SwinTransformer.
func (w writer) backbone(s *weights.Scope, x *onnx.Value) []*onnx.Value {
	x = w.Conv2d(s.At("patch_embed.proj"), x, w.stages[0].width, patch, onnx.Window{Stride: patch})
	x = w.Transpose(x, 0, 2, 3, 1)
	if norm := s.At("patch_embed.norm"); norm.Has("weight") {
		x = w.norm(norm, x)
	}
	var out []*onnx.Value
	for i, z := range w.stages {
		layer := s.At("layers").Index(i)
		for k := range z.depth {
			x = w.attendAndFeed(layer.At("blocks").Index(k), x, z, k%2*(z.window/2))
		}
		out = append(out, w.Transpose(w.norm(s.At(fmt.Sprint("norm", i)), x), 0, 3, 1, 2))
		if i < stages-1 {
			x = w.merged(layer.At("downsample"), x, w.stages[i+1].width)
		}
	}
	return out
}

// merged joins each four tokens to one. Upstream: PatchMerging.
func (w writer) merged(s *weights.Scope, x *onnx.Value, width int) *onnx.Value {
	x = w.padded(x, 2)
	two, h, across, c := onnx.D(2), onnx.D(x.Dim(1).N/2), onnx.D(x.Dim(2).N/2), x.Dim(3)
	x = w.Transpose(w.Reshape(x, d1, h, two, across, two, c), 0, 1, 3, 4, 2, 5)
	x = w.Reshape(x, d1, h, across, c.Times(onnx.D(4)))
	return w.Linear(s.At("reduction"), w.norm(s.At("norm"), x), width)
}

// attendAndFeed is attention in windows that are shifted by a number of cells, and a feed-forward layer. Upstream: SwinTransformerBlock.
func (w writer) attendAndFeed(s *weights.Scope, x *onnx.Value, z stage, shift int) *onnx.Value {
	h, width := x.Dim(1).N, x.Dim(2).N
	y := w.padded(w.norm(s.At("norm1"), x), z.window)
	y = w.rolled(y, shift, shift)
	rows, columns, cells := y.Dim(1).N/z.window, y.Dim(2).N/z.window, z.window*z.window
	window, c := onnx.D(z.window), onnx.D(z.width)
	y = w.Transpose(w.Reshape(y, d1, onnx.D(rows), window, onnx.D(columns), window, c), 0, 1, 3, 2, 4, 5)
	y = w.attention(s.At("attn"), w.Reshape(y, onnx.D(rows*columns), onnx.D(cells), c), z, partition{rows, columns, z.window}, shift > 0)
	y = w.Transpose(w.Reshape(y, d1, onnx.D(rows), onnx.D(columns), window, window, c), 0, 1, 3, 2, 4, 5)
	y = w.Reshape(y, d1, onnx.D(rows*z.window), onnx.D(columns*z.window), c)
	if shift > 0 {
		y = w.rolled(y, y.Dim(1).N-shift, y.Dim(2).N-shift)
	}
	x = w.Add(x, w.Slice(w.Slice(y, 1, 0, h), 2, 0, width))
	mlp := s.At("mlp")
	return w.Add(x, w.Linear(mlp.At("fc2"), w.Gelu(w.Linear(mlp.At("fc1"), w.norm(s.At("norm2"), x), out(mlp.At("fc1"))), false), z.width))
}

// attention is that of tokens x [windows,N,C] inside each window. Those that the shift brought into a window from other sides of the image are hidden
// from each other. Upstream: WindowAttention.
func (w writer) attention(s *weights.Scope, x *onnx.Value, z stage, p partition, shifted bool) *onnx.Value {
	cells := z.window * z.window
	bias := w.Table(s.Weight(biasName, 1, z.heads, cells, cells))
	if shifted {
		bias = w.Add(bias, w.hidden(p))
	}
	q := w.Split(w.Linear(s.At("qkv"), x, 3*z.width), 2, z.width, z.width, z.width)
	y := w.Attend(q[0], q[1], q[2], onnx.Attention{Heads: z.heads, Scale: float32(1 / math.Sqrt(float64(z.width/z.heads))), Bias: bias})
	return w.Linear(s.At("proj"), y, z.width)
}

// partition is an image in windows: their numbers, and their side in cells.
type partition struct{ rows, columns, window int }

// input is the name of the input that has the regions of a partition.
func (p partition) input() string {
	return fmt.Sprintf("regions %d %d %d", p.rows, p.columns, p.window)
}

// regions number the parts of a shifted image that were neighbours before, for each cell of each window.
func (p partition) regions() []float32 {
	number := func(i, windows int) int {
		switch n := windows * p.window; {
		case i < n-p.window:
			return 0
		case i < n-p.window/2:
			return 1
		}
		return 2
	}
	cells := p.window * p.window
	out := make([]float32, p.rows*p.columns*cells)
	for i := range out {
		at, cell := i/cells, i%cells
		y, x := at/p.columns*p.window+cell/p.window, at%p.columns*p.window+cell%p.window
		out[i] = float32(3*number(y, p.rows) + number(x, p.columns))
	}
	return out
}

// hidden is the bias [windows,1,N,N] that hides cells of other regions. The regions are an input: ONNX Runtime would fold a sum of constants and
// weights before there are weights.
func (w writer) hidden(p partition) *onnx.Value {
	if v, ok := w.masks[p]; ok {
		return v
	}
	const far = -100
	n, cells := onnx.D(p.rows*p.columns), p.window*p.window
	regions := dit.Input(w.Builder, p.input(), n, onnx.D(cells))
	apart := w.Abs(w.Sub(w.Unsqueeze(regions, 1, 2), w.Unsqueeze(regions, 1, 3)))
	v := w.Mul(w.Min(apart, w.Const(1)), w.Const(far))
	w.masks[p] = v
	return v
}

// padded adds zeros behind the rows and columns of tokens x [1,H,W,C], up to multiples of n.
func (w writer) padded(x *onnx.Value, n int) *onnx.Value {
	down, across := -x.Dim(1).N%n, -x.Dim(2).N%n
	if down == 0 && across == 0 {
		return x
	}
	return w.PadAxes(x, onnx.Zeros, []int{0, 0, 0, 0}, []int{0, (down + n) % n, (across + n) % n, 0})
}

// rolled moves the first rows and columns of tokens x [1,H,W,C] behind the others.
func (w writer) rolled(x *onnx.Value, rows, columns int) *onnx.Value {
	for axis, n := range []int{1: rows, 2: columns} {
		if n > 0 {
			x = w.Concat(axis, w.Slice(x, axis, n, x.Dim(axis).N), w.Slice(x, axis, 0, n))
		}
	}
	return x
}

// asFloats is x in float32.
func (w writer) asFloats(x *onnx.Value) *onnx.Value { return w.Cast(x, dtype.F32) }

// norm is the layer norm at s over the last axis.
func (w writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.LayerNorm(s, x, epsilon) }

// out is the number of channels that the layer at s makes; kernel is the side of its kernel. A missing layer is reported when it is written.
func out(s *weights.Scope) int { return dim(s, 0) }

func kernel(s *weights.Scope) int { return dim(s, 2) }

func dim(s *weights.Scope, axis int) int {
	if shape := s.Shape("weight"); axis < len(shape) {
		return max(shape[axis], 1)
	}
	return 1
}

// conv is the convolution at s with zeros around x.
func (w writer) conv(s *weights.Scope, x *onnx.Value, pad int) *onnx.Value {
	return w.Conv2d(s, x, out(s), kernel(s), onnx.Window{Stride: 1, Pads: [4]int{pad, pad, pad, pad}})
}

// resized interpolates between the pixels of x, with the corners in one place.
func (w writer) resized(x *onnx.Value, h, width int) *onnx.Value {
	if x.Dim(2).Is(h) && x.Dim(3).Is(width) {
		return x
	}
	return w.ResizeTo(x, onnx.Corners, x.Dim(0), x.Dim(1), onnx.D(h), onnx.D(width))
}

// like is x in the size of another image.
func (w writer) like(x, other *onnx.Value) *onnx.Value {
	return w.resized(x, other.Dim(2).N, other.Dim(3).N)
}
