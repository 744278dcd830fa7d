package sampling_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/tests/golden"
)

type goldenSettings struct {
	Type     sampling.ModelType `json:"type"`
	Settings struct {
		BetaSchedule string  `json:"beta_schedule"`
		LinearStart  float64 `json:"linear_start"`
		LinearEnd    float64 `json:"linear_end"`
		Timesteps    int     `json:"timesteps"`
		ZSNR         bool    `json:"zsnr"`
		SigmaMin     float64 `json:"sigma_min"`
		SigmaMax     float64 `json:"sigma_max"`
		SigmaData    float64 `json:"sigma_data"`
		Shift        float64 `json:"shift"`
		Multiplier   float64 `json:"multiplier"`
	} `json:"settings"`
}

func (g goldenSettings) build(t *testing.T) *sampling.ModelSampling {
	t.Helper()
	m, err := sampling.NewModelSampling(g.Type, sampling.Settings{
		BetaSchedule: g.Settings.BetaSchedule, LinearStart: g.Settings.LinearStart, LinearEnd: g.Settings.LinearEnd,
		Timesteps: g.Settings.Timesteps, ZSNR: g.Settings.ZSNR, SigmaMin: g.Settings.SigmaMin,
		SigmaMax: g.Settings.SigmaMax, SigmaData: g.Settings.SigmaData, Shift: g.Settings.Shift,
		Multiplier: g.Settings.Multiplier,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type scheduleGolden struct {
	Cases []struct {
		ID        string  `json:"id"`
		MS        string  `json:"ms"`
		Scheduler string  `json:"scheduler"`
		Steps     int     `json:"steps"`
		Sampler   string  `json:"sampler"`
		Denoise   float64 `json:"denoise"`
		N         int     `json:"n"`
	} `json:"cases"`
	Index         map[string][2]int         `json:"index"`
	ModelSampling map[string]goldenSettings `json:"model_sampling"`
	Info          map[string]struct {
		SigmaMin       float64      `json:"sigma_min"`
		SigmaMax       float64      `json:"sigma_max"`
		Percent        []float64    `json:"percent"`
		PercentToSigma []float64    `json:"percent_to_sigma"`
		SigmaIn        []float64    `json:"sigma_in"`
		Timestep       []float64    `json:"timestep"`
		SigmaOfT       [][2]float64 `json:"sigma_of_t"`
	} `json:"info"`
}

// infinity stands for the JSON word Infinity, which Python writes and no one else reads.
const infinity = 1e300

func readSchedules(t *testing.T, g *scheduleGolden) {
	t.Helper()
	f, err := os.Open(golden.Path(t, "schedules/ksampler.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bytes.ReplaceAll(data, []byte("Infinity"), []byte("1e300")), g); err != nil {
		t.Fatal(err)
	}
}

// scheduleTolerance bounds the relative difference of levels: float32 results of a few operations by another mathematical
// library are a few ulps apart, and karras raises that to the seventh power. Stable Cascade's levels hang on 1-cos² near
// 0, where one ulp of the cosine is 1e-4 of the result.
func scheduleTolerance(model string) float64 {
	if strings.HasPrefix(model, "cascade") {
		return 1e-4
	}
	return 3e-6
}

func relative(got, want float64) float64 {
	if got == want || want == infinity && math.IsInf(got, 1) || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	return math.Abs(got-want) / math.Abs(want)
}

func TestSchedulesEqualUpstream(t *testing.T) {
	t.Parallel()
	var g scheduleGolden
	readSchedules(t, &g)
	data := golden.Load(t, "schedules/ksampler", nil).Get(t, "data").Data
	models := map[string]*sampling.ModelSampling{}
	for name, s := range g.ModelSampling {
		models[name] = s.build(t)
	}
	if len(g.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range g.Cases {
		tol := scheduleTolerance(c.MS)
		name := c.ID + " " + c.MS + " " + c.Scheduler + " " + strconv.Itoa(c.Steps)
		want := data[g.Index[c.ID][0]:][:g.Index[c.ID][1]]
		got, err := sampling.Sigmas(models[c.MS], c.Sampler, c.Scheduler, c.Steps, c.Denoise)
		if c.Scheduler == "kl_optimal" && c.Steps == 1 && c.Sampler == "euler" && c.Denoise == 1 {
			if err == nil || !math.IsNaN(float64(want[0])) {
				t.Errorf("%s: got %v, %v; the original divides by zero here, which must be an error", name, got, err)
			}
			continue
		}
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d levels, %v; want %d", name, len(got), err, len(want))
			continue
		}
		for i := range got {
			if r := relative(float64(got[i]), float64(want[i])); !(r <= tol) {
				t.Errorf("%s: level %d is %v, want %v (%.2g off)", name, i, got[i], want[i], r)
				break
			}
		}
	}
}

func TestLevelsEqualUpstream(t *testing.T) {
	t.Parallel()
	var g scheduleGolden
	readSchedules(t, &g)
	for name, info := range g.Info {
		m, tol := g.ModelSampling[name].build(t), scheduleTolerance(name)
		check := func(what string, got, want float64) {
			t.Helper()
			if r := relative(got, want); !(r <= tol) {
				t.Errorf("%s: %s is %v, want %v (%.2g off)", name, what, got, want, r)
			}
		}
		check("sigma_min", float64(m.SigmaMin()), info.SigmaMin)
		check("sigma_max", float64(m.SigmaMax()), info.SigmaMax)
		for i, p := range info.Percent {
			check("sigma at "+strconv.FormatFloat(p, 'g', -1, 64), m.PercentToSigma(p), info.PercentToSigma[i])
		}
		for i, s := range info.SigmaIn {
			check("time of "+strconv.FormatFloat(s, 'g', -1, 64), float64(m.Timestep(float32(s))), info.Timestep[i])
		}
		for _, st := range info.SigmaOfT {
			check("sigma of time "+strconv.FormatFloat(st[0], 'g', -1, 64), float64(m.Sigma(float32(st[0]))), st[1])
		}
	}
}

func TestWrongSchedulesAreErrors(t *testing.T) {
	t.Parallel()
	m := goldenSettings{Type: sampling.EPS}.build(t)
	for _, c := range []struct {
		scheduler string
		steps     int
	}{{"nothing", 5}, {"", 5}, {"normal", 0}, {"karras", -1}, {"simple", math.MaxInt32}} {
		if s, err := sampling.Schedule(m, c.scheduler, c.steps); err == nil {
			t.Errorf("%q with %d steps gives %d levels", c.scheduler, c.steps, len(s))
		}
	}
	if _, err := sampling.NewModelSampling("NO_SUCH", sampling.Settings{}); err == nil {
		t.Error("an unknown model type was accepted")
	}
	if _, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{BetaSchedule: "cubic"}); err == nil {
		t.Error("an unknown beta schedule was accepted")
	}
}
