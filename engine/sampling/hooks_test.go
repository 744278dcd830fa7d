package sampling_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

func conds(v float32) []sampling.Cond { return []sampling.Cond{{Tokens: tokens(77, v)}} }

// TestGuiders checks the formulas on predictions that are the same everywhere.
func TestGuiders(t *testing.T) {
	t.Parallel()
	second := oneStep(t, &probe{then: func(_ int, out *tensor.Tensor) {
		for i := range out.Data {
			out.Data[i] *= 10
		}
	}})
	for name, c := range map[string]struct {
		guider *sampling.Guider
		want   float32
		rows   int // of latents in all, two to a prediction
	}{
		"basic":             {sampling.BasicGuider(conds(2)), 2, 2},
		"cfg":               {sampling.CFGGuider(conds(2), conds(-1), 3), -1 + 3*3, 4},
		"cfg 1":             {sampling.CFGGuider(conds(2), conds(-1), 1), 2, 2},
		"dual":              {sampling.DualCFGGuider(conds(2), conds(1), conds(-1), 3, 4, false), -1 + 4*2 + 3*1, 6},
		"dual, second at 1": {sampling.DualCFGGuider(conds(2), conds(1), conds(-1), 3, 1, false), 1 + 3*1, 4},
		"dual, both at 1":   {sampling.DualCFGGuider(conds(2), conds(1), conds(-1), 1, 1, false), 2, 2},
		"nested":            {sampling.DualCFGGuider(conds(2), conds(1), conds(-1), 3, 4, true), -1 + 4*((1+3*1)+1), 6},
		"perpneg":           {sampling.PerpNegGuider(conds(2), conds(-1), conds(0.5), 3, 1), 0.5 + 3*1.5, 6},
		"perpneg of 0":      {sampling.PerpNegGuider(conds(2), conds(-1), conds(0.5), 1, 0), 2, 2},
		"two models":        {sampling.DualModelGuider(conds(2), conds(-1), 3, second), -10 + 3*12, 2},
		"two models, cfg 1": {sampling.DualModelGuider(conds(2), conds(-1), 1, second), 2, 2},
	} {
		net := &probe{}
		p := oneStep(t, net)
		p.Positive, p.Negative, p.Guider = nil, nil, c.guider
		if got := guided(t, p)[0]; !near(got, c.want) {
			t.Errorf("%s: the guided prediction is %v, want %v", name, got, c.want)
		}
		rows := 0
		for _, s := range net.shapes {
			rows += s[0]
		}
		if rows != c.rows {
			t.Errorf("%s: %d rows were predicted, want %d", name, rows, c.rows)
		}
	}
}

// TestHooksComposeInOrder adds hooks to hooks: each gets the result of the one before, and the first ones stay unchanged.
func TestHooksComposeInOrder(t *testing.T) {
	t.Parallel()
	add := func(v float32) sampling.AfterFunc {
		return func(_ context.Context, g sampling.Guidance, d *tensor.Tensor) (*tensor.Tensor, error) {
			out := d.Clone()
			for i := range out.Data { // in terms of the noise that is left
				noise := (g.X.Data[i] - out.Data[i]) / g.Sigma
				out.Data[i] = g.X.Data[i] - (noise*2+v)*g.Sigma
			}
			return out, nil
		}
	}
	base := sampling.Hooks{}.WithAfter(add(1))
	left, right := base.WithAfter(add(10)), base.WithAfter(add(100))
	for _, c := range []struct {
		hooks sampling.Hooks
		want  float32
	}{{sampling.Hooks{}, 5}, {base, 11}, {left, 32}, {right, 122}} {
		p := oneStep(t, &probe{})
		p.Hooks = c.hooks
		if got := guided(t, p)[0]; math.Abs(float64(got-c.want)) > 1e-3 {
			t.Errorf("%d hooks give %v, want %v", len(c.hooks.After), got, c.want)
		}
	}
}

