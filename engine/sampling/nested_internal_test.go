package sampling

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

type nestedGolden struct {
	Cases []struct {
		ID        string  `json:"id"`
		Seed      string  `json:"seed"`
		BatchInds []int   `json:"batch_inds"`
		Shapes    [][]int `json:"shapes"`
		Shape     []int   `json:"shape"`
	} `json:"cases"`
}

// TestNestedNoiseAndMasksEqualUpstream: noise as in TestNoiseEqualsTorch; masks are means of two to eight values of up to 1, which
// torch adds up in another order.
func TestNestedNoiseAndMasksEqualUpstream(t *testing.T) {
	t.Parallel()
	var g nestedGolden
	stored := golden.Load(t, "noise/nested", &g)
	for _, c := range g.Cases {
		if c.Shapes == nil {
			got, err := NoiseMask(stored.Get(t, c.ID+"/mask"), c.Shape)
			if err != nil {
				t.Errorf("%s: %v", c.ID, err)
				continue
			}
			golden.Compare(t, c.ID, got.Data, stored.Get(t, c.ID+"/out").Data, golden.Tolerance{MaxAbs: 3e-7})
			continue
		}
		seed, err := strconv.ParseUint(c.Seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := PrepareNestedNoise(c.Shapes, seed, c.BatchInds)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		packed, err := Pack(parts)
		if err != nil {
			t.Fatal(err)
		}
		want := stored.Get(t, c.ID+"/packed")
		if !slices.Equal(packed.Shape, want.Shape) {
			t.Errorf("%s: shape %v, want %v", c.ID, packed.Shape, want.Shape)
		}
		golden.Compare(t, c.ID, packed.Data, want.Data, golden.Tolerance{MaxAbs: 5e-7})
		again, err := Unpack(packed, c.Shapes)
		if err != nil {
			t.Fatal(err)
		}
		for i := range parts {
			if !slices.Equal(again[i].Data, parts[i].Data) || !slices.Equal(again[i].Shape, parts[i].Shape) {
				t.Errorf("%s: part %d changes on its way", c.ID, i)
			}
		}
	}
}

// halver predicts half of its input as noise, part by part.
type halver struct{ seen [][]int }

func (h *halver) Predict(_ context.Context, x *tensor.Tensor, _ []float32, in Inputs) (*tensor.Tensor, error) {
	parts, err := Unpack(x, in.Parts)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		h.seen = append(h.seen, p.Shape)
	}
	return sum(term{0.5, x}), nil
}

// TestPartsAreSampledAsIfAlone compares a video with its sound, of which a mask protects a part, to the arithmetic of one packed latent.
func TestPartsAreSampledAsIfAlone(t *testing.T) {
	t.Parallel()
	m, err := NewModelSampling(EPS, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	video, sound := golden.Normal("video", 1, 4, 2, 3, 3), golden.Normal("sound", 1, 2, 8)
	silence := tensor.New(1, 1, 8) // protects all
	net := &halver{}
	tokens := []Cond{{Tokens: tensor.New(1, 1, 1)}}
	p := Params{
		Network: net, Model: m, Format: LatentFormat{Scale: 1}, Positive: tokens, Negative: tokens, CFG: 2,
		Latent: video, Along: []*tensor.Tensor{sound}, AlongMasks: []*tensor.Tensor{silence}, Seed: 3,
	}
	steps := 0
	p.OnStep = func(s Step) {
		parts, err := Unpack(s.Denoised, s.Parts)
		if steps++; err != nil || len(parts) != 2 || !slices.Equal(parts[0].Shape, video.Shape) {
			t.Errorf("step %d tells of parts %v, %v", s.Index, parts, err)
		}
	}
	out, guess, err := SampleParts(t.Context(), p, &samplers[0], []float32{10, 3, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	if steps != 3 || len(out) != 2 || len(guess) != 2 || !slices.Equal(out[0].Shape, video.Shape) || !slices.Equal(out[1].Shape, sound.Shape) {
		t.Fatalf("got %v and %v after %d steps", out, guess, steps)
	}
	golden.Compare(t, "the protected sound", out[1].Data, sound.Data, golden.Tolerance{MaxAbs: 1e-5})
	if d := golden.Difference(out[0].Data, video.Data); d.RMSRel < 0.1 {
		t.Errorf("the video has not changed: %v", d)
	}
	if want := []int{2, 4, 2, 3, 3}; !slices.Equal(net.seen[0], want) { // both sides of the guidance in one batch
		t.Errorf("the network saw %v, want %v", net.seen[0], want)
	}
}

func TestNestedLatentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := Params{Latent: tensor.New(1, 4, 2, 2), Along: []*tensor.Tensor{tensor.New(2, 1, 3)}}
	if _, _, err := SampleParts(t.Context(), p, &samplers[0], []float32{1, 0}); err == nil {
		t.Error("parts with different rows were accepted")
	}
	p.Along[0] = nil
	if _, _, err := SampleParts(t.Context(), p, &samplers[0], []float32{1, 0}); err == nil {
		t.Error("a missing part was accepted")
	}
	if _, err := Unpack(tensor.New(1, 1, 5), [][]int{{1, 2, 2}}); err == nil {
		t.Error("a packed latent of another size was unpacked")
	}
	for _, shape := range [][]int{{1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}} {
		if _, err := NoiseMask(tensor.New(0, 1), shape); err == nil {
			t.Errorf("an empty mask was accepted for %v", shape)
		}
	}
	if _, err := NoiseMask(tensor.New(4), []int{1, 2, 3, 4}); err == nil {
		t.Error("a line was accepted for an image's mask")
	}
}
