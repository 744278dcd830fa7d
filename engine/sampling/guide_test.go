package sampling_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/goldencheck"
)

// probe records its calls and predicts, as noise, the first number of each row's text encoding everywhere.
type probe struct {
	shapes   [][]int
	contexts []*tensor.Tensor
	then     func(calls int, out *tensor.Tensor)
}

func (p *probe) Predict(_ context.Context, x *tensor.Tensor, _ []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	p.shapes = append(p.shapes, slices.Clone(x.Shape))
	p.contexts = append(p.contexts, in.Get(sampling.InputContext))
	out := tensor.New(x.Shape...)
	for b := range x.Dim(0) {
		row := out.Index(b).Data
		for i := range row {
			row[i] = in.Get(sampling.InputContext).Index(b).Data[0]
		}
	}
	if p.then != nil {
		p.then(len(p.shapes), out)
	}
	return out, nil
}

func tokens(n int, v float32) *tensor.Tensor {
	t := tensor.New(1, n, 2)
	for i := range t.Data {
		t.Data[i] = v
	}
	return t
}

// oneStep is a run of one Euler step from the top level to zero: the result is the start less the guided prediction times
// the level.
func oneStep(t *testing.T, net sampling.Network) sampling.Params {
	t.Helper()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return sampling.Params{
		Network: net, Model: m, Format: sampling.LatentFormat{Channels: 4, Scale: 1, Downscale: 8}, CFG: 3,
		Positive: []sampling.Cond{{Tokens: tokens(77, 1)}}, Negative: []sampling.Cond{{Tokens: tokens(77, -1)}},
		Latent: tensor.New(2, 4, 16, 16), Steps: 1, Sampler: "euler", Scheduler: "simple", Denoise: 1, DisableNoise: true,
	}
}

// guided runs one step and returns the noise that was predicted, channel 0 of row 0 as [16*16].
func guided(t *testing.T, p sampling.Params) []float32 {
	t.Helper()
	out, err := sampling.Sample(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	noise := out.Index(0).Index(0).Clone()
	for i := range noise.Data {
		noise.Data[i] /= -p.Model.SigmaMax()
	}
	return noise.Data
}

func near(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 }

func TestBothSidesRunInOneBatch(t *testing.T) {
	t.Parallel()
	net := &probe{}
	noise := guided(t, oneStep(t, net))
	if want := float32(-1 + 2*3); !near(noise[0], want) {
		t.Errorf("guidance gives %v, want %v", noise[0], want)
	}
	if len(net.shapes) != 1 || net.shapes[0][0] != 4 {
		t.Fatalf("shapes %v, want one run of 4 rows", net.shapes)
	}
	if c := net.contexts[0]; c.Index(0).Data[0] != -1 || c.Index(3).Data[0] != 1 {
		t.Error("the negative side does not come first in the batch")
	}
}

func TestBatchesFollowMemory(t *testing.T) {
	t.Parallel()
	net := &probe{}
	p := oneStep(t, net)
	p.Fits = func(shape []int, _ int) bool { return shape[0] <= 2 }
	if noise := guided(t, p); !near(noise[0], 5) || len(net.shapes) != 2 {
		t.Errorf("%d runs give %v; want 2 runs and 5", len(net.shapes), noise[0])
	}
	net.shapes = nil
	p.Fits = func([]int, int) bool { return false } // a single entry runs even so
	if noise := guided(t, p); !near(noise[0], 5) || len(net.shapes) != 2 {
		t.Errorf("%d runs give %v; want 2 runs and 5", len(net.shapes), noise[0])
	}
}

func TestScaleOfOneSkipsTheNegativeSide(t *testing.T) {
	t.Parallel()
	net := &probe{}
	p := oneStep(t, net)
	p.CFG = 1
	if noise := guided(t, p); !near(noise[0], 1) || net.shapes[0][0] != 2 {
		t.Errorf("rows %v give %v; want 2 rows and 1", net.shapes, noise[0])
	}
}

func TestTextsOfDifferentLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ positive, negative, runs, tokens int }{
		{154, 77, 1, 154}, {231, 154, 1, 462}, {77 * 5, 77, 2, 77}, {100, 77, 2, 77},
	} {
		net := &probe{}
		p := oneStep(t, net)
		p.Positive[0].Tokens, p.Negative[0].Tokens = tokens(c.positive, 1), tokens(c.negative, -1)
		guided(t, p)
		longest := 0
		for _, ctx := range net.contexts {
			longest = max(longest, ctx.Dim(1))
		}
		if c.runs == 2 {
			c.tokens = max(c.positive, c.negative)
		}
		if len(net.shapes) != c.runs || longest != c.tokens {
			t.Errorf("%d and %d tokens: %d runs of up to %d tokens, want %d of %d", c.positive, c.negative, len(net.shapes), longest, c.runs, c.tokens)
		}
	}
}

