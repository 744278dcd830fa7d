package sampling_test

import (
	"context"
	"image"
	"image/color"
	_ "image/png"
	"maps"
	"os"
	"sync"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/sampling"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// runtime is the one of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, &runtime, nil)) }

// whole is the allowance for a whole pipeline's latent: 5e-5 of its rms, where the reference's own float32 is 2.5e-6 off.
var whole = golden.Tolerance{RMSRel: 5e-5}

// TestWorkflowsEqualUpstream runs the sampling part of workflows that ComfyUI ran: the samplers on a real network, and
// conditionings with areas, masks, time ranges and inpainting.
func TestWorkflowsEqualUpstream(t *testing.T) {
	t.Parallel()
	var cases map[string]map[string]step
	want := golden.Load(t, "pipeline/sampling", &cases)
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &workflow{t: t, steps: steps, done: map[string][]any{}}
			for id, s := range steps {
				if s.Class == "SaveLatent" {
					got := w.eval(id)[0].(engine.Latent)
					golden.Compare(t, name, got.Samples.Data, want.Get(t, name).Data, whole)
				}
			}
		})
	}
}

// step is a node of a workflow.
type step struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}

// workflow runs steps; what is not a sampling node is done by hand, as the node of that name does it.
type workflow struct {
	t     *testing.T
	steps map[string]step
	done  map[string][]any
}

func (w *workflow) eval(id string) []any {
	w.t.Helper()
	if out, ok := w.done[id]; ok {
		return out
	}
	run, ok := classes[w.steps[id].Class]
	if !ok {
		w.t.Fatalf("no class %s", w.steps[id].Class)
	}
	out, err := run(w, w.steps[id])
	if err != nil {
		w.t.Fatalf("%s: %v", w.steps[id].Class, err)
	}
	w.done[id] = out
	return out
}

// in returns an input: a constant or what its link delivers.
func in[T any](w *workflow, s step, name string) T {
	w.t.Helper()
	v := s.Inputs[name]
	if link, ok := v.([]any); ok {
		v = w.eval(link[0].(string))[int(link[1].(float64))]
	}
	out, ok := v.(T)
	if !ok {
		w.t.Fatalf("input %s of %s is %T", name, s.Class, v)
	}
	return out
}

func number(w *workflow, s step, name string) int { return int(in[float64](w, s, name)) }

type runner = func(w *workflow, s step) ([]any, error)

var classes = map[string]runner{}

func init() {
	maps.Copy(classes, latentClasses)
	maps.Copy(classes, conditioningClasses)
}

