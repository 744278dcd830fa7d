package engine_test

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
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

// file writes the case's weights by the recipe that its golden names.
func (c videoCase) file(t *testing.T) string {
	t.Helper()
	var tensors []safetensors.Tensor
	for _, w := range c.Weights {
		key := w[0].(string)
		var shape []int
		for _, n := range w[1].([]any) {
			shape = append(shape, int(n.(float64)))
		}
		amp := 0.05
		if !strings.HasSuffix(key, ".bias") {
			amp = math.Sqrt(3/float64(tensor.Count(shape[1:]))) * 1.2
		}
		x := golden.Uniform("taehv "+c.ID+" "+key, amp, 0, shape...)
		e := safetensors.Tensor{Name: key, DType: dtype.F32, Shape: shape}
		for _, v := range x.Data {
			if c.DType == "F16" {
				e.DType = dtype.F16
				e.Data = binary.LittleEndian.AppendUint16(e.Data, weights.F32ToF16(v))
			} else {
				e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(v))
			}
		}
		tensors = append(tensors, e)
	}
	path := filepath.Join(t.TempDir(), "tae.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return path
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