func TestAreasBlendAndBothSidesCoverThem(t *testing.T) {
	t.Parallel()
	net := &probe{}
	p := oneStep(t, net)
	p.CFG = 2
	p.Positive = append(p.Positive, sampling.Cond{
		Tokens: tokens(77, 4), Area: &sampling.Area{Size: []float64{8, 8}, Offset: []float64{0, 8}},
	})
	noise := guided(t, p)
	// Outside the area: -1 + 2*2. In its free corner both entries weigh 1: the mean of 1 and 4. The area is 8 wide, so
	// its inner edges ramp over 2 cells: half the weight on the last one.
	at := func(y, x int) float32 { return noise[y*16+x] }
	for _, c := range []struct {
		y, x     int
		positive float32
	}{{15, 0, 1}, {0, 15, 2.5}, {3, 12, 2.5}, {3, 8, (1 + 0.5*4) / 1.5}, {7, 15, (1 + 0.5*4) / 1.5}, {7, 8, (1 + 0.25*4) / 1.25}} {
		if want := -1 + (c.positive+1)*2; !near(at(c.y, c.x), want) {
			t.Errorf("at %d,%d the prediction is %v, want %v", c.y, c.x, at(c.y, c.x), want)
		}
	}
	rows := map[int]int{}
	for _, s := range net.shapes {
		rows[s[3]] += s[0]
	}
	if rows[16] != 4 || rows[8] != 4 {
		t.Errorf("rows by width are %v, want both sides at 16 and at 8", rows)
	}
}

func TestMasksWeigh(t *testing.T) {
	t.Parallel()
	half, strength := 0.5, 2.0
	mask := tensor.New(1, 32, 32) // the right half, at twice the latent's size
	for i := range mask.Data {
		if i%32 >= 16 {
			mask.Data[i] = 1
		}
	}
	p := oneStep(t, &probe{})
	p.CFG = 1
	p.Positive = append(p.Positive, sampling.Cond{Tokens: tokens(77, 5), Mask: mask, MaskStrength: &half, Strength: &strength})
	noise := guided(t, p)
	if !near(noise[0], 1) || !near(noise[15], 3) {
		t.Errorf("the prediction is %v left and %v right, want 1 and 3", noise[0], noise[15])
	}
}

func TestDefaultEntriesFillWhatIsLeft(t *testing.T) {
	t.Parallel()
	mask := tensor.New(1, 16, 16)
	for i := range mask.Data {
		mask.Data[i] = float32(i%16) / 15
	}
	p := oneStep(t, &probe{})
	p.CFG = 1
	p.Positive = []sampling.Cond{{Tokens: tokens(77, 5), Mask: mask}, {Tokens: tokens(77, 2), Default: true}}
	noise := guided(t, p)
	if !near(noise[0], 2) || !near(noise[15], 5) || !near(noise[3], 0.2*5+0.8*2) {
		t.Errorf("the prediction goes %v, want from 2 to 5", noise[:16])
	}
}

