package wan

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanVaceToVideo{})
}

// WanVaceToVideo gives conditionings of Wan VACE a control video, masks and a reference image.
type WanVaceToVideo struct {
	Positive       engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative       engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE            *engine.VAE         `in:"vae" type:"VAE"`
	Width          int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height         int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length         int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize      int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Strength       float64             `in:"strength" default:"1.0" min:"0.0" max:"1000.0" step:"0.01"`
	ControlVideo   *tensor.Tensor      `in:"control_video" type:"IMAGE" optional:"true"`
	ControlMasks   *tensor.Tensor      `in:"control_masks" type:"MASK" optional:"true"`
	ReferenceImage *tensor.Tensor      `in:"reference_image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanVaceToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanVaceToVideo", Category: "model/conditioning/wan/vace",
		Module: module, V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}, {Type: "INT", Name: "trim_latent"}},
		Uses:    nodes.UsesDevice, SearchAliases: []string{"video conditioning", "video control"},
	}
}

// Sizes implements nodes.Sizer.
func (*WanVaceToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *WanVaceToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	if n.Width%cell != 0 || n.Height%cell != 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "preparing a control video: %dx%d pixels are not multiples of %d", n.Width, n.Height, cell)
	}
	video, mask, err := n.parts(c)
	if err != nil {
		return nodes.Result{}, err
	}
	inactive, err := c.encode(ctx, masked(video, mask, false))
	if err != nil {
		return nodes.Result{}, err
	}
	reactive, err := c.encode(ctx, masked(video, mask, true))
	if err != nil {
		return nodes.Result{}, err
	}
	var reference *tensor.Tensor
	further := 0
	if n.ReferenceImage != nil {
		if err := c.check("reference_image", n.ReferenceImage); err != nil {
			return nodes.Result{}, err
		}
		if reference, err = c.encoded(ctx, "reference_image", n.ReferenceImage.Slice(0, 1)); err != nil {
			return nodes.Result{}, err
		}
		further = reference.Dim(2)
	}
	l, err := c.empty(n.BatchSize, further)
	if err != nil {
		return nodes.Result{}, err
	}
	s := l.Samples.Shape
	frames, err := blank([]int{1, s[1], further, s[3], s[4]}, 2)
	if err != nil {
		return nodes.Result{}, err
	}
	if reference != nil {
		if err := lay(frames, reference, 0); err != nil {
			return nodes.Result{}, err
		}
	}
	encoded := tensor.New(1, 2*s[1], inactive.Dim(2), s[3], s[4])
	for i, z := range []*tensor.Tensor{inactive, reactive} {
		if err := lay(encoded, z, i*s[1]); err != nil {
			return nodes.Result{}, err
		}
	}
	values := map[string][]any{
		"vace_frames": {behind(frames, encoded)}, "vace_mask": {behind(tensor.New(1, cell*cell, further, s[3], s[4]), n.cells(mask, c.frames()))}, "vace_strength": {n.Strength},
	}
	pos, neg := n.Positive, n.Negative
	for key, v := range values {
		pos, neg = pos.Append(key, v), neg.Append(key, v)
	}
	return nodes.Out(pos, neg, l, int64(further)), nil
}

// parts are the control video and its mask [T,1,H,W], which are gray and 1 where they end.
func (n *WanVaceToVideo) parts(c canvas) (video, mask *tensor.Tensor, err error) {
	if video, err = c.gray(n.Length); err != nil {
		return nil, nil, err
	}
	if n.ControlVideo != nil {
		frames, err := c.first("control_video", n.ControlVideo)
		if err != nil {
			return nil, nil, err
		}
		copy(video.Data, frames.Data)
	} else if err := c.check("control_video", video); err != nil {
		return nil, nil, err
	}
	mask = tensor.New(n.Length, 1, n.Height, n.Width)
	given := 0
	if m := n.ControlMasks; m != nil {
		if len(m.Shape) == 3 {
			m = &tensor.Tensor{Shape: []int{m.Dim(0), 1, m.Dim(1), m.Dim(2)}, Data: m.Data}
		}
		if len(m.Shape) != 4 || m.Dim(1) != 1 || m.Len() == 0 {
			return nil, nil, nodes.Errorf("ValueError", "preparing a control video: control_masks has the shape %v, wanted [batch, height, width]", m.Shape)
		}
		scaled, err := imaging.Upscale(m.Slice(0, min(m.Dim(0), n.Length)), n.Width, n.Height, "bilinear", "center")
		if err != nil {
			return nil, nil, fmt.Errorf("scaling control_masks: %w", err)
		}
		given = copy(mask.Data, scaled.Data)
	}
	for i := given; i < len(mask.Data); i++ {
		mask.Data[i] = 1
	}
	return video, mask, nil
}

// masked is the part of a video [T,H,W,3] that a mask marks, or the other one; the rest is gray.
func masked(video, mask *tensor.Tensor, marked bool) *tensor.Tensor {
	out := tensor.New(video.Shape...)
	for i, v := range video.Data {
		m := mask.Data[i/3]
		if !marked {
			m = 1 - m
		}
		out.Data[i] = float32((v-0.5)*m) + 0.5
	}
	return out
}

// cells are the masks of the pixels of each cell of a latent [1,64,T,h,w].
func (n *WanVaceToVideo) cells(mask *tensor.Tensor, frames int) *tensor.Tensor {
	h, w := n.Height/cell, n.Width/cell
	out := tensor.New(1, cell*cell, frames, h, w)
	for i := range out.Data {
		x, y, t, at := i%w, i/w%h, i/(w*h)%frames, i/(w*h*frames)
		from := mask.Index(nearestExact(t, n.Length, frames)).Data
		out.Data[i] = from[(y*cell+at/cell)*n.Width+x*cell+at%cell]
	}
	return out
}

// behind puts the frames of y [1,C,·,h,w] behind those of x.
func behind(x, y *tensor.Tensor) *tensor.Tensor {
	if x.Dim(2) == 0 {
		return y
	}
	out := tensor.New(1, x.Dim(1), x.Dim(2)+y.Dim(2), x.Dim(3), x.Dim(4))
	for ch := range x.Dim(1) {
		to := out.Index(0).Index(ch).Data
		n := copy(to, x.Index(0).Index(ch).Data)
		copy(to[n:], y.Index(0).Index(ch).Data)
	}
	return out
}
