package goldencheck

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// noiseTolerance bounds the absolute difference of noise, as the goldens' README asks: logarithm, sine and square root of
// other mathematical libraries differ in the last place, which is 5e-7 of values above 4.
var noiseTolerance = golden.Tolerance{MaxAbs: 1e-6}

// checkNoise compares prepared noise. Large tensors are stored by their first and last 32 values.
func checkNoise(_ context.Context, r *run, f *file) error {
	var g struct {
		Cases []struct {
			ID        string       `json:"id"`
			Seed      seed         `json:"seed"`
			Shape     []int        `json:"shape"`
			BatchInds []int        `json:"batch_inds"`
			SHA256    string       `json:"sha256"`
			Mean      golden.Float `json:"mean"`
			Std       golden.Float `json:"std"`
		} `json:"cases"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: noiseTolerance}
		x, err := sampling.PrepareNoise(c.Shape, uint64(c.Seed), c.BatchInds)
		if err != nil {
			r.note(f, c.ID, "", err)
			continue
		}
		if stored.Has(c.ID + "/noise") {
			s.compare("noise", x.Data)
		} else {
			n := min(32, len(x.Data))
			s.compare("first", x.Data[:n])
			s.compare("last", x.Data[len(x.Data)-n:])
		}
		detail := "equal to the bit"
		if golden.SHA256(x.Data) != c.SHA256 {
			detail = s.detail()
			if m, sd := moments(x.Data); len(x.Data) > 1 && (math.Abs(m-float64(c.Mean)) > 1e-5 || math.Abs(sd-float64(c.Std)) > 1e-5) {
				s.errs = append(s.errs, fmt.Errorf("mean %g and deviation %g, want %g and %g", m, sd, c.Mean, c.Std))
			}
		}
		r.note(f, c.ID, detail, s.err())
	}
	return nil
}

// moments returns the mean and the standard deviation, as torch computes it (with n-1).
func moments(v []float32) (mean, deviation float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += float64(x) / n
	}
	for _, x := range v {
		deviation += (float64(x) - mean) * (float64(x) - mean)
	}
	return mean, math.Sqrt(deviation / max(n-1, 1))
}

// checkBrownian asks a Brownian path for its noise in the recorded order.
func checkBrownian(_ context.Context, r *run, f *file) error {
	var g struct {
		Cases []struct {
			ID      string       `json:"id"`
			Seed    seed         `json:"seed"`
			Shape   []int        `json:"shape"`
			Queries [][2]float32 `json:"queries"`
		} `json:"cases"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: noiseTolerance}
		sigmas, err := stored.Get(c.ID + "/sigmas")
		if err == nil && (tensor.Count(c.Shape) <= 0 || !slices.ContainsFunc(sigmas.Data, func(v float32) bool { return v > 0 })) {
			err = fmt.Errorf("a path of shape %v over the sigmas %v", c.Shape, sigmas.Data)
		}
		if err != nil {
			r.note(f, c.ID, "", err)
			continue
		}
		noise, end := sampling.BrownianNoise(c.Shape, sigmas.Data, uint64(c.Seed))
		var all []float32
		for _, q := range c.Queries {
			all = append(all, noise(q[0], q[1]).Data...)
		}
		end()
		s.compare("out", all)
		r.note(f, c.ID, s.detail(), s.err())
	}
	return nil
}

// seed is a seed of 64 bits, which JSON holds as a number or, to keep all its digits, as a text.
type seed uint64

// UnmarshalJSON reads either form.
func (s *seed) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	v, err := strconv.ParseUint(string(b), 10, 64)
	*s = seed(v)
	return err
}

// load decodes the file into v and reads its tensors.
func (f *file) load(v any) (*golden.Tensors, error) {
	if err := golden.ReadJSON(f.path+".json", v); err != nil {
		return nil, err
	}
	return golden.ReadTensors(f.path + ".safetensors")
}

// decode decodes the file into v.
func (f *file) decode(v any) error { return golden.ReadJSON(f.path+".json", v) }
