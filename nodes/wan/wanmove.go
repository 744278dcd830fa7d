package wan

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanMoveTrackToVideo{})
}

// WanMoveTrackToVideo adds an image whose cells move along tracks to conditionings of Wan (Wan-Move).
type WanMoveTrackToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"100.0" step:"0.01" tooltip:"How far the values of a cell along a track go to those that the track begins with."`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	StartImage   *tensor.Tensor      `in:"start_image" type:"IMAGE"`
	Tracks       any                 `in:"tracks" type:"TRACKS" optional:"true"`
	VisionOutput any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanMoveTrackToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanMoveTrackToVideo", Category: "model/conditioning/wan/move",
		Module: "comfy_extras.nodes_wanmove", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanMoveTrackToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// Run implements nodes.Node. The moved cells are given to both conditionings, as upstream does.
func (n *WanMoveTrackToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	values, err := startValues(ctx, c, n.StartImage, l.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Tracks != nil && n.Strength > 0 && values != nil {
		points, visible, err := conditioning.TracksOf("tracks", n.Tracks)
		if err != nil {
			return nodes.Result{}, err
		}
		image, _ := values[sampling.KeyConcatLatent].(*tensor.Tensor)
		if err := c.move(image, points, visible, float32(n.Strength)); err != nil {
			return nodes.Result{}, err
		}
	}
	pos, neg := both(n.Positive, n.Negative, values, visionValue(n.VisionOutput))
	return nodes.Out(pos, neg, l), nil
}

// move moves the cells of the first frame of z [1,C,T,h,w] along tracks, points [frames,tracks,2] in pixels, into the frames that follow. Where
// tracks meet, the last one counts. Upstream: replace_feature, which takes one of them by chance.
func (c canvas) move(z, points, visible *tensor.Tensor, strength float32) error {
	frames, tracks := min(points.Dim(0), c.length), points.Dim(1)
	if points.Dim(2) != 2 || visible.Dim(0) < frames || visible.Dim(1) != tracks && visible.Dim(1) != 1 {
		return nodes.Errorf("IndexError", "moving cells along tracks: %d tracks of %d frames, visible in %v", tracks, frames, visible.Shape)
	}
	h, w := z.Dim(3), z.Dim(4)
	if (frames-1)/ratio >= z.Dim(2) {
		return nodes.Errorf("IndexError", "moving cells along tracks: tracks of %d frames, the video has %d", frames, c.length)
	}
	// at is the cell of a track in a frame of the latent.
	at := func(track, frame int) (cellAt int, ok bool) {
		f := frame * ratio
		if visible.Data[f*visible.Dim(1)+track%visible.Dim(1)] == 0 {
			return 0, false
		}
		x, y := points.Data[(f*tracks+track)*2], points.Data[(f*tracks+track)*2+1]
		if x < 0 || y < 0 || x >= float32(c.width) || y >= float32(c.height) {
			return 0, false
		}
		return int(y)/cell*w + int(x)/cell, int(y)/cell < h && int(x)/cell < w
	}
	before := z.Clone()
	size := h * w
	for track := range tracks {
		from, ok := at(track, 0)
		if !ok {
			from = size - 1 // upstream's place -1, which is the last row and column
		}
		for t := 1; t < z.Dim(2) && t*ratio < frames; t++ {
			to, ok := at(track, t)
			if !ok {
				continue
			}
			for ch := range z.Dim(1) {
				base := ch * z.Dim(2) * size
				old := before.Data[base+t*size+to]
				z.Data[base+t*size+to] = old + (before.Data[base+from]-old)*strength
			}
		}
	}
	return nil
}
