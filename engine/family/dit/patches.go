package dit

import "comfygo/engine/tensor"

// Grid is a latent in patches.
type Grid struct {
	// Height and Width are the numbers of patches, H and W the latent's own sizes, which the patches may exceed.
	Height, Width, H, W int
	// Patch is the side of a patch in latent cells.
	Patch int
}

// Tokens returns the number of patches.
func (g Grid) Tokens() int { return g.Height * g.Width }

// GridOf returns the patches that cover a latent [N,C,H,W] of a shape.
func GridOf(shape []int, patch int) Grid {
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	return Grid{Height: (h + patch - 1) / patch, Width: (w + patch - 1) / patch, H: h, W: w, Patch: patch}
}

// Patchify cuts a latent x [N,C,H,W] into tokens [N,S,C·p·p]. Sizes that the patch does not divide are continued from the
// other side, as upstream does.
func Patchify(x *tensor.Tensor, patch int, order tensor.PatchOrder) (*tensor.Tensor, Grid, error) {
	padded, err := tensor.WrapTo(x, patch)
	if err != nil {
		return nil, Grid{}, err
	}
	tokens, err := tensor.ToPatches(padded, patch, order)
	return tokens, GridOf(x.Shape, patch), err
}

// Unpatchify is the inverse of Patchify: the first g.Tokens() of each row of tokens [N,S,C·p·p] become [N,C,H,W].
func Unpatchify(tokens *tensor.Tensor, g Grid, order tensor.PatchOrder) (*tensor.Tensor, error) {
	x, err := tensor.FromPatches(tokens, g.Patch, order, g.Height*g.Patch, g.Width*g.Patch)
	if err != nil {
		return nil, err
	}
	return tensor.Crop(x, g.H, g.W)
}

// Channels joins latents [N,C,H,W] along their channels; the other sizes are equal.
func Channels(xs ...*tensor.Tensor) *tensor.Tensor {
	n, total := xs[0].Dim(0), 0
	for _, x := range xs {
		total += x.Dim(1)
	}
	out := tensor.New(append([]int{n, total}, xs[0].Shape[2:]...)...)
	for b := range n {
		to := out.Index(b).Data
		for _, x := range xs {
			to = to[copy(to, x.Index(b).Data):]
		}
	}
	return out
}

// FirstChannels returns the first c channels of a latent [N,C,…].
func FirstChannels(x *tensor.Tensor, c int) *tensor.Tensor {
	if x.Dim(1) == c {
		return x
	}
	out := tensor.New(append([]int{x.Dim(0), c}, x.Shape[2:]...)...)
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data)
	}
	return out
}
