package dit

import (
	"fmt"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// Frames returns a latent [N,C,T,H,W] as T latents [N,C,H,W].
func Frames(x *tensor.Tensor) []*tensor.Tensor {
	n, c, t, size := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)*x.Dim(4)
	out := make([]*tensor.Tensor, t)
	for i := range out {
		out[i] = tensor.New(n, c, x.Dim(3), x.Dim(4))
		for plane := range n * c {
			copy(out[i].Data[plane*size:(plane+1)*size], x.Data[(plane*t+i)*size:])
		}
	}
	return out
}

// JoinTokens joins tokens [N,·,W] one after the other.
func JoinTokens(parts ...*tensor.Tensor) *tensor.Tensor {
	if len(parts) == 1 {
		return parts[0]
	}
	total := 0
	for _, p := range parts {
		total += p.Dim(1)
	}
	out := tensor.New(parts[0].Dim(0), total, parts[0].Dim(2))
	for b := range out.Dim(0) {
		to := out.Index(b).Data
		for _, p := range parts {
			to = to[copy(to, p.Index(b).Data):]
		}
	}
	return out
}

// PatchifyFrames cuts the frames of a latent [N,C,T,H,W] into tokens [N,T·S,C·p·p], frame after frame; see Patchify. The
// grid is that of one frame.
func PatchifyFrames(x *tensor.Tensor, patch int, order tensor.PatchOrder) (*tensor.Tensor, Grid, error) {
	if len(x.Shape) != 5 {
		return nil, Grid{}, fmt.Errorf("cutting %v into patches: it has to have five axes", x.Shape)
	}
	var parts []*tensor.Tensor
	for _, f := range Frames(x) {
		t, _, err := Patchify(f, patch, order)
		if err != nil {
			return nil, Grid{}, err
		}
		parts = append(parts, t)
	}
	if len(parts) == 0 {
		return nil, Grid{}, fmt.Errorf("cutting %v into patches: it has no frames", x.Shape)
	}
	return JoinTokens(parts...), GridOf(x.Shape, patch), nil
}

// UnpatchifyFrames is the inverse of PatchifyFrames for a latent of the given shape: tokens [N,T·S,C·p·p] become
// [N,C,T,H,W].
func UnpatchifyFrames(tokens *tensor.Tensor, patch int, order tensor.PatchOrder, shape []int) (*tensor.Tensor, error) {
	out := tensor.New(shape...)
	n, c, t, size := shape[0], shape[1], shape[2], shape[3]*shape[4]
	grid := GridOf(shape, patch)
	each := grid.Tokens() * tokens.Dim(2)
	if len(tokens.Shape) != 3 || tokens.Dim(0) != n || tokens.Dim(1) < t*grid.Tokens() || tokens.Dim(2) != c*patch*patch {
		return nil, fmt.Errorf("joining tokens %v to a latent of shape %v in patches of %d: they do not fit", tokens.Shape, shape, patch)
	}
	for i := range t {
		part := tensor.New(n, grid.Tokens(), tokens.Dim(2))
		for b := range n {
			copy(part.Index(b).Data, tokens.Index(b).Data[i*each:(i+1)*each])
		}
		frame, err := Unpatchify(part, grid, order)
		if err != nil {
			return nil, err
		}
		for plane := range n * c {
			copy(out.Data[(plane*t+i)*size:(plane*t+i+1)*size], frame.Data[plane*size:])
		}
	}
	return out, nil
}

// FramesOf returns the number of frames of latents of a shape, 1 for those without a time axis.
func FramesOf(shape []int) int {
	if len(shape) == 5 {
		return shape[2]
	}
	return 1
}

// Video shows a latent of an image [N,C,H,W] as one of a single frame [N,C,1,H,W]; others are returned as they are.
func Video(x *tensor.Tensor) *tensor.Tensor {
	if len(x.Shape) == 4 {
		return &tensor.Tensor{Shape: []int{x.Dim(0), x.Dim(1), 1, x.Dim(2), x.Dim(3)}, Data: x.Data}
	}
	return x
}

// GivenCells inverts a mask [N,C,T,H,W] of the generated cells for latents of a shape: its first channel, scaled to the
// latent. Missing frames are generated. Upstream: concat_cond of Kandinsky5 and HunyuanVideo15.
func GivenCells(mask *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(mask.Shape) != 5 || mask.Len() == 0 || len(shape) != 5 {
		return nil, fmt.Errorf("reading the mask of given frames: shape %v does not fit latents of shape %v", mask.Shape, shape)
	}
	one := tensor.New(append([]int{mask.Dim(0), 1}, mask.Shape[2:]...)...)
	for b := range mask.Dim(0) {
		for i, v := range mask.Index(b).Index(0).Data {
			one.Data[b*tensor.Count(mask.Shape[2:])+i] = 1 - v
		}
	}
	fitted, err := sampling.FitLatent(one, append([]int{shape[0], 1, mask.Dim(2)}, shape[3:]...))
	if err != nil {
		return nil, err
	}
	out := tensor.New(append([]int{shape[0], 1}, shape[2:]...)...)
	for b := range shape[0] {
		copy(out.Index(b).Data, fitted.Index(b).Data)
	}
	return out, nil
}
