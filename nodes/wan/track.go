package wan

import (
	"cmp"
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/family/latents"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanTrackToVideo{})
}

// WanTrackToVideo adds an image whose parts move along tracks to conditionings of Wan (ATI).
type WanTrackToVideo struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE          *engine.VAE         `in:"vae" type:"VAE"`
	Tracks       string              `in:"tracks" default:"[]" multiline:"true"`
	Width        int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height       int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length       int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	BatchSize    int                 `in:"batch_size" default:"1" min:"1" max:"4096"`
	Temperature  float64             `in:"temperature" advanced:"true" default:"220.0" min:"1.0" max:"1000.0" step:"0.1"`
	Topk         int                 `in:"topk" advanced:"true" default:"2" min:"1" max:"10"`
	StartImage   *tensor.Tensor      `in:"start_image" type:"IMAGE"`
	VisionOutput any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanTrackToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanTrackToVideo", Category: "model/conditioning/wan/move",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		SearchAliases: []string{"motion tracking", "trajectory video", "point tracking", "keypoint animation"},
		Uses:          nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanTrackToVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *WanTrackToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.Tracks), 16); err != nil {
		return nodes.Result{}, err
	}
	list, err := conditioning.ParseTracks(n.Tracks)
	if err != nil {
		return nodes.Result{}, err
	}
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	if len(list) == 0 {
		return fromImage(ctx, c, n.BatchSize, n.Positive, n.Negative, n.StartImage, n.VisionOutput)
	}
	if (n.Length-1)%ratio != 0 || n.Length == pathLength {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "moving an image along tracks: a video of %d frames; the length has to be one more than a multiple of %d, and not %d", n.Length, ratio, pathLength)
	}
	l, err := c.empty(n.BatchSize, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	rows, err := trackRows(list)
	if err != nil {
		return nodes.Result{}, err
	}
	values, err := n.moved(ctx, c, rows)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := both(n.Positive, n.Negative, values, visionValue(n.VisionOutput))
	return nodes.Out(pos, neg, l), nil
}

// moved returns the videos' first images, with parts that lie along the tracks in the later frames, and the mask of the rest.
func (n *WanTrackToVideo) moved(ctx *nodes.Context, c canvas, rows [][]path) (map[string]any, error) {
	if n.StartImage == nil {
		return nil, nil
	}
	if err := c.check("start_image", n.StartImage); err != nil {
		return nil, err
	}
	images, err := c.scaled("start_image", n.StartImage.Slice(0, min(n.BatchSize, n.StartImage.Dim(0))), "bilinear")
	if err != nil {
		return nil, err
	}
	if err := imaging.CheckSize("videos that follow tracks", n.BatchSize, 2*channels, c.frames(), n.Height/cell, n.Width/cell); err != nil {
		return nil, err
	}
	var mask, out *tensor.Tensor
	images = sampling.PickRows(images, n.BatchSize)
	places := sampling.PickRows(numbered(len(rows)), n.BatchSize)
	for b := range n.BatchSize {
		video, err := c.gray(c.length)
		if err != nil {
			return nil, err
		}
		copy(video.Data, images.Index(b).Data)
		z, err := c.encode(ctx, video)
		if err != nil {
			return nil, err
		}
		if z.Dim(1) != channels {
			return nil, nodes.Errorf("RuntimeError", "moving an image along tracks: the VAE gives latents of %d channels, wanted %d: use the VAE of Wan 2.1", z.Dim(1), channels)
		}
		moved, left := follow(latents.Wan21.In(z), rows[int(places.Data[b])], c, float32(n.Temperature), n.Topk)
		if out == nil {
			out = tensor.New(append([]int{n.BatchSize}, z.Shape[1:]...)...)
			mask = tensor.New(n.BatchSize, ratio, z.Dim(2), z.Dim(3), z.Dim(4))
		}
		copy(out.Index(b).Data, latents.Wan21.Out(moved).Data)
		for k := range ratio {
			copy(mask.Index(b).Index(k).Data, left.Data)
		}
	}
	return map[string]any{sampling.KeyConcatMask: mask, sampling.KeyConcatLatent: out}, nil
}

// numbered are the numbers below n, one a row.
func numbered(n int) *tensor.Tensor {
	out := tensor.New(n, 1)
	for i := range out.Data {
		out.Data[i] = float32(i)
	}
	return out
}

// pathLength is the number of points that tracks are brought to; those of shorter ones are not visible. Upstream: FIXED_LENGTH.
const pathLength = 121

// point is a point of a track in pixels.
type point struct {
	x, y float32
	seen bool
}

// path is a track.
type path [pathLength]point

// trackRows reads the tracks of each video: of a list of tracks, or of a list of such lists.
func trackRows(list []any) ([][]path, error) {
	first, _ := list[0].([]any)
	if len(first) == 0 {
		return nil, nodes.Errorf("IndexError", "reading tracks: the first one has no points")
	}
	if _, single := first[0].(*pyjson.Object); single {
		list = []any{list}
	}
	rows := make([][]path, len(list))
	for i, v := range list {
		tracks, ok := v.([]any)
		if !ok || len(tracks) == 0 {
			return nil, nodes.Errorf("ValueError", "reading tracks: video %d has none", i)
		}
		for _, t := range tracks {
			p, err := pathOf(t)
			if err != nil {
				return nil, err
			}
			rows[i] = append(rows[i], p)
		}
	}
	return rows, nil
}

