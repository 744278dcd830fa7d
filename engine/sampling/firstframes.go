package sampling

import (
	"fmt"

	"comfygo/engine/tensor"
)

// FirstFrames are the first frames of a video: the network reads them in place of those of the noisy latent, at every sigma. Upstream:
// InfiniteTalkOuterSampleWrapper, MultiTalkApplyModelWrapper.
type FirstFrames struct {
	// Latent is [1,C,T,h,w] in the VAE's space.
	Latent *tensor.Tensor
	// Results has the result begin with them, too.
	Results bool
}

// WithFirstFrames returns the hooks with first frames in place of the former ones.
func (h Hooks) WithFirstFrames(f FirstFrames) Hooks {
	h.First = &f
	return h
}

// beginning is a copy of a video latent x [N,C,T,h,w] that begins with the frames of first [1,C,·,h,w], in each row.
func beginning(x, first *tensor.Tensor) (*tensor.Tensor, error) {
	if len(x.Shape) != 5 || len(first.Shape) != 5 || first.Dim(0) != 1 || first.Dim(1) != x.Dim(1) || first.Dim(2) > x.Dim(2) || first.Dim(3) != x.Dim(3) || first.Dim(4) != x.Dim(4) {
		return nil, fmt.Errorf("sampling: the first frames have shape %v, the latent %v: both have to be of one size, and the latent longer; areas do not go with them", first.Shape, x.Shape)
	}
	out := x.Clone()
	size := x.Dim(3) * x.Dim(4)
	own, given := x.Dim(2)*size, first.Dim(2)*size
	for plane := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[plane*own:][:own], first.Data[plane%x.Dim(1)*given:][:given])
	}
	return out, nil
}
