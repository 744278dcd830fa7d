package dit

import (
	"fmt"

	"comfygo/engine/tensor"
)

// WrapVideo extends a latent [N,C,T,H,W] circularly to multiples of a patch with the given frames and side. Upstream:
// common_dit.pad_to_patch_size.
func WrapVideo(x *tensor.Tensor, frames, side int) (*tensor.Tensor, error) {
	if len(x.Shape) != 5 || x.Len() == 0 {
		return nil, fmt.Errorf("cutting %v into patches: it has to have five axes", x.Shape)
	}
	planes, err := x.Reshape(x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3), x.Dim(4))
	if err != nil {
		return nil, err
	}
	if planes, err = tensor.WrapTo(planes, side); err != nil {
		return nil, err
	}
	if x, err = planes.Reshape(x.Dim(0), x.Dim(1), x.Dim(2), planes.Dim(2), planes.Dim(3)); err != nil {
		return nil, err
	}
	t := x.Dim(2)
	total := (t + frames - 1) / frames * frames
	if total == t {
		return x, nil
	}
	out, size := tensor.New(x.Dim(0), x.Dim(1), total, x.Dim(3), x.Dim(4)), x.Dim(3)*x.Dim(4)
	for plane := range x.Dim(0) * x.Dim(1) {
		for f := range total {
			copy(out.Data[(plane*total+f)*size:(plane*total+f+1)*size], x.Data[(plane*t+f%t)*size:])
		}
	}
	return out, nil
}

// CutVideo returns the first frames, rows and columns of a latent [N,C,T,H,W], those of a shape.
func CutVideo(x *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(x.Shape) != 5 || len(shape) != 5 || x.Dim(2) < shape[2] || x.Dim(3) < shape[3] || x.Dim(4) < shape[4] {
		return nil, fmt.Errorf("cutting %v to %v", x.Shape, shape)
	}
	t, h, w := shape[2], shape[3], shape[4]
	out := tensor.New(x.Dim(0), x.Dim(1), t, h, w)
	for plane := range x.Dim(0) * x.Dim(1) {
		for f := range t {
			for row := range h {
				copy(out.Data[((plane*t+f)*h+row)*w:][:w], x.Data[((plane*x.Dim(2)+f)*x.Dim(3)+row)*x.Dim(4):])
			}
		}
	}
	return out, nil
}
