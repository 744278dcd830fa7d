package sam3_test

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/sam3"
	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results: interpolation of zeros and ones, in float32.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{})
}

// tracks are two objects in one frame of 8x8 pixels: the left half, and the top half.
func tracks(scores ...any) *pyjson.Object {
	packed := tensor.New(1, 2, 8, 1)
	for i := range 8 {
		packed.Data[i] = 0x0f
		if i < 4 {
			packed.Data[8+i] = 0xff
		}
	}
	return pyjson.NewObject("packed_masks", packed, "n_frames", int64(1), "scores", scores, "orig_size", []any{int64(8), int64(8)})
}

// TestPaint compares pixels with those of upstream's class: the first object covers the second, in its color.
func TestPaint(t *testing.T) {
	t.Parallel()
	n := &sam3.TrackPreview{TrackData: tracks(1.0, 1.0), Opacity: 0.5}
	frame := tensor.New(8, 8, 3)
	for i := range frame.Data {
		frame.Data[i] = 0.4
	}
	if err := n.Paint(frame); err != nil {
		t.Fatal(err)
	}
	at := func(y, x int) []float32 { return frame.Data[3*(8*y+x):][:3] }
	for _, c := range []struct {
		y, x int
		want []float32
	}{
		{7, 0, []float32{0.26, 0.435, 0.555}}, // the first object
		{0, 7, []float32{0.7, 0.45, 0.225}},   // the second
		{7, 7, []float32{0.4, 0.4, 0.4}},      // none
		{1, 1, []float32{0, 0, 0}},            // the border of the second number
		{5, 1, []float32{0.12, 0.47, 0.71}},   // the first number
		{2, 3, []float32{1, 0.5, 0.05}},       // the second number
	} {
		for i, v := range at(c.y, c.x) {
			if d := v - c.want[i]; d > 1e-6 || d < -1e-6 {
				t.Errorf("pixel %d,%d is %v, want %v", c.y, c.x, at(c.y, c.x), c.want)
				break
			}
		}
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	image := tensor.New(1, 8, 8, 3)
	for _, c := range []struct {
		node nodes.Node
		want string
	}{
		{&sam3.Detect{Image: image}, "model"},
		{&sam3.Detect{Image: tensor.New(1, 8, 8, 1)}, "3"},
		{&sam3.Detect{}, "image"},
		{&sam3.VideoTrack{Images: image}, "model"},
		{&sam3.VideoTrack{}, "images"},
		{&sam3.TrackToMask{TrackData: 3}, "SAM3_VideoTrack"},
		{&sam3.TrackToMask{TrackData: pyjson.NewObject("packed_masks", "x", "orig_size", []any{int64(8), int64(8)})}, "packed_masks"},
		{&sam3.TrackToMask{TrackData: pyjson.NewObject("packed_masks", nil, "orig_size", []any{int64(8), int64(-8)})}, "orig_size"},
		{&sam3.TrackPreview{TrackData: tracks("x")}, "score"},
		{&sam3.TrackPreview{TrackData: tracks(), Images: tensor.New(1, 8, 8, 4)}, "channels"},
	} {
		_, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: %v, want %q", c.node, err, c.want)
		}
	}
}

// TestChosen orders scores and drops those at or below the threshold.
func TestChosen(t *testing.T) {
	t.Parallel()
	scores := []float32{0, 2, -1, 2, 1}
	for _, c := range []struct {
		threshold float32
		most      int
		want      []int
	}{{0.5, 9, []int{1, 3, 4}}, {0, 9, []int{1, 3, 4, 0, 2}}, {0.5, 2, []int{1, 3}}, {0.99, 9, nil}} {
		if got := sam3.Chosen(scores, c.threshold, c.most); !slices.Equal(got, c.want) {
			t.Errorf("threshold %g, most %d: %v, want %v", c.threshold, c.most, got, c.want)
		}
	}
}

func TestPoints(t *testing.T) {
	t.Parallel()
	got, err := sam3.ReadPoints(`[{"x": 2, "y": 3}, {"x": -1, "y": 4}]`)
	if want := []family.Point{{X: 4, Y: 12, Positive: true}, {X: -2, Y: 16, Positive: true}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for want, text := range map[string]string{
		"no list of points":       "{}",
		"point 1 has no x and y":  `[{"x": 1, "y": 1}, {"x": 1}]`,
		"point 0 has no x and y":  "[null]",
		"at 1e+300, 0":            `[{"x": 1e300, "y": 0}]`,
		"at 0, -2e+06":            `[{"x": 0, "y": -2e6}]`,
		"5000 points, want at mo": "[" + strings.Repeat(`{"x": 1, "y": 1},`, 4999) + `{"x": 1, "y": 1}]`,
	} {
		if _, err := sam3.ReadPoints(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}
