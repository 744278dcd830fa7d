package conditioning

import (
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&GenerateTracks{})
	nodes.Register(&WanMoveConcatTrack{})
}

// GenerateTracks makes tracks from a start to an end point.
type GenerateTracks struct {
	Width         int            `in:"width" default:"832" min:"16" max:"4096" step:"16"`
	Height        int            `in:"height" default:"480" min:"16" max:"4096" step:"16"`
	StartX        float64        `in:"start_x" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Horizontal start, as a fraction of the width."`
	StartY        float64        `in:"start_y" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Vertical start, as a fraction of the height."`
	EndX          float64        `in:"end_x" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Horizontal end, as a fraction of the width."`
	EndY          float64        `in:"end_y" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Vertical end, as a fraction of the height."`
	NumFrames     int            `in:"num_frames" default:"81" min:"1" max:"1024"`
	NumTracks     int            `in:"num_tracks" default:"5" min:"1" max:"100"`
	TrackSpread   float64        `in:"track_spread" default:"0.025" min:"0.0" max:"1.0" step:"0.001" tooltip:"Distance between tracks, across the direction of motion, as a fraction of the mean of width and height."`
	Bezier        bool           `in:"bezier" default:"false" tooltip:"Makes the path a Bezier curve with the middle as its control point."`
	MidX          float64        `in:"mid_x" default:"0.5" min:"0.0" max:"1.0" step:"0.01" tooltip:"Horizontal control point of the curve, as a fraction of the width."`
	MidY          float64        `in:"mid_y" default:"0.5" min:"0.0" max:"1.0" step:"0.01" tooltip:"Vertical control point of the curve, as a fraction of the height."`
	Interpolation string         `in:"interpolation" options:"linear|ease_in|ease_out|ease_in_out|constant" tooltip:"Pace of the motion along the path."`
	TrackMask     *tensor.Tensor `in:"track_mask" type:"MASK" optional:"true" tooltip:"Frames in which the tracks are visible: those whose mask is not empty."`
}

// Spec implements nodes.Node.
func (*GenerateTracks) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GenerateTracks", DisplayName: "Generate Video Tracks", Category: "model/conditioning/wan/move",
		Module: "comfy_extras.nodes_wanmove", V3: true,
		Outputs:       []nodes.Output{{Type: "TRACKS"}, {Type: "INT", Name: "track_length"}},
		SearchAliases: []string{"motion paths", "camera movement", "trajectory"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *GenerateTracks) Run(*nodes.Context) (nodes.Result, error) {
	if n.NumFrames < 1 || n.NumTracks < 1 || n.NumFrames > maxTracks/n.NumTracks {
		return nodes.Result{}, nodes.Errorf("ValueError", "making tracks: %d tracks over %d frames, at most %d points fit", n.NumTracks, n.NumFrames, maxTracks)
	}
	pace := map[string]func(t float32) float32{
		"constant":    func(float32) float32 { return 0 },
		"linear":      func(t float32) float32 { return t },
		"ease_in":     func(t float32) float32 { return t * t },
		"ease_out":    func(t float32) float32 { return 1 - float32((1-t)*(1-t)) },
		"ease_in_out": func(t float32) float32 { return float32(t*t) * (3 - 2*t) },
	}[n.Interpolation]
	if pace == nil {
		return nodes.Result{}, nodes.Errorf("UnboundLocalError", "making tracks: there is no interpolation %q", n.Interpolation)
	}
	w, h := float64(n.Width), float64(n.Height)
	x := path{float32(n.StartX * w), float32(n.MidX * w), float32(n.EndX * w)}
	y := path{float32(n.StartY * h), float32(n.MidY * h), float32(n.EndY * h)}
	spread := n.TrackSpread * (w + h) / 2
	points := tensor.New(n.NumFrames, n.NumTracks, 2)
	for f, t := range linspace(0, 1, n.NumFrames) {
		at := pace(t)
		px, tx := x.at(at, n.Bezier)
		py, ty := y.at(at, n.Bezier)
		sideX, sideY := 1.0, 0.0
		if length := math.Hypot(tx, ty); length > 0 {
			sideX, sideY = -ty/length, tx/length
		}
		for k := range n.NumTracks {
			offset := (float64(k) - float64(n.NumTracks-1)/2) * spread
			i := (f*n.NumTracks + k) * 2
			points.Data[i], points.Data[i+1] = float32(px+sideX*offset), float32(py+sideY*offset)
		}
	}
	visible, err := visibility(n.TrackMask, n.NumFrames, n.NumTracks)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(trackInfo(points, visible), int64(n.NumFrames)), nil
}

