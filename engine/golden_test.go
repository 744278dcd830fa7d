package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/ortlib"
	"comfygo/tests/golden"
)

// shared is the runtime of all tests: a process can have one library open.
var shared *engine.Runtime

var setEmbedding sync.Once

// embedding is the file of the golden prompts' textual inversion.
var embedding string

func TestMain(m *testing.M) {
	shared = engine.New(engine.Config{
		Library:    func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Embeddings: func(name string) (string, bool) { return embedding, name == "emb_test" },
		Lean:       os.Getenv("COMFYGO_TEST_LEAN") != "",
		Prepared:   os.Getenv("COMFYGO_TEST_PREPARED") != "",
		Log:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fp32 bounds single networks: ten times what torch's own float32 differs from float64 there (1.1e-6 to 1.5e-6,
// shared tolerance table), rounded up.
var fp32 = golden.Tolerance{RMSRel: 1.5e-5}

// repeat returns n copies of a [1,…] tensor along the first axis.
func repeat(t *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(append([]int{n}, t.Shape[1:]...)...)
	for i := range n {
		copy(out.Index(i).Data, t.Data)
	}
	return out
}

func TestUNetForward(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ golden, checkpoint string }{
		{"sd15", "sd15-small"}, {"sd15-154", "sd15-small"}, {"sd15-inpaint", "sd15-small-inpaint"},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			var info struct {
				Cases []struct {
					ID   string
					Cond []struct {
						CrossAttn []any `json:"cross_attn"`
					}
					Sigmas []float32
				}
			}
			stored := golden.Load(t, "forward/"+c.golden, &info)
			m, err := shared.LoadModel(golden.Checkpoint(t, c.checkpoint), dtype.Invalid)
			if err != nil {
				t.Fatal(err)
			}
			for _, cs := range info.Cases {
				name := cs.Cond[0].CrossAttn[0].(string)
				dims := cs.Cond[0].CrossAttn[1].([]any)
				cond := golden.Normal(name, 1, int(dims[1].(float64)), int(dims[2].(float64)))
				for i := range cs.Sigmas {
					at := fmt.Sprintf("%s/%d.", cs.ID, i)
					x := stored.Get(t, at+"x")
					got, err := m.Predict(t.Context(), x, stored.Get(t, at+"timestep").Data, sampling.Text(repeat(cond, x.Dim(0))))
					if err != nil {
						t.Fatal(err)
					}
					golden.Compare(t, c.golden+" "+at+"out", got.Data, stored.Get(t, at+"out").Data, fp32)
				}
			}
		})
	}
}

func TestTextEncode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ golden, checkpoint string }{{"sd15_encode", "sd15-small"}, {"clip_l", "clip-l"}} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			var info struct {
				Cases []struct {
					ID, Prompt string
					Skip       *int `json:"clip_skip"`
				}
			}
			stored := golden.Load(t, "text/"+c.golden, &info)
			setEmbedding.Do(func() { embedding = golden.Checkpoint(t, "emb-test") })
			clip, err := shared.LoadCLIP("stable_diffusion", golden.Checkpoint(t, c.checkpoint))
			if err != nil {
				t.Fatal(err)
			}
			for _, cs := range info.Cases {
				enc := clip
				if cs.Skip != nil {
					enc = clip.WithLayer(*cs.Skip)
				}
				got, err := enc.Encode(t.Context(), cs.Prompt)
				if err != nil {
					t.Fatal(err)
				}
				what := c.golden + " " + cs.ID
				if stored.Has(cs.ID + "/cond") {
					golden.Compare(t, what, got[0].Tokens.Data, stored.Get(t, cs.ID+"/cond").Data, fp32)
				} else {
					golden.Compare(t, what, golden.Strided(got[0].Tokens.Data, 13), stored.Get(t, cs.ID+"/cond_s13").Data, fp32)
				}
				golden.Compare(t, what+" pooled", got[0].Pooled.Data, stored.Get(t, cs.ID+"/pooled").Data, fp32)
			}
		})
	}
}

func TestVAE(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sd15-small", "vae-sd", "taesd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var info struct {
				Cases []struct {
					ID, Op, Latent, Image string
					Amp                   float32
					LatentShape           []int `json:"latent_shape"`
					ImageShape            []int `json:"image_shape"`
					Tile, Overlap         int
				}
			}
			stored := golden.Load(t, "vae/"+name, &info)
			vae, err := shared.LoadVAE(golden.Checkpoint(t, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range info.Cases {
				var in *tensor.Tensor
				if c.Latent != "" {
					in = golden.Scale(golden.Normal(c.Latent, c.LatentShape...), c.Amp)
				} else {
					in = golden.Image(c.Image, c.ImageShape[0], c.ImageShape[1], c.ImageShape[2], c.ImageShape[3])
				}
				got, err := runVAE(t.Context(), vae, c.Op, in, c.Tile, c.Overlap)
				if err != nil {
					t.Fatal(err)
				}
				// Encoding differs from float64 by 3.5e-6 in torch itself.
				tol := golden.Tolerance{RMSRel: 3.5e-5}
				if stored.Has(c.ID + "/out") {
					golden.Compare(t, name+" "+c.ID, got.Data, stored.Get(t, c.ID+"/out").Data, tol)
				} else {
					golden.Compare(t, name+" "+c.ID, golden.Strided(got.Data, 7), stored.Get(t, c.ID+"/out_s7").Data, tol)
				}
			}
		})
	}
}

func runVAE(ctx context.Context, v *engine.VAE, op string, in *tensor.Tensor, tile, overlap int) (*tensor.Tensor, error) {
	switch op {
	case "decode":
		return v.Decode(ctx, in)
	case "encode":
		return v.Encode(ctx, in)
	case "decode_tiled":
		return v.DecodeTiled(ctx, in, tile, tile, overlap, nil)
	case "encode_tiled":
		return v.EncodeTiled(ctx, in, tile, tile, overlap, nil)
	}
	return nil, fmt.Errorf("unknown operation %q", op)
}
