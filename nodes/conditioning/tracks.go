package conditioning

import (
	"context"
	"math"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&WanMoveTracksFromCoords{})
	nodes.Register(&WanMoveVisualizeTracks{})
}

// WanMoveTracksFromCoords reads tracks from JSON.
type WanMoveTracksFromCoords struct {
	TrackCoords string         `in:"track_coords" optional:"true" default:"[]" forceInput:"true"`
	TrackMask   *tensor.Tensor `in:"track_mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanMoveTracksFromCoords) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanMoveTracksFromCoords", Category: "model/conditioning/wan/move",
		Module: "comfy_extras.nodes_wanmove", V3: true,
		Outputs: []nodes.Output{{Type: "TRACKS"}, {Type: "INT", Name: "track_length"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node. The first track's length is that of all; what longer ones have beyond it is left out.
func (n *WanMoveTracksFromCoords) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.TrackCoords), 16); err != nil {
		return nodes.Result{}, err
	}
	tracks, err := ParseTracks(n.TrackCoords)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(tracks) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "reading tracks: track_coords has none; want JSON such as [[{\"x\": 1, \"y\": 2}, …], …]")
	}
	first, ok := tracks[0].([]any)
	if !ok {
		return nodes.Result{}, nodes.Errorf("TypeError", "reading tracks: a track is a %s, want a list of points", pyjson.TypeName(tracks[0]))
	}
	points := tensor.New(len(first), len(tracks), 2)
	for k, track := range tracks {
		list, ok := track.([]any)
		if !ok || len(list) < len(first) {
			return nodes.Result{}, nodes.Errorf("IndexError", "reading tracks: track %d has less than the %d points of the first one", k, len(first))
		}
		for f := range first {
			x, y, err := TrackPoint(list[f])
			if err != nil {
				return nodes.Result{}, err
			}
			at := (f*len(tracks) + k) * 2
			points.Data[at], points.Data[at+1] = x, y
		}
	}
	visible, err := visibility(n.TrackMask, len(first), len(tracks))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(trackInfo(points, visible), int64(len(first))), nil
}

// ParseTracks reads a list of tracks, or the points of a single one; strings may have single quotes. Invalid JSON yields no
// tracks.
func ParseTracks(text string) ([]any, error) {
	v, err := pyjson.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)))
	if err != nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if o, isObject := v.(*pyjson.Object); !ok && (!isObject || o.Len() > 0) {
		return nil, nodes.Errorf("TypeError", "reading tracks: track_coords is a %s, want a list of tracks", pyjson.TypeName(v))
	}
	if len(list) > 0 {
		if o, ok := list[0].(*pyjson.Object); ok && o.Has("x") {
			return []any{list}, nil
		}
	}
	return list, nil
}

// TrackPoint reads a point of a track.
func TrackPoint(v any) (x, y float32, err error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return 0, 0, nodes.Errorf("TypeError", "reading tracks: a point is a %s, want x and y", pyjson.TypeName(v))
	}
	for _, part := range []struct {
		key string
		to  *float32
	}{{"x", &x}, {"y", &y}} {
		v, there := o.Get(part.key)
		if !there {
			return 0, 0, nodes.Errorf("KeyError", "reading tracks: a point has no %s", part.key)
		}
		switch v := v.(type) {
		case int64:
			*part.to = float32(v)
		case float64:
			*part.to = float32(v)
		case bool:
			if v {
				*part.to = 1
			}
		case string:
			return 0, 0, nodes.Errorf("ValueError", "reading tracks: %s of a point is a text, want a number", part.key)
		default:
			return 0, 0, nodes.Errorf("TypeError", "reading tracks: %s of a point is a %s, want a number", part.key, pyjson.TypeName(v))
		}
	}
	return x, y, nil
}

// WanMoveVisualizeTracks draws tracks over a video.
type WanMoveVisualizeTracks struct {
	Images         *tensor.Tensor `in:"images" type:"IMAGE"`
	LineResolution int            `in:"line_resolution" default:"24" min:"1" max:"1024"`
	CircleSize     int            `in:"circle_size" advanced:"true" default:"12" min:"1" max:"128"`
	Opacity        float64        `in:"opacity" default:"0.75" min:"0.0" max:"1.0" step:"0.01"`
	LineWidth      int            `in:"line_width" advanced:"true" default:"16" min:"1" max:"128"`
	Tracks         any            `in:"tracks" type:"TRACKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanMoveVisualizeTracks) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanMoveVisualizeTracks", Category: "model/conditioning/wan/move",
		Module: "comfy_extras.nodes_wanmove", V3: true,
		Outputs: nodes.Outputs("IMAGE"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: images are repeated to the length of the tracks.
func (*WanMoveVisualizeTracks) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In
	if s.Has("tracks") {
		p.Count = nodes.UnknownImages().Count
	}
	return p
}

// trackColors are those of the tracks in turn.
var trackColors = [][3]byte{{102, 153, 255}, {0, 255, 255}, {255, 255, 0}, {255, 102, 204}, {0, 255, 0}}

// Run implements nodes.Node.
func (n *WanMoveVisualizeTracks) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Tracks == nil {
		return nodes.Out(n.Images), nil
	}
	points, visible, err := TracksOf("tracks", n.Tracks)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Images == nil || len(n.Images.Shape) != 4 || len(n.Images.Data) == 0 || n.Images.Shape[3] != 3 {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing tracks: the input images is no image of 3 channels")
	}
	const most = 1024
	if n.LineResolution < 1 || n.LineResolution > most || n.CircleSize < 1 || n.CircleSize > most || n.LineWidth < 1 || n.LineWidth > most || !(n.Opacity >= 0 && n.Opacity <= 1) {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing tracks: line_resolution, circle_size and line_width are 1 to %d, opacity 0 to 1", most)
	}
	b, h, w := n.Images.Shape[0], n.Images.Shape[1], n.Images.Shape[2]
	count := b
	if length := points.Shape[0]; length != b {
		count = length / b * b
	}
	if count == 0 || count > points.Shape[0] {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "drawing tracks: %d images do not fit tracks of %d frames", b, points.Shape[0])
	}
	if visible.Shape[0] < count || visible.Shape[1] < points.Shape[1] {
		return nodes.Result{}, nodes.Errorf("IndexError", "drawing tracks: the visibility has the shape %v, want [%d, %d]", visible.Shape, count, points.Shape[1])
	}
	if err := imaging.CheckSize("images with tracks", count+4, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	d := &trackDrawing{WanMoveVisualizeTracks: n, points: points, visible: visible, left: maxSteps}
	out := tensor.New(count, h, w, 3)
	for f := range count {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		if err := d.frame(out.Index(f), n.Images.Index(f%b), f); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(out), nil
}

// maxSteps bounds the pixels along all lines.
const maxSteps = 1 << 27

type trackDrawing struct {
	*WanMoveVisualizeTracks

	points, visible *tensor.Tensor
	left            int // steps that may still be drawn
}

// at is a point of a track in whole pixels.
func (d *trackDrawing) at(frame, track int) (x, y int, err error) {
	p := d.points.Data[(frame*d.points.Shape[1]+track)*2:][:2]
	const most = 1 << 24
	if !(math.Abs(float64(p[0])) < most && math.Abs(float64(p[1])) < most) {
		return 0, 0, nodes.Errorf("ValueError", "drawing tracks: frame %d of track %d is at %g, %g", frame, track, p[0], p[1])
	}
	return int(p[0]), int(p[1]), nil
}

func (d *trackDrawing) frame(out, image *tensor.Tensor, f int) error {
	h, w := image.Shape[0], image.Shape[1]
	circles, lines := draw.New(w, h, 4), draw.New(w, h, 4)
	for k := range d.points.Shape[1] {
		if d.visible.Data[f*d.visible.Shape[1]+k] == 0 {
			continue
		}
		c := trackColors[k%len(trackColors)]
		x, y, err := d.at(f, k)
		if err != nil {
			return err
		}
		circles.Ellipse(x-d.CircleSize, y-d.CircleSize, x+d.CircleSize, y+d.CircleSize, []byte{c[0], c[1], c[2], byte(255 * d.Opacity)})
		if err := d.line(lines, f, k, c); err != nil {
			return err
		}
	}
	for i, v := range imaging.ToBytes(image.Data) {
		under := over(circles.Pix, i, float64(float32(v)))
		out.Data[i] = float32(byte(over(lines.Pix, i, under))) / 255
	}
	return nil
}

// over lays value i of an RGBA image over another value.
func over(pix []byte, i int, under float64) float64 {
	p := pix[i/3*4:][:4]
	alpha := float64(p[3]) / 255
	return float64(float64(p[i%3])*alpha) + float64(under*(1-alpha))
}

// line draws where a track was before frame f, thinner and fainter the longer ago.
func (d *trackDrawing) line(c *draw.Canvas, f, track int, color [3]byte) error {
	first := max(f-d.LineResolution, 0)
	var xs, ys []int
	for k := f; k >= first; k-- {
		x, y, err := d.at(k, track)
		if err != nil {
			return err
		}
		xs, ys = append(xs, x), append(ys, y)
	}
	lengths, total := make([]float64, len(xs)), 0.0
	for i := 1; i < len(xs); i++ {
		dx, dy := float64(xs[i]-xs[i-1]), float64(ys[i]-ys[i-1])
		lengths[i] = math.Sqrt(float64(dx*dx) + float64(dy*dy))
		total += lengths[i]
	}
	if total == 0 {
		return nil
	}
	done := 0.0
	for i := 1; i < len(xs); i++ {
		steps := max(int(lengths[i]), 1)
		if d.left -= steps; d.left < 0 {
			return nodes.Errorf("ValueError", "drawing tracks: the lines have more than %d pixels", maxSteps)
		}
		for s := range steps {
			part := float64(s) / float64(steps)
			ratio := (done + float64(part*lengths[i])) / total
			x := int(float64(xs[i-1]) + float64((xs[i]-xs[i-1])*s)/float64(steps))
			y := int(float64(ys[i-1]) + float64((ys[i]-ys[i-1])*s)/float64(steps))
			c.Dash(x, y, max(int(float64(d.LineWidth)*(1-ratio)), 1), []byte{color[0], color[1], color[2], byte(255 * (1 - ratio) * d.Opacity)})
		}
		done += lengths[i]
	}
	return nil
}