func TestScaleRanges(t *testing.T) {
	t.Parallel()
	all := sampling.ScaleRange{Low: 0, High: 1e9, Scale: 2}
	none := sampling.ScaleRange{Low: 0, High: 1, Scale: 7}
	one := sampling.ScaleRange{Low: 0, High: 1e9, Scale: 1}
	for _, c := range []struct {
		ranges []sampling.ScaleRange
		want   float32
		rows   int
	}{{nil, 5, 4}, {[]sampling.ScaleRange{all, none}, 3, 4}, {[]sampling.ScaleRange{none, one, all}, 3, 4}, {[]sampling.ScaleRange{all, one}, 1, 2}} {
		net := &probe{}
		p := oneStep(t, net)
		for _, r := range c.ranges {
			p.Hooks = p.Hooks.WithScale(r)
		}
		if got := guided(t, p)[0]; !near(got, c.want) || net.shapes[0][0] != c.rows {
			t.Errorf("%v: %v from %d rows, want %v from %d", c.ranges, got, net.shapes[0][0], c.want, c.rows)
		}
	}
}

func TestBothSidesAndMasks(t *testing.T) {
	t.Parallel()
	net := &probe{}
	p := oneStep(t, net)
	p.CFG, p.Hooks.BothSides = 1, true
	if got := guided(t, p)[0]; !near(got, 1) || net.shapes[0][0] != 4 {
		t.Errorf("%v from %d rows, want 1 from 4", got, net.shapes[0][0])
	}
	p = oneStep(t, &probe{})
	p.Latent.Data[0], p.Latent.Data[1] = 3, 3
	p.NoiseMask = tensor.New(1, 16, 16) // protects everything except the hook
	p.Hooks.Mask = func(info sampling.MaskInfo, mask *tensor.Tensor) *tensor.Tensor {
		out := mask.Clone()
		if info.Sigma == info.Sigmas[0] && info.Model != nil {
			out.Data[1] = 1
		}
		return out
	}
	out, err := sampling.Sample(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Data[0] != 3 || out.Data[1] == 3 {
		t.Errorf("the protected value became %v and the other %v", out.Data[0], out.Data[1])
	}
}

// TestPerpNegHookEqualsItsGuider compares the two forms, which predict the empty conditioning together with the others or apart.
func TestPerpNegHookEqualsItsGuider(t *testing.T) {
	t.Parallel()
	wave := func() *probe { // predictions in different directions
		return &probe{then: func(_ int, out *tensor.Tensor) {
			for i := range out.Data {
				out.Data[i] *= float32(math.Sin(float64(i%1024) * float64(1+out.Data[i])))
			}
		}}
	}
	p := oneStep(t, wave())
	p.Guider = sampling.PerpNegGuider(conds(1), conds(-1), conds(0.5), 3, 0.7)
	want := guided(t, p)
	p = oneStep(t, wave())
	p.Hooks = p.Hooks.WithCombine(sampling.PerpNegCombine(conds(0.5), 0.7))
	for i, got := range guided(t, p) {
		if math.Abs(float64(got-want[i])) > 1e-5 {
			t.Fatalf("value %d is %v by the hook and %v by the guider", i, got, want[i])
		}
	}
}

// TestGuidanceFormulas checks hooks by the properties of their formulas.
func TestGuidanceFormulas(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	row := func(v ...float32) *tensor.Tensor { return &tensor.Tensor{Shape: []int{1, len(v), 1, 1}, Data: v} }
	g := sampling.Guidance{
		X: row(0, 0), Sigma: 1, Scale: 4, Model: m, Cond: row(3, 4), Uncond: row(1, 0), HasCond: true, HasUncond: true,
	}
	same := func(name string, hook sampling.AfterFunc, denoised *tensor.Tensor, want ...float32) {
		t.Helper()
		got, err := hook(t.Context(), g, denoised)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if !near(got.Data[i], w) {
				t.Errorf("%s gives %v, want %v", name, got.Data, want)
				return
			}
		}
	}
	same("a guided prediction that is too long", sampling.CFGNorm(1), row(9, 12), 3, 4)
	same("a guided prediction that is short", sampling.CFGNorm(0.5), row(0.3, 0.4), 0.15, 0.2)
	same("a factor of 2 on the noise", sampling.EpsilonScaling(2), row(4, 2), 2, 1)
	same("no rescaling in time", sampling.TemporalRescaling(1, 1), row(4, 2), 4, 2)
	// The projection of cond on uncond is 3: u + 4*(c - 3u) + (3 - 1)*u with the guided prediction u + 4*(c - u).
	same("a scaled negative side", sampling.CFGZeroStar(), row(9, 16), 9+2-4*2, 16)
	ctx := t.Context()
	noise, err := sampling.CFGNormNoise(1)(ctx, g)
	if err != nil || !near(float32(math.Hypot(float64(noise.Data[0]), float64(noise.Data[1]))), 5) {
		t.Errorf("the guided noise is %v (%v), want the length 5", noise, err)
	}
	// Full rescaling gives the guided velocity the spread of the positive one.
	spread := func(v []float32) float64 { return math.Abs(float64(v[0] - v[1])) }
	if noise, err = sampling.RescaleCFG(1)(ctx, g); err != nil || math.Abs(spread(noise.Data)-1) > 1e-5 {
		t.Errorf("the rescaled noise is %v (%v), want a spread of 1", noise, err)
	}
	if noise, err = sampling.RescaleCFG(0)(ctx, g); err != nil || math.Abs(spread(noise.Data)-7) > 1e-5 {
		t.Errorf("the noise that is not rescaled is %v (%v), want a spread of 7", noise, err)
	}
}