var (
	latentClasses = map[string]runner{
		"CheckpointLoaderSimple": func(w *workflow, s step) ([]any, error) {
			name := in[string](w, s, "ckpt_name")
			m, c, v, err := runtime.LoadCheckpoint(golden.Checkpoint(w.t, name[:len(name)-len(".safetensors")]))
			return []any{m, c, v}, err
		},
		"CLIPTextEncode": encodeText,
		"LoadImage":      loadImage,
		"VAEEncode": func(w *workflow, s step) ([]any, error) {
			z, err := in[*engine.VAE](w, s, "vae").Encode(w.t.Context(), in[*tensor.Tensor](w, s, "pixels"))
			return []any{engine.Latent{Samples: z}}, err
		},
		"EmptyLatentImage": func(w *workflow, s step) ([]any, error) {
			z := tensor.New(number(w, s, "batch_size"), 4, number(w, s, "height")/8, number(w, s, "width")/8)
			return []any{engine.Latent{Samples: z, DownscaleRatio: 8}}, nil
		},
		"LatentFromBatch": func(w *workflow, s step) ([]any, error) {
			l, from, n := in[engine.Latent](w, s, "samples"), number(w, s, "batch_index"), number(w, s, "length")
			l.Samples, l.BatchIndex = l.Samples.Slice(from, from+n), nil
			for i := range n {
				l.BatchIndex = append(l.BatchIndex, from+i)
			}
			return []any{l}, nil
		},
		"SetLatentNoiseMask": func(w *workflow, s step) ([]any, error) {
			l := in[engine.Latent](w, s, "samples")
			l.NoiseMask = in[*tensor.Tensor](w, s, "mask")
			return []any{l}, nil
		},
		"SaveLatent": func(w *workflow, s step) ([]any, error) { return []any{in[engine.Latent](w, s, "samples")}, nil },
		"KSampler": func(w *workflow, s step) ([]any, error) {
			return runNode(w, &sampling.KSampler{
				Model: in[*engine.Model](w, s, "model"), Seed: uint64(number(w, s, "seed")), Steps: number(w, s, "steps"),
				CFG: in[float64](w, s, "cfg"), Sampler: in[string](w, s, "sampler_name"), Scheduler: in[string](w, s, "scheduler"),
				Positive: in[engine.Conditioning](w, s, "positive"), Negative: in[engine.Conditioning](w, s, "negative"),
				Latent: in[engine.Latent](w, s, "latent_image"), Denoise: in[float64](w, s, "denoise"),
			})
		},
		"KSamplerAdvanced": func(w *workflow, s step) ([]any, error) {
			return runNode(w, &sampling.KSamplerAdvanced{
				Model: in[*engine.Model](w, s, "model"), Seed: uint64(number(w, s, "noise_seed")), Steps: number(w, s, "steps"),
				CFG: in[float64](w, s, "cfg"), Sampler: in[string](w, s, "sampler_name"), Scheduler: in[string](w, s, "scheduler"),
				Positive: in[engine.Conditioning](w, s, "positive"), Negative: in[engine.Conditioning](w, s, "negative"),
				Latent: in[engine.Latent](w, s, "latent_image"), AddNoise: in[string](w, s, "add_noise"),
				Start: number(w, s, "start_at_step"), End: number(w, s, "end_at_step"), Leftover: in[string](w, s, "return_with_leftover_noise"),
			})
		},
	}
	conditioningClasses = map[string]runner{
		"ConditioningCombine": func(w *workflow, s step) ([]any, error) {
			a, b := in[engine.Conditioning](w, s, "conditioning_1"), in[engine.Conditioning](w, s, "conditioning_2")
			return []any{append(append(engine.Conditioning{}, a...), b...)}, nil
		},
		"ConditioningConcat": func(w *workflow, s step) ([]any, error) {
			a, b := in[engine.Conditioning](w, s, "conditioning_to")[0].Tokens, in[engine.Conditioning](w, s, "conditioning_from")[0].Tokens
			both := tensor.New(1, a.Dim(1)+b.Dim(1), a.Dim(2))
			copy(both.Data[copy(both.Data, a.Data):], b.Data)
			return []any{engine.Conditioning{{Tokens: both}}}, nil
		},
		"ConditioningAverage": func(w *workflow, s step) ([]any, error) {
			a, b := in[engine.Conditioning](w, s, "conditioning_to")[0].Tokens, in[engine.Conditioning](w, s, "conditioning_from")[0].Tokens
			mean, share := tensor.New(a.Shape...), float32(in[float64](w, s, "conditioning_to_strength"))
			for i := range mean.Data {
				mean.Data[i] = a.Data[i]*share + b.Data[i]*(1-share)
			}
			return []any{engine.Conditioning{{Tokens: mean}}}, nil
		},
		"ConditioningZeroOut": func(w *workflow, s step) ([]any, error) {
			c := in[engine.Conditioning](w, s, "conditioning")[0]
			return []any{engine.Conditioning{{Tokens: tensor.New(c.Tokens.Shape...)}}}, nil
		},
		"ConditioningSetArea": func(w *workflow, s step) ([]any, error) {
			cells := func(name string) float64 { return float64(number(w, s, name) / 8) }
			area := es.Area{Size: []float64{cells("height"), cells("width")}, Offset: []float64{cells("y"), cells("x")}}
			return w.with(s, map[string]any{"area": area, "strength": in[float64](w, s, "strength")}), nil
		},
		"ConditioningSetAreaPercentage": func(w *workflow, s step) ([]any, error) {
			share := func(name string) float64 { return in[float64](w, s, name) }
			area := es.Area{Size: []float64{share("height"), share("width")}, Offset: []float64{share("y"), share("x")}, Percent: true}
			return w.with(s, map[string]any{"area": area, "strength": share("strength")}), nil
		},
		"ConditioningSetMask": func(w *workflow, s step) ([]any, error) {
			return w.with(s, map[string]any{
				"mask": in[*tensor.Tensor](w, s, "mask"), "mask_strength": in[float64](w, s, "strength"),
				"set_area_to_bounds": in[string](w, s, "set_cond_area") != "default",
			}), nil
		},
		"ConditioningSetTimestepRange": func(w *workflow, s step) ([]any, error) {
			return w.with(s, map[string]any{"start_percent": in[float64](w, s, "start"), "end_percent": in[float64](w, s, "end")}), nil
		},
		"InpaintModelConditioning": inpaintConditioning,
	}
)

