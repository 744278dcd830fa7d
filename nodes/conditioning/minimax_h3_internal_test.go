package conditioning

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	"comfygo/nodes/latent"
	"comfygo/tests/golden"
)

// h3Seen is what testdata/minimax_h3.py recorded of images.
type h3Seen struct {
	Type   string    `json:"type"`
	Shape  []int     `json:"shape"`
	Values []float64 `json:"values"`
}

type h3Recorded struct {
	Encoded []h3Seen         `json:"encoded"`
	Shown   []h3Seen         `json:"shown"`
	Entries []map[string]any `json:"entries"`
	Latent  [][]int          `json:"latent"`
}

func h3Image(name string, n, h, w, c int) *tensor.Tensor {
	return golden.Image("minimaxh3/"+name, n, h, w, c)
}

// same compares an image; the values are those of images of 8 bits, of which one may be rounded otherwise.
func (s h3Seen) same(x *tensor.Tensor) error {
	if x == nil || !slices.Equal(x.Shape, s.Shape) {
		return fmt.Errorf("shape %v, want %v", x.Shape, s.Shape)
	}
	for i, want := range s.Values {
		if d := math.Abs(float64(x.Data[i*997]) - want); d > 1.001/255 {
			return fmt.Errorf("value %d is %v, want %v", i*997, x.Data[i*997], want)
		}
	}
	return nil
}

func h3Records(t *testing.T) map[string]h3Recorded {
	t.Helper()
	var all struct {
		Start, Text, Guide, Clip, Match, Videos h3Recorded
	}
	if err := inner.ReadJSON("testdata/minimax_h3.json", &all); err != nil {
		t.Fatal(err)
	}
	return map[string]h3Recorded{"start": all.Start, "text": all.Text, "guide": all.Guide, "clip": all.Clip, "match": all.Match, "videos": all.Videos}
}

func TestMiniMaxH3KeyframesEqualUpstream(t *testing.T) {
	t.Parallel()
	records := h3Records(t)
	for name, n := range map[string]*MiniMaxH3ImageToVideo{
		"start": {Width: 96, Height: 64, Length: 20, FirstFrame: h3Image("first", 2, 40, 90, 3), LastFrame: h3Image("last", 1, 90, 40, 3)},
		"text":  {Width: 96, Height: 64, Length: 22},
	} {
		want := records[name]
		l, frames, err := latent.MiniMaxH3Latent(n.Width, n.Height, n.Length)
		if err != nil || !slices.Equal(l.Samples.Shape, want.Latent[0]) || !slices.Equal(l.Along[0].Shape, want.Latent[1]) {
			t.Fatalf("%s: latents %v, %v, want %v", name, l, err, want.Latent)
		}
		images, numbers, err := n.keyframes(t.Context(), frames)
		if err != nil || len(images) != len(want.Encoded) {
			t.Fatalf("%s: %d images, %v, want %d", name, len(images), err, len(want.Encoded))
		}
		for i, x := range images {
			if err := want.Encoded[i].same(x); err != nil {
				t.Errorf("%s: image %d: %v", name, i, err)
			}
			if float64(numbers[i]) != want.Entries[i]["resolved_frame_index"] {
				t.Errorf("%s: image %d is at %d, want %v", name, i, numbers[i], want.Entries[i])
			}
		}
	}
}