func pathOf(v any) (p path, err error) {
	points, ok := v.([]any)
	if !ok || len(points) == 0 {
		return p, nodes.Errorf("TypeError", "reading tracks: a track is a %s, want a list of points", pyjson.TypeName(v))
	}
	for i := range p[:min(len(points), pathLength)] {
		if p[i].x, p[i].y, err = conditioning.TrackPoint(points[i]); err != nil {
			return p, err
		}
		p[i].seen = true
	}
	return p, nil
}

// spread is the point of a path for frame i behind the first one, of n. Upstream: process_tracks.
func (p path) spread(i, n int) point {
	const last = pathLength - 1
	d := divisor(last, n)
	return p[1+(1+i*(last/d))/(n/d)]
}

func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// follow moves the parts of the first frame of z [1,C,T,h,w], a latent as the network reads it, along paths, into the frames that follow,
// and returns what of each frame [T,h,w] is not covered by them. Upstream: patch_motion.
func follow(z *tensor.Tensor, paths []path, c canvas, temperature float32, most int) (moved, left *tensor.Tensor) {
	h, w := z.Dim(3), z.Dim(4)
	short := float32(min(c.width, c.height))
	// across is a place in units of half the short side, from the centre.
	across := func(p point) (x, y float32) {
		return (p.x - float32(c.width)/2) / short * 2, (p.y - float32(c.height)/2) / short * 2
	}
	features := make([][]float32, len(paths))
	edgeX, edgeY := float32(w)/float32(min(h, w)), float32(h)/float32(min(h, w))
	for i, p := range paths {
		x, y := across(p[0])
		features[i] = sampled(z, min(max(x/edgeX, -1), 1), min(max(y/edgeY, -1), 1))
	}
	moved, left = z.Clone(), tensor.New(z.Dim(2), h, w)
	weights := make([]weighed, len(paths))
	for t := 1; t < z.Dim(2); t++ {
		centres := make([]centre, len(paths))
		for i, p := range paths {
			var sumX, sumY, seen float32
			for k := range ratio {
				if at := p.spread((t-1)*ratio+k, c.length-1); at.seen {
					x, y := across(at)
					sumX, sumY, seen = sumX+x, sumY+y, seen+1
				}
			}
			centres[i] = centre{sumX / (seen + 1e-5), sumY / (seen + 1e-5), min(seen, 1)}
		}
		for y := range h {
			for x := range w {
				for i, at := range centres {
					dx, dy := at.x-onLine(x, w, edgeX), at.y-onLine(y, h, edgeY)
					weights[i] = weighed{i, float32(math.Exp(-float64((dx*dx+dy*dy)*temperature))) * at.seen}
				}
				slices.SortStableFunc(weights, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
				var sum float32
				at := (t*h+y)*w + x
				for _, s := range weights[:min(most, len(weights))] {
					sum += s.weight
				}
				for ch := range z.Dim(1) {
					v := float32(0)
					for _, s := range weights[:min(most, len(weights))] {
						v += features[s.path][ch] * s.weight
					}
					to := ch*z.Dim(2)*h*w + at
					moved.Data[to] = v + z.Data[to]*(1-min(max(sum, 0), 1))
				}
				left.Data[at] = 1 - sum
			}
		}
	}
	return moved, left
}

// centre is where a path is during a frame of a latent, and 1 if it is visible then.
type centre struct{ x, y, seen float32 }

// weighed is the weight of a path at a place.
type weighed struct {
	path   int
	weight float32
}

// onLine is place i of n that lie evenly from -edge to edge.
func onLine(i, n int, edge float32) float32 {
	if n == 1 {
		return -edge
	}
	step := 2 * edge / float32(n-1)
	if i < n/2 {
		return -edge + step*float32(i)
	}
	return edge - step*float32(n-1-i)
}

// sampled are the values of the first frame of z [1,C,T,h,w] at a place of -1…1 from edge to edge, 0 outside.
func sampled(z *tensor.Tensor, x, y float32) []float32 {
	h, w := z.Dim(3), z.Dim(4)
	px, py := ((x+1)*float32(w)-1)/2, ((y+1)*float32(h)-1)/2
	left, top := math.Floor(float64(px)), math.Floor(float64(py))
	fx, fy := px-float32(left), py-float32(top)
	out := make([]float32, z.Dim(1))
	for _, corner := range []struct {
		dx, dy int
		weight float32
	}{{0, 0, (1 - fx) * (1 - fy)}, {1, 0, fx * (1 - fy)}, {0, 1, (1 - fx) * fy}, {1, 1, fx * fy}} {
		cx, cy := int(left)+corner.dx, int(top)+corner.dy
		if cx < 0 || cy < 0 || cx >= w || cy >= h {
			continue
		}
		for ch := range out {
			out[ch] += z.Data[(ch*z.Dim(2)*h+cy)*w+cx] * corner.weight
		}
	}
	return out
}
