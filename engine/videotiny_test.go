package engine_test

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

type videoCase struct {
	ID       string   `json:"id"`
	DType    string   `json:"dtype"`
	Channels int      `json:"channels"`
	Frames   int      `json:"frames"`
	Size     [2]int   `json:"size"`
	Images   int      `json:"pictures"`
	Weights  [][2]any `json:"weights"`
	Decoded  []int    `json:"decoded"`
	Encoded  []int    `json:"encoded"`
	Stride   int      `json:"stride"`
}

// file writes the case's file.
func (c videoCase) file(t *testing.T) string {
	t.Helper()
	return golden.TinyVideoVAE(t, c.ID, c.DType, c.Weights)
}

// Thirty layers of sums in another order; the image TAESD's are within 3e-6 too.
var videoTolerance = golden.Tolerance{RMSRel: 1e-5}

func TestVideoTinyVAEsEqualUpstream(t *testing.T) {
	t.Parallel()
	var g struct {
		Cases []videoCase `json:"cases"`
	}
	stored := golden.Load(t, "vae/taehv", &g)
	for _, c := range g.Cases {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			v, err := shared.LoadVAE(c.file(t))
			if err != nil {
				t.Fatal(err)
			}
			z := golden.Normal("taehv "+c.ID+" z", 1, c.Channels, c.Frames, c.Size[0], c.Size[1])
			y, err := v.Decode(t.Context(), z)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.Decoded; !slices.Equal(y.Shape, want) || v.Frames(c.Frames) != want[0] {
				t.Fatalf("the video is %v, want %v", y.Shape, want)
			}
			golden.Compare(t, "video", golden.Strided(y.Data, c.Stride), stored.Get(t, c.ID+"/out_s").Data, videoTolerance)
			side := v.Downscale()
			pixels := golden.Uniform("taehv "+c.ID+" px", 0.5, 1<<23, c.Images, c.Size[0]*side, c.Size[1]*side, 3)
			e, err := v.Encode(t.Context(), pixels)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.Shape, c.Encoded) {
				t.Fatalf("the latent is %v, want %v", e.Shape, c.Encoded)
			}
			golden.Compare(t, "latent", e.Data, stored.Get(t, c.ID+"/latent").Data, videoTolerance)
			if _, err := v.Decode(t.Context(), tensor.New(1, c.Channels+1, 1, 2, 2)); err == nil {
				t.Error("a latent of other channels was decoded")
			}
		})
	}
}

// TestVideoTinyDecoderForPreviews opens a video's decoder as previews do, and decodes one frame.
func TestVideoTinyDecoderForPreviews(t *testing.T) {
	t.Parallel()
	var g struct {
		Cases []videoCase `json:"cases"`
	}
	golden.JSON(t, "vae/taehv", &g)
	c := g.Cases[1]
	path := c.file(t)
	v, err := shared.LoadPreviewDecoder(path, c.Channels)
	if err != nil {
		t.Fatal(err)
	}
	y, err := v.Decode(t.Context(), golden.Normal("frame", 1, c.Channels, 3, 5))
	if err != nil || !slices.Equal(y.Shape, []int{1, 24, 40, 3}) {
		t.Errorf("got %v, %v", y, err)
	}
	if _, err := shared.LoadPreviewDecoder(path, 4); err == nil {
		t.Error("a decoder of 16 channels was taken for one of 4")
	}
}
