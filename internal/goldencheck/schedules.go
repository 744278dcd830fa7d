package goldencheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine/sampling"
	"comfygo/internal/golden"
)

// settings are a model sampling as goldens state it.
type settings struct {
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

func (s settings) build() (*sampling.ModelSampling, error) {
	v := s.Settings
	m, err := sampling.NewModelSampling(s.Type, sampling.Settings{
		BetaSchedule: v.BetaSchedule, LinearStart: v.LinearStart, LinearEnd: v.LinearEnd, Timesteps: v.Timesteps, ZSNR: v.ZSNR,
		SigmaMin: v.SigmaMin, SigmaMax: v.SigmaMax, SigmaData: v.SigmaData, Shift: v.Shift, Multiplier: v.Multiplier,
	})
	if err != nil {
		return nil, unavailable("the model sampling is not built: %v", err)
	}
	return m, nil
}

// scheduleTolerance bounds the relative difference of sigmas: float32 results of a few operations by another mathematical
// library are a few units in the last place apart, and karras raises that to the seventh power. Stable Cascade's sigmas
// depend on 1-cos² near 0, where one unit in the last place of the cosine is 1e-4 of the result.
func scheduleTolerance(t sampling.ModelType) float64 {
	if t == sampling.StableCascade {
		return 1e-4
	}
	return 3e-6
}

// relative is the relative difference of two numbers; 0 where both are NaN.
func relative(got, want float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	if d := math.Abs(got-want) / math.Abs(want); !math.IsNaN(d) {
		return d
	}
	return math.Inf(1)
}

type levelInfo struct {
	SigmaMin       golden.Float      `json:"sigma_min"`
	SigmaMax       golden.Float      `json:"sigma_max"`
	Percent        []float64         `json:"percent"`
	PercentToSigma []golden.Float    `json:"percent_to_sigma"`
	SigmaIn        []golden.Float    `json:"sigma_in"`
	Timestep       []golden.Float    `json:"timestep"`
	SigmaOfT       [][2]golden.Float `json:"sigma_of_t"`
}

// packed is one vector that holds many.
type packed struct {
	Index map[string][2]int `json:"index"`
	data  []float32
}

func (p packed) get(id string) ([]float32, error) {
	at, ok := p.Index[id]
	if !ok || at[0] < 0 || at[1] < 0 || at[0]+at[1] > len(p.data) {
		return nil, fmt.Errorf("the golden does not hold %s", id)
	}
	return p.data[at[0]:][:at[1]], nil
}

func (f *file) loadPacked(v any, p *packed) error {
	stored, err := f.load(v)
	if err == nil {
		err = golden.ReadJSON(f.path+".json", p)
	}
	if err != nil {
		return err
	}
	data, err := stored.Get("data")
	if err != nil {
		return err
	}
	p.data = data.Data
	return nil
}

type scheduleCase struct {
	ID        string  `json:"id"`
	MS        string  `json:"ms"`
	Scheduler string  `json:"scheduler"`
	Steps     int     `json:"steps"`
	Sampler   string  `json:"sampler"`
	Denoise   float64 `json:"denoise"`
}

// checkSchedules compares the schedules of the KSampler node, and the sigmas and timesteps of model samplings.
func checkSchedules(_ context.Context, r *run, f *file) error {
	var g struct {
		Cases         []scheduleCase       `json:"cases"`
		ModelSampling map[string]settings  `json:"model_sampling"`
		Info          map[string]levelInfo `json:"info"`
	}
	var vectors packed
	if err := f.loadPacked(&g, &vectors); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(g.Info)) {
		detail, err := checkInfo(g.ModelSampling[name], g.Info[name])
		r.note(f, "info of "+name, detail, err)
	}
	for _, c := range g.Cases {
		detail, err := "", error(nil)
		want, err := vectors.get(c.ID)
		if err == nil {
			detail, err = c.check(g.ModelSampling[c.MS], want)
		}
		r.note(f, fmt.Sprintf("%s %s %s", c.ID, c.MS, c.Scheduler), detail, err)
	}
	return nil
}

func (c scheduleCase) check(s settings, want []float32) (string, error) {
	m, err := s.build()
	if err != nil {
		return "", err
	}
	if !slices.Contains(sampling.SchedulerNames(), c.Scheduler) {
		return "", unavailable("the scheduler %s is not built", c.Scheduler)
	}
	got, err := sampling.Sigmas(m, c.Sampler, c.Scheduler, c.Steps, c.Denoise)
	if err != nil {
		if len(want) > 0 && !slices.ContainsFunc(want[:len(want)-1], func(v float32) bool { return v == v }) {
			return "an error where upstream computes NaN", nil
		}
		return "", err
	}
	return compareSigmas(got, want, scheduleTolerance(s.Type))
}

// compareSigmas compares schedules value by value.
func compareSigmas(got, want []float32, tol float64) (string, error) {
	if len(got) != len(want) {
		return "", fmt.Errorf("%d sigmas, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range want {
		d := relative(float64(got[i]), float64(want[i]))
		if d > tol {
			return "", fmt.Errorf("sigma %d is %v, want %v (relative difference %.2g, allowed %.2g)", i, got[i], want[i], d, tol)
		}
		worst = max(worst, d)
	}
	return fmt.Sprintf("%d sigmas, relative difference %.2g, allowed %.2g", len(want), worst, tol), nil
}

// checkInfo compares the range of sigmas and the maps between sigma, timestep and percent.
func checkInfo(s settings, info levelInfo) (string, error) {
	m, err := s.build()
	if err != nil {
		return "", err
	}
	tol, count, errs := scheduleTolerance(s.Type), 0, []error(nil)
	check := func(what string, got float64, want golden.Float) {
		count++
		if d := relative(got, float64(want)); d > tol {
			errs = append(errs, fmt.Errorf("%s is %v, want %v (relative difference %.2g, allowed %.2g)", what, got, want, d, tol))
		}
	}
	if len(info.Percent) != len(info.PercentToSigma) || len(info.SigmaIn) != len(info.Timestep) {
		return "", errors.New("the golden's lists are of different lengths")
	}
	check("sigma_min", float64(m.SigmaMin()), info.SigmaMin)
	check("sigma_max", float64(m.SigmaMax()), info.SigmaMax)
	for i, p := range info.Percent {
		check(fmt.Sprintf("the sigma at %v percent", 100*p), m.PercentToSigma(p), info.PercentToSigma[i])
	}
	for i, sigma := range info.SigmaIn {
		check(fmt.Sprintf("the timestep of sigma %v", sigma), float64(m.Timestep(float32(sigma))), info.Timestep[i])
	}
	for _, st := range info.SigmaOfT {
		check(fmt.Sprintf("the sigma of timestep %v", st[0]), float64(m.Sigma(float32(st[0]))), st[1])
	}
	return fmt.Sprintf("%d numbers, allowed %.2g", count, tol), joined(errs)
}

// samplingsBeside reads the model samplings that the files of a folder define, which other files of it name.
func samplingsBeside(path string) (map[string]settings, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	all := map[string]settings{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".json")
		if !ok {
			continue
		}
		var g struct {
			ModelSampling map[string]settings `json:"model_sampling"`
		}
		err := golden.ReadJSON(filepath.Join(filepath.Dir(path), name+".json"), &g)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // reported where that file itself is run
		}
		for k, v := range g.ModelSampling {
			all[k] = v
		}
	}
	return all, nil
}