func TestTimeRanges(t *testing.T) {
	t.Parallel()
	zero, middle, one := 0.0, 0.5, 1.0
	net := &probe{}
	p := oneStep(t, net)
	p.CFG, p.Steps, p.Scheduler = 1, 4, "normal"
	p.Positive = []sampling.Cond{
		{Tokens: tokens(77, 1), StartPercent: &zero, EndPercent: &middle},
		{Tokens: tokens(77, 2), StartPercent: &middle, EndPercent: &one},
	}
	if _, err := sampling.Sample(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var order []float32
	for _, c := range net.contexts {
		order = append(order, c.Data[0])
	}
	if want := []float32{1, 1, 2, 2}; !slices.Equal(order, want) {
		t.Errorf("the entries ran in the order %v, want %v", order, want)
	}
}

func TestMaskedRunsKeepTheRest(t *testing.T) {
	t.Parallel()
	p := oneStep(t, &probe{})
	p.Latent.Data[0], p.Latent.Data[1] = 3, 3
	p.NoiseMask = tensor.New(1, 16, 16)
	for i := range p.NoiseMask.Data[1:] {
		p.NoiseMask.Data[i+1] = 1
	}
	out, err := sampling.Sample(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Data[0] != 3 || out.Data[1] == 3 {
		t.Errorf("the protected value became %v and the other %v", out.Data[0], out.Data[1])
	}
}

// keeper reads protected values unchanged, and records the first input.
type keeper struct {
	*probe
	first []float32
	times float32
}

// Kept implements sampling.Keeper.
func (k *keeper) Kept(_ float32, latent *tensor.Tensor) *tensor.Tensor {
	out := latent.Clone()
	for i := range out.Data {
		out.Data[i] *= k.times
	}
	return out
}

// Predict implements sampling.Network.
func (k *keeper) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	k.first = append(k.first, x.Data[0])
	return k.probe.Predict(ctx, x, t, in)
}

func TestNetworksThatReadProtectedValuesAsTheyAre(t *testing.T) {
	t.Parallel()
	given := map[float32]float32{}
	for _, times := range []float32{1, 4} {
		net := &keeper{probe: &probe{}, times: times}
		p := oneStep(t, net)
		p.Latent.Data[0] = 3
		p.NoiseMask = tensor.New(1, 16, 16)
		if _, err := sampling.Sample(t.Context(), p); err != nil || len(net.first) == 0 {
			t.Fatal(err)
		}
		given[times] = net.first[0]
	}
	if ratio := float64(given[4] / given[1]); !near(float32(ratio), 4) { // no noise is added to it
		t.Errorf("the network was given %v", given)
	}
}

// TestNextSigma checks that networks get the next sigma for a sigma of the schedule, and none between two.
func TestNextSigma(t *testing.T) {
	t.Parallel()
	for sampler, want := range map[string][]bool{"euler": {true, true}, "dpm_2": {true, false, true}} {
		net := &probe{}
		seen := &nexts{probe: net}
		p := oneStep(t, net)
		p.Network, p.Steps, p.Sampler, p.Scheduler, p.CFG = seen, 2, sampler, "normal", 1
		if _, err := sampling.Sample(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(seen.known, want) {
			t.Errorf("%s: %v, want %v", sampler, seen.known, want)
		}
	}
}

// nexts records the calls in which a network gets the next sigma.
type nexts struct {
	*probe
	known []bool
}

// Predict implements sampling.Network.
func (n *nexts) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	n.known = append(n.known, in.Next != nil && *in.Next < in.Sigma)
	return n.probe.Predict(ctx, x, t, in)
}

func TestBrokenNetworks(t *testing.T) {
	t.Parallel()
	p := oneStep(t, &probe{then: func(_ int, out *tensor.Tensor) { out.Data[5] = float32(math.NaN()) }})
	if _, err := sampling.Sample(t.Context(), p); !errors.Is(err, sampling.ErrNotFinite) {
		t.Errorf("NaN from the first step on gives %v", err)
	}
	p = oneStep(t, &probe{then: func(calls int, out *tensor.Tensor) {
		if calls > 1 {
			out.Data[5] = float32(math.Inf(1))
		}
	}})
	p.Steps = 3
	_, err := sampling.Sample(t.Context(), p)
	if !errors.Is(err, sampling.ErrNotFinite) || !strings.Contains(err.Error(), "euler, step 2 of 3") {
		t.Errorf("infinity in the second step gives %v; want the sampler and the step", err)
	}
	p = oneStep(t, wrongShape{})
	if _, err := sampling.Sample(t.Context(), p); err == nil {
		t.Error("a result of another shape was accepted")
	}
}

type wrongShape struct{}

func (wrongShape) Predict(context.Context, *tensor.Tensor, []float32, sampling.Inputs) (*tensor.Tensor, error) {
	return tensor.New(1, 4, 2, 2), nil
}

func TestRunsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for _, name := range sampling.SamplerNames() {
		ctx, cancel := context.WithCancelCause(t.Context())
		net := &probe{then: func(int, *tensor.Tensor) { cancel(stop) }}
		p := oneStep(t, net)
		p.Steps, p.Sampler = 6, name
		if _, err := sampling.Sample(ctx, p); !errors.Is(err, stop) || len(net.shapes) != 1 {
			t.Errorf("%s: %d runs, %v; want to end after one with the cause", name, len(net.shapes), err)
		}
		cancel(nil)
	}
}