// with returns the step's conditioning with other values.
func (w *workflow) with(s step, values map[string]any) []any {
	return []any{withValues(in[engine.Conditioning](w, s, "conditioning"), values)}
}

func withValues(c engine.Conditioning, values map[string]any) engine.Conditioning {
	out := append(engine.Conditioning{}, c...)
	for i := range out {
		out[i].Values = values
	}
	return out
}

// encoded keeps text encodings by checkpoint and text: all workflows use few.
var encoded sync.Map

func encodeText(w *workflow, s step) ([]any, error) {
	clip, text := in[*engine.CLIP](w, s, "clip"), in[string](w, s, "text")
	loader := w.steps[s.Inputs["clip"].([]any)[0].(string)]
	key := loader.Class + "/" + in[string](w, loader, "ckpt_name") + "/" + text
	once, _ := encoded.LoadOrStore(key, sync.OnceValues(func() ([]any, error) {
		c, err := clip.Encode(context.Background(), text) // for the tests to come too
		return []any{c}, err
	}))
	return once.(func() ([]any, error))()
}

func runNode(w *workflow, n nodes.Node) ([]any, error) {
	r, err := n.Run(nodes.TestContext(w.t.Context(), nodes.Services{}))
	return r.Values, err
}

// loadImage returns the image [1,H,W,3] and the mask [1,H,W] of what is transparent.
func loadImage(w *workflow, s step) ([]any, error) {
	f, err := os.Open(golden.Path(w.t, "inputs/"+in[string](w, s, "image")))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pic, _, err := image.Decode(f)
	if err != nil {
		return nil, err
	}
	width, height := pic.Bounds().Dx(), pic.Bounds().Dy()
	pixels, mask := tensor.New(1, height, width, 3), tensor.New(1, height, width)
	for i := range width * height {
		c := color.NRGBAModel.Convert(pic.At(i%width, i/width)).(color.NRGBA)
		for k, v := range []uint8{c.R, c.G, c.B} {
			pixels.Data[3*i+k] = float32(v) / 255
		}
		mask.Data[i] = 1 - float32(c.A)/255
	}
	return []any{pixels, mask}, nil
}

// inpaintConditioning greys out what is masked; the image's sides are multiples of 8 and the mask is of its size.
func inpaintConditioning(w *workflow, s step) ([]any, error) {
	vae, pixels, mask := in[*engine.VAE](w, s, "vae"), in[*tensor.Tensor](w, s, "pixels"), in[*tensor.Tensor](w, s, "mask")
	grey := pixels.Clone()
	for i, m := range mask.Data {
		if m > 0.5 {
			for k := range 3 {
				grey.Data[3*i+k] = 0.5
			}
		}
	}
	concat, err := vae.Encode(w.t.Context(), grey)
	if err != nil {
		return nil, err
	}
	start, err := vae.Encode(w.t.Context(), pixels)
	if err != nil {
		return nil, err
	}
	values := map[string]any{"concat_latent_image": concat, "concat_mask": mask}
	return []any{
		withValues(in[engine.Conditioning](w, s, "positive"), values), withValues(in[engine.Conditioning](w, s, "negative"), values),
		engine.Latent{Samples: start, NoiseMask: mask},
	}, nil
}

func TestModelOfOtherWidthIsAnError(t *testing.T) {
	t.Parallel()
	m, err := runtime.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	cond := engine.Conditioning{{Tokens: tensor.New(1, 77, 1024)}}
	n := &sampling.KSampler{
		Model: m, Steps: 2, CFG: 7, Sampler: "euler", Scheduler: "normal", Denoise: 1, Positive: cond, Negative: cond,
		Latent: engine.Latent{Samples: tensor.New(1, 4, 8, 8)},
	}
	if _, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{})); err == nil {
		t.Error("a text encoding of another model's width was accepted")
	}
}