func TestMiniMaxH3GuidesEqualUpstream(t *testing.T) {
	t.Parallel()
	records := h3Records(t)
	l, _, err := latent.MiniMaxH3Latent(96, 64, 39)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*MiniMaxH3AddGuide{
		"guide": {FrameIdx: -3, Image: h3Image("guide", 3, 50, 70, 3)}, "clip": {FrameIdx: 10, Image: h3Image("guide", 24, 50, 70, 3)},
	} {
		want := records[name]
		n.Latent = l
		number, count, width, height, err := n.place()
		if err != nil || float64(number) != want.Entries[0]["resolved_frame_index"] {
			t.Fatalf("%s: at %d, %v, want %v", name, number, err, want.Entries)
		}
		x, err := h3Resize(t.Context(), "image", n.Image.Slice(0, count), width, height, "center")
		if err != nil {
			t.Fatal(err)
		}
		if err := want.Encoded[0].same(x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMiniMaxH3ReferencesEqualUpstream(t *testing.T) {
	t.Parallel()
	records := h3Records(t)
	sound := &media.Audio{Waveform: tensor.New(1, 2, 32000), SampleRate: 32000}
	grown := func(prefix string, values ...any) nodes.Grown {
		g := nodes.Grown{}
		for i, v := range values {
			if v != nil {
				g.Names, g.Values = append(g.Names, fmt.Sprintf("%s%d", prefix, i)), append(g.Values, v)
			}
		}
		return g
	}
	big := h3Image("big", 1, 150, 200, 3)
	for name, n := range map[string]*MiniMaxH3ReferenceToVideo{
		"match": {Width: 96, Height: 64, Length: 39, RefImageSize: "match", Images: grown("ref_image_", big, h3Image("small", 2, 33, 40, 3))},
		"videos": {
			Width: 96, Height: 64, Length: 39, RefImageSize: "max", Images: grown("ref_image_", big),
			Videos:      grown("ref_video_", h3Image("long", 45, 40, 60, 3), h3Image("short", 7, 70, 33, 3)),
			VideoAudios: grown("ref_video_audio_", nil, sound), Audios: grown("ref_audio_", sound),
		},
	} {
		want := records[name]
		list, err := n.references(t.Context(), 39)
		if err != nil || len(list) != len(want.Entries) {
			t.Fatalf("%s: %d references, %v, want %v", name, len(list), err, want.Entries)
		}
		encoded := want.Encoded
		for i, r := range list {
			kind, _ := want.Entries[i]["kind"].(string)
			if r.frames != nil {
				if err := encoded[0].same(r.frames); err != nil {
					t.Errorf("%s: %s: %v", name, r.name, err)
				}
				encoded = encoded[1:]
				if float64(r.width/h3Cell) != want.Entries[i]["latent_w"] || float64(r.height/h3Cell) != want.Entries[i]["latent_h"] {
					t.Errorf("%s: %s is %dx%d, want %v", name, r.name, r.width, r.height, want.Entries[i])
				}
			}
			if (r.sound != nil) != strings.Contains(kind, "audio") || !strings.HasPrefix(kind, r.kind) {
				t.Errorf("%s: %s is %s with audio %v, want %s", name, r.name, r.kind, r.sound != nil, kind)
			}
		}
		items := shown(list)
		if len(items) != len(want.Shown) {
			t.Fatalf("%s: %d are shown, want %d", name, len(items), len(want.Shown))
		}
		for i, s := range items {
			x := map[string]*tensor.Tensor{"image": s.Image, "video": s.Video}[want.Shown[i].Type]
			if x == nil {
				if s.Image != nil || s.Video != nil {
					t.Errorf("%s: %d is no audio", name, i)
				}
			} else if err := want.Shown[i].same(x); err != nil {
				t.Errorf("%s: %d: %v", name, i, err)
			}
		}
	}
	var canvas struct{ Canvas [][4]int }
	if err := inner.ReadJSON("testdata/minimax_h3.json", &canvas); err != nil || len(canvas.Canvas) == 0 {
		t.Fatal(err)
	}
	for _, c := range canvas.Canvas {
		if w, h := h3Canvas(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("the canvas of %v is %dx%d", c, w, h)
		}
	}
}

// TestMiniMaxH3BadInputs gives each class what it cannot use.
func TestMiniMaxH3BadInputs(t *testing.T) {
	t.Parallel()
	l, _, err := latent.MiniMaxH3Latent(96, 64, 39)
	if err != nil {
		t.Fatal(err)
	}
	image := h3Image("guide", 1, 50, 70, 3)
	cond := engine.Conditioning{{}}
	for name, c := range map[string]struct {
		node interface {
			Run(ctx *nodes.Context) (nodes.Result, error)
		}
		want string
	}{
		"a latent of images":        {&MiniMaxH3AddGuide{Positive: cond, Latent: engine.Latent{Samples: tensor.New(1, 4, 8, 8)}, Image: image}, "not one of video and audio"},
		"no guide":                  {&MiniMaxH3AddGuide{Positive: cond, Latent: l}, "neither an image nor audio"},
		"a frame after the end":     {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: image, FrameIdx: 39}, "do not fit"},
		"a frame before the start":  {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: image, FrameIdx: -40}, "do not fit"},
		"a clip over the end":       {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: h3Image("guide", 24, 8, 8, 3), FrameIdx: 18}, "22 frames"},
		"no VAE":                    {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: image}, "there is no VAE"},
		"no audio VAE":              {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Audio: &media.Audio{Waveform: tensor.New(1, 2, 900), SampleRate: 32000}}, "no audio VAE"},
		"an empty conditioning":     {&MiniMaxH3AddGuide{Latent: l, Image: image}, "conditioning is empty"},
		"a grey guide":              {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: tensor.New(1, 8, 8, 1)}, "three channels"},
		"an empty guide":            {&MiniMaxH3AddGuide{Positive: cond, Latent: l, Image: tensor.New(0, 8, 8, 3)}, "no pixels"},
		"no text encoder":           {&MiniMaxH3ImageToVideo{Width: 96, Height: 64, Length: 20}, "no text encoder"},
		"a grey frame":              {&MiniMaxH3ImageToVideo{Width: 96, Height: 64, Length: 20, FirstFrame: tensor.New(1, 8, 8, 1)}, "three channels"},
		"a short video":             {&MiniMaxH3ReferenceToVideo{Width: 96, Height: 64, Length: 20, Videos: nodes.Grown{Names: []string{"ref_video_0"}, Values: []any{h3Image("guide", 4, 8, 8, 3)}}}, "5 frames or more"},
		"an image that is no image": {&MiniMaxH3ReferenceToVideo{Width: 96, Height: 64, Length: 20, Images: nodes.Grown{Names: []string{"ref_image_0"}, Values: []any{"x"}}}, "no images"},
	} {
		if _, err := c.node.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.want)
		}
	}
}

// TestH3ResizeStops resizes a clip after the run was stopped.
func TestH3ResizeStops(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := h3Resize(stopped, "image", tensor.New(5, 8, 8, 3), 32, 32, "center"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
