package triposplat

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&TripoSplatPreprocessImage{}) }

// TripoSplatPreprocessImage cuts objects out of images.
type TripoSplatPreprocessImage struct {
	Image       *tensor.Tensor `in:"image" type:"IMAGE"`
	Mask        *tensor.Tensor `in:"mask" type:"MASK" tooltip:"Where the object is."`
	ErodeRadius int            `in:"erode_radius" default:"1" min:"0" max:"16" tooltip:"Pixels that are taken off the edge of the object, so that none of the background is left."`
	Size        int            `in:"size" default:"1024" min:"256" max:"4096" step:"16" tooltip:"Side of the square image. The model was trained with 1024."`
}

// Spec implements nodes.Node.
func (*TripoSplatPreprocessImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TripoSplatPreprocessImage", DisplayName: "TripoSplat Preprocess Image", Category: category, Module: module, V3: true,
		Description: "Cuts the object of each image out and puts it into the middle of a black square.",
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "image"}},
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*TripoSplatPreprocessImage) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *TripoSplatPreprocessImage) Run(ctx *nodes.Context) (nodes.Result, error) {
	const stride = 16 // of both encoders
	size := max(n.Size/stride*stride, stride)
	if !isImage(n.Image) {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input image: it is not an image batch [B,H,W,C] with at least one pixel and three channels")
	}
	if m := n.Mask; m == nil || len(m.Shape) != 3 || m.Len() == 0 || m.Len() != len(m.Data) {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input mask: it is not a batch of masks [B,H,W] with at least one pixel")
	}
	b, h, w := n.Image.Dim(0), n.Image.Dim(1), n.Image.Dim(2)
	if err := imaging.CheckSize("images of objects", b, size, size, rgb); err != nil {
		return nodes.Result{}, err
	}
	mask := &tensor.Tensor{Shape: []int{n.Mask.Dim(0), 1, n.Mask.Dim(1), n.Mask.Dim(2)}, Data: n.Mask.Data}
	if n.Mask.Dim(1) != h || n.Mask.Dim(2) != w {
		var err error
		if mask, err = imaging.Upscale(mask, w, h, "bilinear", ""); err != nil {
			return nodes.Result{}, err
		}
	}
	out := tensor.New(b, size, size, rgb)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		it, err := object(n.Image.Index(i), mask.Index(i%mask.Dim(0)), n.ErodeRadius, size)
		if err != nil {
			return nodes.Result{}, err
		}
		copy(out.Index(i).Data, it.Data)
		ctx.Progress(float64(i+1), float64(b))
	}
	return nodes.Out(out), nil
}

// clamped is v in 0…1; NaN is 0.
func clamped(v float32) float32 {
	if v != v {
		return 0
	}
	return min(max(v, 0), 1)
}

const withAlpha = 4

// object cuts an image [H,W,C] by its mask [1,H,W]: the object fills five sixths of a square [size,size,3]. Upstream: nodes_triposplat.py _preprocess.
func object(image, mask *tensor.Tensor, erode, size int) (*tensor.Tensor, error) {
	h, w, c := image.Dim(0), image.Dim(1), image.Dim(2)
	x := tensor.New(1, withAlpha, h, w)
	for i := range h * w {
		for k := range rgb {
			x.Data[k*h*w+i] = clamped(image.Data[i*c+k])
		}
		x.Data[rgb*h*w+i] = clamped(mask.Data[i])
	}
	scale := float64(size) / float64(min(w, h))
	side := func(n int) int { return max(int(math.RoundToEven(float64(n)*scale)), 1) }
	x, err := scaled(x, side(w), side(h))
	if err != nil {
		return nil, err
	}
	h, w = x.Dim(2), x.Dim(3)
	alpha := x.Data[rgb*h*w:]
	if erode > 0 {
		copy(alpha, eroded(alpha, h, w, erode))
	}
	square, err := around(alpha, h, w)
	if err != nil {
		return nil, err
	}
	if x, err = scaled(square.cut(x), size, size); err != nil {
		return nil, err
	}
	out := tensor.New(size, size, rgb)
	area := size * size
	for i := range area {
		for k := range rgb {
			out.Data[i*rgb+k] = x.Data[k*area+i] * x.Data[rgb*area+i]
		}
	}
	return out, nil
}

// scaled is an image [1,4,H,W] in another size, in 0…1.
func scaled(x *tensor.Tensor, w, h int) (*tensor.Tensor, error) {
	y, err := imaging.Upscale(x, w, h, "lanczos", "")
	if err != nil {
		return nil, nodes.Errorf("ValueError", "scaling an image of %dx%d pixels: %w", x.Dim(3), x.Dim(2), err)
	}
	for i, v := range y.Data {
		y.Data[i] = clamped(v)
	}
	return y, nil
}

// eroded is the least value around each pixel of a mask [h,w].
func eroded(mask []float32, h, w, radius int) []float32 {
	rows, out := make([]float32, len(mask)), make([]float32, len(mask))
	for y := range h {
		for x := range w {
			least := mask[y*w+x]
			for k := max(x-radius, 0); k <= min(x+radius, w-1); k++ {
				least = min(least, mask[y*w+k])
			}
			rows[y*w+x] = least
		}
	}
	for y := range h {
		for x := range w {
			least := rows[y*w+x]
			for k := max(y-radius, 0); k <= min(y+radius, h-1); k++ {
				least = min(least, rows[k*w+x])
			}
			out[y*w+x] = least
		}
	}
	return out
}

// rectangle is a part of an image, which may reach beyond it.
type rectangle struct{ left, upper, right, lower int }

// around is a square around what a mask [h,w] shows, a fifth larger.
func around(mask []float32, h, w int) (rectangle, error) {
	const larger = 1.2
	x0, y0, x1, y1 := w, h, -1, -1
	for i, v := range mask {
		if v > 0 {
			x0, x1, y0, y1 = min(x0, i%w), max(x1, i%w), min(y0, i/w), max(y1, i/w)
		}
	}
	if x1 < 0 {
		return rectangle{}, nodes.Errorf("ValueError", "cutting an object out: the mask shows none: give a mask of the object, or a smaller erode_radius")
	}
	cx, cy := float64(x0+x1)/2, float64(y0+y1)/2
	half := float64(max(x1-x0, y1-y0)) / 2 * larger
	r := rectangle{int(cx - half), int(cy - half), int(cx + half), int(cy + half)}
	if r.right <= r.left || r.lower <= r.upper {
		return rectangle{}, nodes.Errorf("ValueError", "cutting an object out: the mask shows a single pixel: give a mask of the object, or a smaller erode_radius")
	}
	return r, nil
}

// cut is that part of x [1,C,H,W], with zeros beyond it.
func (r rectangle) cut(x *tensor.Tensor) *tensor.Tensor {
	h, w := x.Dim(2), x.Dim(3)
	out := tensor.New(1, x.Dim(1), r.lower-r.upper, r.right-r.left)
	from, to := max(r.left, 0), min(r.right, w)
	for c := range x.Dim(1) {
		for y := max(r.upper, 0); y < min(r.lower, h); y++ {
			if to > from {
				copy(out.Data[(c*out.Dim(2)+y-r.upper)*out.Dim(3)+from-r.left:], x.Data[(c*h+y)*w+from:(c*h+y)*w+to])
			}
		}
	}
	return out
}
