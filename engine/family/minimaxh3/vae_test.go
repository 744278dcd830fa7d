package minimaxh3_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

func autoencoder(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// clamped is x with its values in -1…1.
func clamped(x *tensor.Tensor) *tensor.Tensor {
	for i, v := range x.Data {
		x.Data[i] = min(max(v, -1), 1)
	}
	return x
}

// TestVideosEqualUpstream compares the VAE of videos: images, clips whose last one is filled up, clips that are blended, and tiles. The tolerance is ten
// times torch's own error in float32, about 1e-6.
func TestVideosEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/video", salt)
	v := autoencoder(t, src)
	decode := func(t *testing.T, name string, n, h, w int) {
		t.Helper()
		y, err := v.Decode(t.Context(), familytest.Runner{}, normal(fmt.Sprintf("z%dx%dx%d", n, h, w), 1, 24, n, h, w))
		if err != nil {
			t.Fatal(err)
		}
		if frames := v.Info().Frames(n); y.Dim(0) != frames {
			t.Errorf("%d latent frames are %d frames, %d were said", n, y.Dim(0), frames)
		}
		familytest.CompareEvery(t, stored, name, y, y.Shape, 13, near)
	}
	for _, n := range []int{1, 2, 4, 7, 12} {
		t.Run(fmt.Sprintf("decode%d", n), func(t *testing.T) {
			t.Parallel()
			decode(t, fmt.Sprintf("decode%d", n), n, 2, 3)
		})
	}
	t.Run("decodetiles", func(t *testing.T) {
		t.Parallel()
		decode(t, "decodetiles", 1, 18, 20)
	})
	for _, n := range []int{1, 5, 22} {
		t.Run(fmt.Sprintf("encode%d", n), func(t *testing.T) {
			t.Parallel()
			z, err := v.Encode(t.Context(), familytest.Runner{}, clamped(normal(fmt.Sprintf("p%d", n), n, 3, 32, 48)))
			if err != nil {
				t.Fatal(err)
			}
			familytest.CompareEvery(t, stored, fmt.Sprintf("encode%d", n), z, z.Shape, 1, near)
		})
	}
	t.Run("encodetiles", func(t *testing.T) {
		t.Parallel()
		z, err := v.Encode(t.Context(), familytest.Runner{}, clamped(normal("tiles", 1, 3, 288, 272)))
		if err != nil {
			t.Fatal(err)
		}
		familytest.CompareEvery(t, stored, "encodetiles", z, z.Shape, 3, near)
	})
	familytest.CheckCUDA(t, src, 2)
}

// TestSoundsEqualUpstream compares the VAE of audio and looks for CUDA kernels. The tolerance is ten times torch's own error in float32, about 1e-6.
func TestSoundsEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/sound", salt)
	v := autoencoder(t, src)
	y, err := v.Decode(t.Context(), familytest.Runner{}, sound("s", 30))
	if err != nil {
		t.Fatal(err)
	}
	familytest.CompareEvery(t, stored, "decode", y, []int{1, 2, 300}, 1, near)
	z, err := v.Encode(t.Context(), familytest.Runner{}, clamped(normal("wave", 1, 2, 297)))
	if err != nil {
		t.Fatal(err)
	}
	familytest.CompareEvery(t, stored, "encode", z, []int{1, 32, 2, 30}, 1, near)
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := v.Decode(t.Context(), run, tensor.New(1, 32, 2, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Encode(t.Context(), run, tensor.New(1, 2, 40)); err != nil {
			t.Fatal(err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

// TestBadVAEs gives the VAEs what does not fit, and files with parts missing.
func TestBadVAEs(t *testing.T) {
	t.Parallel()
	_, video := familytest.Recorded(t, "testdata/video", salt)
	_, sound := familytest.Recorded(t, "testdata/sound", salt)
	for name, c := range map[string]struct {
		src    weights.Source
		decode []int
		encode []int
		want   string
	}{
		"a latent of other channels": {video, []int{1, 16, 2, 2, 2}, nil, "24 channels"},
		"a latent of an image":       {video, []int{1, 24, 2, 2}, nil, "24 channels"},
		"a small image":              {video, nil, []int{1, 3, 16, 32}, "32 pixels or more"},
		"an image of odd size":       {video, nil, []int{1, 3, 33, 32}, "16 divides"},
		"grey images":                {video, nil, []int{1, 1, 32, 32}, "three channels"},
		"mono latents":               {sound, []int{1, 32, 1, 4}, nil, "[1,32,2,length]"},
		"mono audio":                 {sound, nil, []int{1, 1, 800}, "[1,2,samples]"},
		"no audio":                   {sound, nil, []int{1, 2, 0}, "[1,2,samples]"},
	} {
		v := autoencoder(t, c.src)
		var err error
		if c.decode != nil {
			_, err = v.Decode(t.Context(), familytest.Runner{}, tensor.New(c.decode...))
		} else {
			_, err = v.Encode(t.Context(), familytest.Runner{}, tensor.New(c.encode...))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.want)
		}
	}
	for name, src := range map[string]weights.Source{
		"registers without values": restated(video, "decoder.register_tokens", 1, 1<<31, 0), "tokens of no width": restated(video, "decoder.x_embedder.weight", 0, 96),
		"audio of no width": restated(sound, "dec_in_proj.weight", 0, 32, 1),
	} {
		if _, err := family.Open(family.Default, src).VAE(); err == nil || !strings.Contains(err.Error(), "reading the shape") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		src  weights.Source
		part string
		want string
	}{
		"no embedder":           {video, "x_embedder", "reading the shape"},
		"no latent convolution": {video, "post_quant_conv", "reading the shape"},
		"no statistics":         {sound, "latents_std", "latents_std"},
		"no vocoder":            {sound, "conv_pre", "reading the shape"},
		"one stage missing":     {sound, "decoder.ups.1", "samples of a value"},
	} {
		if _, err := family.Open(family.Default, familytest.Without(c.src, c.part)).VAE(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.want)
		}
	}
}
