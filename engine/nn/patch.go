package nn

import "comfygo/engine/onnx"

// PatchOrder is the order of a patch's elements within a token.
type PatchOrder int

const (
	// ChannelsFirst orders by channel, then by position in the patch: einops "(c ph pw)".
	ChannelsFirst PatchOrder = iota
	// ChannelsLast orders by position in the patch, then by channel: einops "(ph pw c)".
	ChannelsLast
)

// Patchify cuts the spatial axes of x [B,C,…] into patches of the given sizes, each of which becomes a token: the result
// is [B,S,C·p], where S counts the patches in row-major order and p is the size of a patch. That the patches divide the
// sizes must show in the expressions: declare an axis as onnx.Sym("h").Times(onnx.D(2)).
func (b *Builder) Patchify(x *onnx.Value, order PatchOrder, patch ...int) *onnx.Value {
	n := len(patch)
	if x.Rank() != n+2 {
		b.Fail("Patchify", "%v in patches %v", x.Shape, patch)
	}
	apart := onnx.Shape{x.Dim(0), x.Dim(1)}
	perm := []int{0}
	tokens := onnx.D(1)
	for i, p := range patch {
		grid, ok := x.Dim(i + 2).Quotient(onnx.D(p))
		if !ok {
			b.Fail("Patchify", "%v is not divisible into patches %v", x.Shape, patch)
		}
		apart = append(apart, grid, onnx.D(p))
		perm = append(perm, 2+2*i)
		tokens = tokens.Times(grid)
	}
	perm = append(perm, inPatch(order, n)...)
	return b.Reshape(b.Transpose(b.Reshape(x, apart...), perm...), x.Dim(0), tokens, onnx.Infer)
}

// Unpatchify is the inverse of Patchify: tokens [B,S,C·p] become [B,C,sizes…].
func (b *Builder) Unpatchify(x *onnx.Value, order PatchOrder, patch []int, sizes ...onnx.Dim) *onnx.Value {
	n := len(patch)
	if x.Rank() != 3 || len(sizes) != n {
		b.Fail("Unpatchify", "%v in patches %v to sizes %v", x.Shape, patch, sizes)
	}
	volume := 1
	for _, p := range patch {
		volume *= p
	}
	channels, ok := x.Dim(2).Quotient(onnx.D(volume))
	if !ok {
		b.Fail("Unpatchify", "the width of %v is not divisible by patches %v", x.Shape, patch)
	}
	apart := onnx.Shape{x.Dim(0)}
	for i, p := range patch {
		grid, ok := sizes[i].Quotient(onnx.D(p))
		if !ok {
			b.Fail("Unpatchify", "sizes %v are not divisible into patches %v", sizes, patch)
		}
		apart = append(apart, grid)
	}
	within := make(onnx.Shape, 0, n+1)
	for _, p := range patch {
		within = append(within, onnx.D(p))
	}
	if order == ChannelsFirst {
		within = append(onnx.Shape{channels}, within...)
	} else {
		within = append(within, channels)
	}
	perm := make([]int, 2*n+2)
	for to, from := range append(append([]int{0}, gridFirst(n)...), inPatch(order, n)...) {
		perm[from] = to
	}
	return b.Reshape(b.Transpose(b.Reshape(x, append(apart, within...)...), perm...), append(onnx.Shape{x.Dim(0), channels}, sizes...)...)
}

// gridFirst are the axes of the grid in [B,C,g1,p1,g2,p2,…].
func gridFirst(n int) []int {
	axes := make([]int, n)
	for i := range axes {
		axes[i] = 2 + 2*i
	}
	return axes
}

// inPatch are the axes within a patch in [B,C,g1,p1,g2,p2,…], in the order of a token's elements.
func inPatch(order PatchOrder, n int) []int {
	var axes []int
	for i := range n {
		axes = append(axes, 3+2*i)
	}
	if order == ChannelsFirst {
		return append([]int{1}, axes...)
	}
	return append(axes, 1)
}