// TestAPGRemembers gives a hook with momentum falling levels and then a rising one, at which it starts anew.
func TestAPGRemembers(t *testing.T) {
	t.Parallel()
	f := sampling.APG(1, 0, -0.5)
	row := func(v ...float32) *tensor.Tensor { return &tensor.Tensor{Shape: []int{1, len(v), 1, 1}, Data: v} }
	for i, c := range []struct {
		sigma, want float32
	}{{3, 1 + 0.5}, {2, 0.5 + 0.5}, {1, 0.75 + 0.5}, {3, 1 + 0.5}} {
		out, err := f(t.Context(), sampling.Guidance{Sigma: c.sigma, Scale: 2}, []*tensor.Tensor{row(1, 1), row(0, 0)})
		if err != nil || !near(out[0].Data[0], c.want) {
			t.Errorf("call %d gives %v (%v), want %v", i, out[0].Data, err, c.want)
		}
	}
}

// options is a network that predicts the value of its options.
type options struct{}

func (options) Predict(_ context.Context, x *tensor.Tensor, _ []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	out := tensor.New(x.Shape...)
	layers, _ := in.Options["layers"].(int)
	for i := range out.Data {
		out.Data[i] = in.Get(sampling.InputContext).Data[0] + float32(layers)
	}
	return out, nil
}

// TestHooksPredictAgain guides away from what a network without some of its layers predicts, and ends with the hook's error.
func TestHooksPredictAgain(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	p := oneStep(t, options{})
	p.Options = map[string]any{"layers": 100}
	p.CFG = 1
	p.Hooks = p.Hooks.WithAfter(func(ctx context.Context, g sampling.Guidance, d *tensor.Tensor) (*tensor.Tensor, error) {
		skipped, err := g.Again(ctx, false, map[string]any{"layers": 7})
		if err != nil {
			return nil, err
		}
		out := d.Clone()
		for i, s := range skipped.Data {
			out.Data[i] += 2 * (d.Data[i] - s)
		}
		return out, nil
	})
	if got := guided(t, p)[0]; math.Abs(float64(got-(101+2*(101-8)))) > 1e-3 {
		t.Errorf("the guided prediction is %v, want %v", got, 101+2*(101-8))
	}
	p.Hooks = p.Hooks.WithAfter(func(context.Context, sampling.Guidance, *tensor.Tensor) (*tensor.Tensor, error) { return nil, broken })
	if _, err := sampling.Sample(t.Context(), p); !errors.Is(err, broken) {
		t.Errorf("a broken hook gives %v", err)
	}
}
