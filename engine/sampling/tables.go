package sampling

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
)

// alignYourSteps are the levels of ten steps that Sabour et al. found ("Align Your Steps", arXiv 2404.14507).
var alignYourSteps = map[string][]float64{
	"SD1":  {14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092, 0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582},
	"SDXL": {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582},
	"SVD":  {700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002},
}

// optimalSteps are levels found by distilling the schedule (bebebe666, OptimalSteps).
var optimalSteps = map[string][]float64{
	"FLUX": {0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001},
	"Wan": {
		1.0, 0.997, 0.995, 0.993, 0.991, 0.989, 0.987, 0.985, 0.98, 0.975, 0.973, 0.968, 0.96, 0.946, 0.927, 0.902, 0.864, 0.776,
		0.539, 0.208, 0.001,
	},
	"Chroma": {
		0.992, 0.99, 0.988, 0.985, 0.982, 0.978, 0.973, 0.968, 0.961, 0.953, 0.943, 0.931, 0.917, 0.9, 0.881, 0.858, 0.832, 0.802, 0.769,
		0.731, 0.69, 0.646, 0.599, 0.55, 0.501, 0.451, 0.402, 0.355, 0.311, 0.27, 0.232, 0.199, 0.169, 0.143, 0.12, 0.101, 0.084, 0.07, 0.058,
		0.048, 0.001,
	},
}

//go:embed levels/gits.txt
var gitsText string

// gitsLevels are the levels of GITS by hundredths of the coefficient, for 2 steps and more.
var gitsLevels = sync.OnceValue(func() map[int][][]float64 {
	out := map[int][][]float64{}
	for line := range strings.Lines(gitsText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var row []float64
		for _, word := range strings.Fields(line) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				panic(fmt.Sprintf("the table of levels is damaged: %v", err)) // it is part of the program
			}
			row = append(row, v)
		}
		key := int(math.Round(row[0] * 100))
		out[key] = append(out[key], row[1:])
	}
	return out
})

// AlignYourSteps returns the levels of a family ("SD1", "SDXL", "SVD"), stretched to other numbers of steps. Upstream:
// AlignYourStepsScheduler.
func AlignYourSteps(family string, steps int, denoise float64) ([]float32, error) {
	return tabled("align your steps", alignYourSteps, family, steps, denoise)
}

// OptimalSteps returns the levels of a family ("FLUX", "Wan", "Chroma"), stretched to other numbers of steps. Upstream:
// OptimalStepsScheduler.
func OptimalSteps(family string, steps int, denoise float64) ([]float32, error) {
	return tabled("optimal steps", optimalSteps, family, steps, denoise)
}

func tabled(name string, table map[string][]float64, family string, steps int, denoise float64) ([]float32, error) {
	levels, ok := table[family]
	if !ok {
		return nil, fmt.Errorf("making the %s schedule: unknown model type %q", name, family)
	}
	if steps+1 != len(levels) && steps > 0 && steps < maxSteps {
		levels = stretched(levels, steps+1)
	}
	return lastSteps(name, levels, steps, denoise)
}

// GITS returns the levels for a coefficient from 0.8 to 1.5 in twentieths. Upstream: GITSScheduler.
func GITS(coefficient float64, steps int, denoise float64) ([]float32, error) {
	if denoise <= 0 {
		return nil, nil
	}
	rows, ok := gitsLevels()[int(math.RoundToEven(coefficient*100))]
	if !ok {
		return nil, fmt.Errorf("making the gits schedule: there are no levels for the coefficient %g", coefficient)
	}
	if steps < 2 || steps > maxSteps {
		return nil, fmt.Errorf("making the gits schedule: %d steps", steps)
	}
	levels := rows[len(rows)-1]
	if steps <= 20 {
		levels = rows[steps-2]
	} else {
		levels = stretched(levels, steps+1)
	}
	return lastSteps("gits", levels, steps, denoise)
}

// lastSteps returns the share denoise of the levels from the end, the last one being zero.
func lastSteps(name string, levels []float64, steps int, denoise float64) ([]float32, error) {
	if steps < 1 || steps > maxSteps || math.IsNaN(denoise) {
		return nil, fmt.Errorf("making the %s schedule: %d steps at a denoise of %g", name, steps, denoise)
	}
	if denoise <= 0 {
		return nil, nil
	}
	total := steps
	if denoise < 1 {
		total = int(math.RoundToEven(float64(steps) * denoise))
	}
	levels = levels[max(len(levels)-(total+1), 0):]
	out := make([]float32, len(levels))
	for i, l := range levels {
		out[i] = float32(l)
	}
	out[len(out)-1] = 0
	return out, nil
}

// stretched interpolates n levels in the logarithm.
func stretched(levels []float64, n int) []float64 {
	out := make([]float64, n)
	last := len(levels) - 1
	for i := range out {
		at := float64(i) / float64(n-1) * float64(last)
		low := min(int(at), last-1)
		a, b := math.Log(levels[low]), math.Log(levels[low+1])
		out[i] = math.Exp(a + (b-a)*(at-float64(low)))
	}
	return out
}
