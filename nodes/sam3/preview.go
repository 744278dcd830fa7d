package sam3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"math"
	"math/big"
	"slices"
	"strconv"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/video"
)

func init() { nodes.Register(&TrackPreview{}) }

// TrackPreview shows tracked objects in colors, as a video.
type TrackPreview struct {
	TrackData any            `in:"track_data" type:"SAM3_TRACK_DATA" display_name:"track_data"`
	Images    *tensor.Tensor `in:"images" type:"IMAGE" optional:"true" display_name:"images"`
	Opacity   float64        `in:"opacity" display_name:"opacity" default:"0.5" min:"0.0" max:"1.0" step:"0.05"`
	FPS       float64        `in:"fps" display_name:"fps" default:"24.0" min:"1.0" max:"120.0" step:"1.0"`
}

// Spec implements nodes.Node.
func (*TrackPreview) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SAM3_TrackPreview", DisplayName: "SAM3 Track Preview", Category: category, Module: module, V3: true,
		OutputNode:  true,
		Description: "Shows tracked objects over the frames, each in a color with its number and its score. Needs ffmpeg.",
		Uses:        nodes.UsesNothing,
	}
}

// trackColors are the colors of objects in turn.
var trackColors = [][3]float32{
	{0.12, 0.47, 0.71},
	{1.0, 0.5, 0.05},
	{0.17, 0.63, 0.17},
	{0.84, 0.15, 0.16},
	{0.58, 0.4, 0.74},
	{0.55, 0.34, 0.29},
	{0.89, 0.47, 0.76},
	{0.5, 0.5, 0.5},
	{0.74, 0.74, 0.13},
	{0.09, 0.75, 0.81},
	{0.94, 0.76, 0.06},
	{0.42, 0.68, 0.84},
}

// Run implements nodes.Node.
func (n *TrackPreview) Run(ctx *nodes.Context) (nodes.Result, error) {
	t, err := tracksOf(n.TrackData)
	if err != nil {
		return nodes.Result{}, err
	}
	h, w := t.height, t.width
	if n.Images != nil {
		if len(n.Images.Shape) != 4 || len(n.Images.Data) == 0 || n.Images.Dim(3) != 3 {
			return nodes.Result{}, nodes.Errorf("ValueError", "the input images is no image of 3 channels")
		}
		h, w = n.Images.Dim(1), n.Images.Dim(2)
	}
	if err := imaging.CheckSize("the frames of a preview", t.frames, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	if err := imaging.CheckSize("the masks of a preview", t.objects(), h, w); err != nil {
		return nodes.Result{}, err
	}
	frames := tensor.New(t.frames, h, w, 3)
	for i := range t.frames {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		frame := frames.Index(i)
		if n.Images != nil && i < n.Images.Dim(0) {
			copy(frame.Data, n.Images.Index(i).Data)
		}
		n.paint(frame, t, i)
	}
	const thousand = 1000
	rate := big.NewRat(int64(math.RoundToEven(n.FPS*thousand)), thousand)
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nodes.Result{}, err
	}
	ui, err := video.Preview(ctx, "sam3_track_preview_"+hex.EncodeToString(id[:]), frames, rate)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Result{UI: ui}, nil
}

// paint paints the objects of frame number i over it [H,W,3].
func (n *TrackPreview) paint(frame *tensor.Tensor, t *tracks, i int) {
	h, w := frame.Dim(0), frame.Dim(1)
	count := t.objects()
	masks := make([]*tensor.Tensor, count)
	for k := range masks {
		masks[k] = nearest(t.mask(i, k), h, w)
	}
	opacity := float32(n.Opacity)
	for at := range h * w {
		k := slices.IndexFunc(masks, func(m *tensor.Tensor) bool { return m.Data[at] > 0 })
		if k < 0 {
			continue
		}
		for c, v := range trackColors[k%len(trackColors)] {
			frame.Data[3*at+c] = frame.Data[3*at+c]*(1-opacity) + v*opacity
		}
	}
	for k, m := range masks {
		n.label(frame, t, k, m)
	}
}

// nearest resizes a mask [h,w] as torch's nearest interpolation does.
func nearest(m *tensor.Tensor, h, w int) *tensor.Tensor {
	out := tensor.New(h, w)
	from := func(i, in, out int) int { return min(int(float32(i)*(float32(in)/float32(out))), in-1) }
	for i := range out.Data {
		out.Data[i] = m.Data[from(i/w, m.Dim(0), h)*m.Dim(1)+from(i%w, m.Dim(1), w)]
	}
	return out
}

// label writes the number of an object, and its score where that is below 1, in the middle of its mask.
func (n *TrackPreview) label(frame *tensor.Tensor, t *tracks, k int, mask *tensor.Tensor) {
	h, w := mask.Dim(0), mask.Dim(1)
	area, x, y := 0, 0, 0
	for i, v := range mask.Data {
		if v > 0 {
			area++
			x, y = x+i%w, y+i/w
		}
	}
	if area <= 1 {
		return
	}
	x, y = x/area, y/area
	const least, lines, share = 3, 240, 15
	scale := min(max(least, h/lines), max(1, int(float32(math.Sqrt(float64(area)))/share)))
	color := trackColors[k%len(trackColors)]
	digits(frame, k, x, y, color, scale)
	if k < len(t.scores) && t.scores[k] < 1 {
		digits(frame, int(t.scores[k]*100), x, y+glyphHeight*scale+3, color, max(1, scale*2/3))
	}
}

// The digits as rows of pixels, the left one in the highest bit.
const glyphHeight, glyphWidth = 5, 3

var glyphs = [10][glyphHeight]byte{
	{7, 5, 5, 5, 7},
	{2, 6, 2, 2, 7},
	{7, 1, 7, 4, 7},
	{7, 1, 7, 1, 7},
	{5, 5, 7, 1, 1},
	{7, 4, 7, 1, 7},
	{7, 4, 7, 5, 7},
	{7, 1, 1, 1, 1},
	{7, 5, 7, 5, 7},
	{7, 5, 7, 1, 7},
}

// digits draws a number around a place, with a black border of one pixel.
func digits(frame *tensor.Tensor, number, x, y int, color [3]float32, scale int) {
	text := strconv.Itoa(number)
	width, height := glyphWidth*scale, glyphHeight*scale
	left, top := x-half(len(text)*(width+scale)-scale), y-half(height)
	h, w := frame.Dim(0), frame.Dim(1)
	set := func(y, x int, c [3]float32) {
		if y >= 0 && y < h && x >= 0 && x < w {
			copy(frame.Data[3*(y*w+x):], c[:])
		}
	}
	for i, r := range text {
		if r < '0' || r > '9' {
			continue
		}
		at := left + i*(width+scale)
		on := func(y, x int) bool {
			return y >= 0 && y < height && x >= 0 && x < width && glyphs[r-'0'][y/scale]>>(glyphWidth-1-x/scale)&1 != 0
		}
		for dy := -1; dy <= height; dy++ {
			for dx := -1; dx <= width; dx++ {
				near := false
				for k := range 9 {
					near = near || on(dy+k/3-1, dx+k%3-1)
				}
				if near {
					set(top+dy, at+dx, [3]float32{})
				}
			}
		}
		for dy := range height {
			for dx := range width {
				if on(dy, dx) {
					set(top+dy, at+dx, color)
				}
			}
		}
	}
}

// half is half of a number, rounded down.
func half(n int) int { return n / 2 }
