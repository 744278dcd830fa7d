package image

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageCropToMask{})
}

// ImageCropToMask crops an image to the area of a mask.
type ImageCropToMask struct {
	Images     *tensor.Tensor `in:"images" type:"IMAGE"`
	Masks      *tensor.Tensor `in:"masks" type:"MASK"`
	Width      int            `in:"width" default:"1024" min:"64" max:"4096" step:"8" tooltip:"Width of the result in pixels."`
	Height     int            `in:"height" default:"1024" min:"64" max:"4096" step:"8" tooltip:"Height of the result in pixels."`
	PadFactor  float64        `in:"pad_factor" default:"1.0" min:"1.0" max:"2.0" step:"0.01" tooltip:"Size of the cut as a multiple of the box around the mask."`
	GrowMask   int            `in:"grow_mask" default:"0" min:"-32" max:"32" step:"1" tooltip:"Pixels by which the mask grows, or shrinks below 0, before cropping."`
	Background any            `in:"background" type:"COLOR" default:"#000000" socketless:"true" tooltip:"Color outside of the mask."`
}

// Spec implements nodes.Node.
func (*ImageCropToMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCropToMask", DisplayName: "Crop Image to Mask", Category: "image/transform",
		Module: "comfy_extras.nodes_images", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}},
		SearchAliases: []string{"crop to mask", "mask crop", "crop mask", "mask crop resize", "crop mask resize", "trellis2", "pixal3d"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ImageCropToMask) Sizes(s *nodes.Sizing) nodes.Images {
	return s.In.Of(s.Number("width"), s.Number("height"))
}

// Run implements nodes.Node. The subject is centered, of the output's proportions, and black lies beyond the image's edges.
func (n *ImageCropToMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Images) || n.Images.Shape[3] < 3 || !isMask(n.Masks) {
		return nodes.Result{}, errNoImage("images or masks")
	}
	const mostGrown = 1 << 10
	if n.Width < 1 || n.Height < 1 || !(n.PadFactor > 0 && n.PadFactor <= 1<<10) || n.GrowMask < -mostGrown || n.GrowMask > mostGrown {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping to a mask: the size is %dx%d, pad_factor %g, grow_mask %d", n.Width, n.Height, n.PadFactor, n.GrowMask)
	}
	b, h, w := n.Images.Shape[0], n.Images.Shape[1], n.Images.Shape[2]
	if n.Masks.Shape[0] != b && n.Masks.Shape[0] != 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping to a mask: %d masks for %d images", n.Masks.Shape[0], b)
	}
	masks := n.Masks
	if masks.Shape[1] != h || masks.Shape[2] != w {
		var err error
		if masks, err = imaging.ResizeMask(masks, h, w); err != nil {
			return nodes.Result{}, err
		}
	}
	if err := imaging.CheckSize("crops", b, n.Height, n.Width, 3); err != nil {
		return nodes.Result{}, err
	}
	color, _ := n.Background.(string)
	s := subject{ImageCropToMask: n, background: hexColor(color)}
	out := tensor.New(b, n.Height, n.Width, 3)
	for i := range b {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		image := imaging.WithChannels(n.Images.Slice(i, i+1), 3, 0)
		k := min(i, masks.Shape[0]-1)
		if err := s.crop(ctx, out.Slice(i, i+1), image, masks.Slice(k, k+1)); err != nil {
			return nodes.Result{}, fmt.Errorf("cropping image %d to its mask: %w", i, err)
		}
	}
	return nodes.Out(out), nil
}

// subject cuts one image after the other.
type subject struct {
	*ImageCropToMask

	background [3]float32
}

// least is the value from which on a mask counts at all.
const leastMask = 0.05

