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

// GridOf returns the patches that cover a latent [N,C,H,W].
func GridOf(x *tensor.Tensor, patch int) Grid {
	h, w := x.Dim(-2), x.Dim(-1)
	return Grid{Height: (h + patch - 1) / patch, Width: (w + patch - 1) / patch, H: h, W: w, Patch: patch}
}

// Patchify cuts a latent x [N,C,H,W] into tokens [N,S,C·p·p], each ordered by channel, then by position in the patch.
// Sizes that the patch does not divide are continued from the other side (upstream: common_dit.pad_to_patch_size, whose
// padding is circular).
func Patchify(x *tensor.Tensor, patch int) (*tensor.Tensor, Grid) {
	g := GridOf(x, patch)
	n, c := x.Dim(0), x.Dim(1)
	out := tensor.New(n, g.Tokens(), c*patch*patch)
	at := 0
	for b := range n {
		row := x.Index(b).Data
		for token := range g.Tokens() {
			top, left := token/g.Width*patch, token%g.Width*patch
			for ch := range c {
				plane := row[ch*g.H*g.W:]
				for i := range patch * patch {
					out.Data[at] = plane[(top+i/patch)%g.H*g.W+(left+i%patch)%g.W]
					at++
				}
			}
		}
	}
	return out, g
}

// Unpatchify is the inverse of Patchify: the first g.Tokens() of each row of tokens [N,S,C·p·p] become [N,C,H,W].
func Unpatchify(tokens *tensor.Tensor, g Grid) *tensor.Tensor {
	area := g.Patch * g.Patch
	n, width := tokens.Dim(0), tokens.Dim(2)
	out := tensor.New(n, width/area, g.H, g.W)
	for b := range n {
		from, to := tokens.Index(b).Data, out.Index(b).Data
		for token := range g.Tokens() {
			top, left := token/g.Width*g.Patch, token%g.Width*g.Patch
			for e := range width {
				y, x := top+e%area/g.Patch, left+e%g.Patch
				if y < g.H && x < g.W {
					to[(e/area*g.H+y)*g.W+x] = from[token*width+e]
				}
			}
		}
	}
	return out
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