func TestWrongParams(t *testing.T) {
	t.Parallel()
	far := &sampling.Area{Size: []float64{8, 8}, Offset: []float64{0, 99}}
	for name, change := range map[string]func(p *sampling.Params){
		"sampler":      func(p *sampling.Params) { p.Sampler = "no_such" },
		"scheduler":    func(p *sampling.Params) { p.Scheduler = "no_such" },
		"network":      func(p *sampling.Params) { p.Network = nil },
		"latent":       func(p *sampling.Params) { p.Latent = nil },
		"flat latent":  func(p *sampling.Params) { p.Latent = tensor.New(4, 4) },
		"channels":     func(p *sampling.Params) { p.Latent = tensor.New(1, 16, 4, 4); p.Latent.Data[0] = 1 },
		"positive":     func(p *sampling.Params) { p.Positive = nil },
		"cfg":          func(p *sampling.Params) { p.CFG = math.NaN() },
		"steps":        func(p *sampling.Params) { p.Steps = 0 },
		"denoise":      func(p *sampling.Params) { p.Denoise = 1e-9 },
		"batch index":  func(p *sampling.Params) { p.DisableNoise = false; p.BatchIndex = []int{1} },
		"area":         func(p *sampling.Params) { p.Positive[0].Area = far },
		"crooked area": func(p *sampling.Params) { p.Positive[0].Area = &sampling.Area{Size: []float64{1}} },
		"NaN area": func(p *sampling.Params) {
			p.Positive[0].Area = &sampling.Area{Size: []float64{math.NaN(), 8}, Offset: []float64{0, 0}}
		},
		"mask":       func(p *sampling.Params) { p.Positive[0].Mask = tensor.New(3) },
		"noise mask": func(p *sampling.Params) { p.NoiseMask = tensor.New(5) },
	} {
		p := oneStep(t, &probe{})
		change(&p)
		if _, err := sampling.Sample(t.Context(), p); err == nil {
			t.Errorf("a wrong %s was accepted", name)
		}
	}
}

func TestEmptyLatentsFollowTheModel(t *testing.T) {
	t.Parallel()
	p := oneStep(t, &probe{})
	p.Format.Channels, p.Format.Downscale, p.DownscaleRatio = 16, 16, 8
	out, err := sampling.Sample(t.Context(), p)
	if err != nil || !slices.Equal(out.Shape, []int{2, 16, 8, 8}) {
		t.Errorf("got %v, %v; want 16 channels of half the size", out, err)
	}
	p.Latent, p.DownscaleRatio = tensor.New(1, 4, 33), 0
	p.Format = sampling.LatentFormat{Channels: 8, Scale: 1, Downscale: 4096, Temporal: 4096, Line: true}
	for ratio, want := range map[int]int{0: 33, 2048: 16, 4096: 33, 8192: 66} {
		p.TemporalRatio = ratio
		out, err := sampling.Sample(t.Context(), p)
		if err != nil || !slices.Equal(out.Shape, []int{1, 8, want}) {
			t.Errorf("audio made for %d samples a value: %v, %v; want a length of %d", ratio, out, err, want)
		}
	}
}

func TestNothingToDoReturnsTheLatent(t *testing.T) {
	t.Parallel()
	end := 3
	for name, change := range map[string]func(p *sampling.Params){
		"denoise 0":  func(p *sampling.Params) { p.Denoise = 0 },
		"late start": func(p *sampling.Params) { p.StartStep = &end },
	} {
		net := &probe{}
		p := oneStep(t, net)
		p.Latent.Data[0] = 1
		change(&p)
		out, err := sampling.Sample(t.Context(), p)
		if err != nil || !slices.Equal(out.Data, p.Latent.Data) || len(net.shapes) != 0 {
			t.Errorf("%s: %v after %d runs", name, err, len(net.shapes))
		}
	}
}

func BenchmarkStep(b *testing.B) {
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	p := sampling.Params{
		Network: &goldencheck.Toy{Scale: 0.001}, Model: m, Format: sd15Latent, CFG: 7, Positive: context1(1), Negative: context1(-1),
		Latent: tensor.New(1, 4, 128, 128), Steps: 20, Sampler: "dpmpp_2m", Scheduler: "karras", Denoise: 1,
	}
	for b.Loop() {
		if _, err := sampling.Sample(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// sd15Latent is the latent format of the toy model: that of Stable Diffusion 1.x.
var sd15Latent = sampling.LatentFormat{Channels: 4, Scale: 0.18215, Downscale: 8}