func (s subject) crop(ctx context.Context, out, image, mask *tensor.Tensor) error {
	image, mask = clamped(image), upright(clamped(mask))
	h, w := image.Shape[1], image.Shape[2]
	mask, err := s.grown(ctx, mask)
	if err != nil {
		return err
	}
	for i, v := range mask.Data {
		if v < leastMask {
			mask.Data[i] = 0
		}
	}
	if most := max(s.Width, s.Height); max(h, w) > most {
		scale := float64(most) / float64(max(h, w))
		w, h = int(float64(w)*scale), int(float64(h)*scale)
		if image, err = imaging.UpscaleImageContext(ctx, image, w, h, "lanczos", "disabled"); err != nil {
			return err
		}
		if mask, err = imaging.UpscaleImageContext(ctx, grayToo(mask), w, h, "lanczos", "disabled"); err != nil {
			return err
		}
	}
	x1, y1, x2, y2 := s.box(mask, h, w)
	if err := imaging.CheckSize("a crop", y2-y1, x2-x1, 3); err != nil {
		return err
	}
	part := tensor.New(1, y2-y1, x2-x1, 3)
	for y := range y2 - y1 {
		for x := range x2 - x1 {
			to, from := part.Data[(y*(x2-x1)+x)*3:][:3], -1
			if sx, sy := x1+x, y1+y; sx >= 0 && sy >= 0 && sx < w && sy < h {
				from = sy*w + sx
			}
			for k := range to {
				to[k] = s.background[k]
				if from >= 0 {
					m := mask.Data[from]
					to[k] = unit(float32(image.Data[3*from+k]*m) + float32(s.background[k]*(1-m)))
				}
			}
		}
	}
	scaled, err := imaging.UpscaleImageContext(ctx, part, s.Width, s.Height, "lanczos", "disabled")
	if err != nil {
		return err
	}
	copy(out.Data, scaled.Data)
	return nil
}

// clamped is a copy with values in 0…1.
func clamped(t *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(t.Shape...)
	for i, v := range t.Data {
		out.Data[i] = unit(v)
	}
	return out
}

// upright inverts a mask [1,H,W] in place if its border is set and its middle is not.
func upright(mask *tensor.Tensor) *tensor.Tensor {
	h, w := mask.Shape[1], mask.Shape[2]
	var border, center float64
	for x := range w {
		border += float64(mask.Data[x]) + float64(mask.Data[(h-1)*w+x])
	}
	for y := range h {
		border += float64(mask.Data[y*w]) + float64(mask.Data[y*w+w-1])
	}
	for y := h / 4; y < h-h/4; y++ {
		for x := w / 4; x < w-w/4; x++ {
			center += float64(mask.Data[y*w+x])
		}
	}
	if border/float64(2*(h+w)) > 0.5 && center/float64((h-h/4*2)*(w-w/4*2)) < 0.5 {
		inverted(mask)
	}
	return mask
}

func inverted(t *tensor.Tensor) {
	for i, v := range t.Data {
		t.Data[i] = 1 - v
	}
}

func (s subject) grown(ctx context.Context, mask *tensor.Tensor) (*tensor.Tensor, error) {
	if s.GrowMask == 0 {
		return mask, nil
	}
	side := 2*max(s.GrowMask, -s.GrowMask) + 1
	out, err := imaging.Extreme(ctx, grayToo(mask), side, s.GrowMask < 0)
	if err != nil {
		return nil, err
	}
	return out.Reshape(mask.Shape...)
}

// box is the part to cut around what is set in a mask of h rows and w columns; the mask is inverted in place where only its
// inverse has something. An empty mask takes the whole image.
func (s subject) box(mask *tensor.Tensor, h, w int) (x1, y1, x2, y2 int) {
	left, top, right, bottom, ok := covered(mask.Data, w, func(v uint8) bool { return v > solid })
	if !ok {
		left, top, right, bottom, ok = covered(mask.Data, w, func(v uint8) bool { return 255-v > solid })
		if !ok {
			return 0, 0, w, h
		}
		inverted(mask)
	}
	aspect := float64(s.Width) / float64(s.Height)
	bw, bh := float64(right-left+1), float64(bottom-top+1)
	if bw/bh >= aspect {
		bh = bw / aspect
	} else {
		bw = bh * aspect
	}
	halfW, halfH := int(math.Ceil(math.Trunc(bw*s.PadFactor)/2)), int(math.Ceil(math.Trunc(bh*s.PadFactor)/2))
	x1, y1 = int(float64(left+right)/2-float64(halfW)), int(float64(top+bottom)/2-float64(halfH))
	return x1, y1, x1 + 2*halfW, y1 + 2*halfH
}

// solid is the 8-bit value above which a mask belongs to the subject.
const solid = 204

// covered returns the box around the pixels whose 8-bit values count.
func covered(values []float32, w int, counts func(v uint8) bool) (left, top, right, bottom int, ok bool) {
	left, top = math.MaxInt, math.MaxInt
	for i, v := range values {
		if !counts(uint8(unit(v) * 255)) {
			continue
		}
		x, y := i%w, i/w
		left, top, right, bottom, ok = min(left, x), min(top, y), max(right, x), max(bottom, y), true
	}
	return left, top, right, bottom, ok
}