// WanMoveConcatTrack puts two groups of tracks together.
type WanMoveConcatTrack struct {
	Tracks1 any `in:"tracks_1" type:"TRACKS"`
	Tracks2 any `in:"tracks_2" type:"TRACKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanMoveConcatTrack) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanMoveConcatTrack", Category: "model/conditioning/wan/move",
		Module: "comfy_extras.nodes_wanmove", V3: true,
		Outputs: nodes.Outputs("TRACKS"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WanMoveConcatTrack) Run(*nodes.Context) (nodes.Result, error) {
	if n.Tracks2 == nil {
		return nodes.Out(n.Tracks1), nil
	}
	first, seen, err := TracksOf("tracks_1", n.Tracks1)
	if err != nil {
		return nodes.Result{}, err
	}
	second, seenToo, err := TracksOf("tracks_2", n.Tracks2)
	if err != nil {
		return nodes.Result{}, err
	}
	points, err := imaging.Concat(1, first, second)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "joining tracks: %w", err)
	}
	visible, err := imaging.Concat(len(seen.Shape)-1, seen, seenToo)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "joining tracks: %w", err)
	}
	return nodes.Out(trackInfo(points, visible)), nil
}

// maxTracks bounds the points of all tracks.
const maxTracks = 1 << 24

// path is one coordinate of a way by its start, middle and end, in pixels.
type path [3]float32

// at returns the coordinate at a part of the way and its direction there; without bezier the middle point is ignored.
func (p path) at(t float32, bezier bool) (position, direction float64) {
	if !bezier {
		return float64(p[0] + float32((p[2]-p[0])*t)), float64(p[2] - p[0])
	}
	u := 1 - t
	position = float64(float32(float32(u*u)*p[0]) + float32(float32(2*u*t)*p[1]) + float32(float32(t*t)*p[2]))
	return position, float64(float32(2*u*(p[1]-p[0])) + float32(2*t*(p[2]-p[1])))
}

// truths is the type of visibilities upstream.
const truths = "bool"

// visibility returns the frames in which tracks are visible: all, or those with a mask value above 0.
func visibility(mask *tensor.Tensor, frames, tracks int) (*tensor.Tensor, error) {
	if mask == nil {
		out := tensor.New(frames, tracks)
		out.Type = truths
		for i := range out.Data {
			out.Data[i] = 1
		}
		return out, nil
	}
	if len(mask.Shape) != 3 {
		return nil, nodes.Errorf("IndexError", "making tracks: the track mask has the shape %v, want [frames, height, width]", mask.Shape)
	}
	out := tensor.New(mask.Shape[0], 1)
	out.Type = truths
	for i := range out.Data {
		if slices.ContainsFunc(mask.Index(i).Data, func(v float32) bool { return v > 0 }) {
			out.Data[i] = 1
		}
	}
	return out, nil
}

// trackInfo returns the value of TRACKS links: points [frames,tracks,2] in pixels and their visibility.
func trackInfo(points, visible *tensor.Tensor) *pyjson.Object {
	return pyjson.NewObject("track_path", points, "track_visibility", visible)
}

// TracksOf returns the points [frames,tracks,2] of a TRACKS link, in pixels, and their visibility [frames,tracks].
func TracksOf(input string, v any) (points, visible *tensor.Tensor, err error) {
	o, _ := v.(*pyjson.Object)
	path, _ := o.Get("track_path")
	seen, _ := o.Get("track_visibility")
	points, _ = path.(*tensor.Tensor)
	visible, _ = seen.(*tensor.Tensor)
	if points == nil || visible == nil || len(points.Shape) != 3 || len(visible.Shape) != 2 {
		return nil, nil, nodes.Errorf("TypeError", "reading tracks: the input %s has none", input)
	}
	return points, visible, nil
}
