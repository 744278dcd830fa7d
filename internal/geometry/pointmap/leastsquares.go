package pointmap

import "math"

// The tolerances of leastSquares: those of the sum of squares, of the solution and of the gradient, and the greatest number of trials.
const (
	sumTolerance, solutionTolerance, gradientTolerance = 1e-3, 1e-8, 1e-8
	mostTrials                                         = 100
)

// epsilon is the distance from 1 to the next float64, smallest the least positive normal one.
const (
	epsilon  = 0x1p-52
	smallest = 0x1p-1022
)

// leastSquares finds the number, from 0 on, for which the sum of the squares of f is least: Levenberg's and Marquardt's method with a trust region, as
// MINPACK's lmder does it for one unknown, with differences for derivatives (Moré, "The Levenberg-Marquardt Algorithm: Implementation and Theory").
func leastSquares(f func(x float64) []float64) (float64, error) {
	x, values := 0.0, f(0)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, errInfinite
		}
	}
	sum, trials := length(values), 1
	t := trust{factor: 100}
	for first := true; ; first = false {
		slope, along := derivative(f, x, values)
		t.scale = max(t.scale, slope)
		if first {
			if t.scale = slope; slope == 0 {
				t.scale = 1
			}
			if t.radius = t.factor * t.scale * math.Abs(x); t.radius == 0 {
				t.radius = t.factor
			}
		}
		gradient := 0.0
		if slope != 0 && sum != 0 {
			gradient = math.Abs(along / slope / sum)
		}
		if gradient <= gradientTolerance {
			return x, nil
		}
		for {
			step := t.step(slope, along)
			next := f(x + step)
			trials++
			if first {
				t.radius = min(t.radius, t.scale*math.Abs(step))
			}
			ratio, small := t.judge(slope, step, sum, length(next))
			if ratio >= 1e-4 {
				x, values, sum = x+step, next, length(next)
				first = false
			}
			switch reach := t.scale * math.Abs(x); {
			case small, t.radius <= solutionTolerance*reach, t.radius <= epsilon*reach, trials >= mostTrials, math.IsNaN(ratio):
				return x, nil
			}
			if ratio >= 1e-4 {
				break
			}
		}
	}
}

// derivative is the length of the derivative of f at x, and its product with the values.
func derivative(f func(x float64) []float64, x float64, values []float64) (slope, along float64) {
	step := math.Sqrt(epsilon) * max(1, math.Abs(x))
	if x < 0 {
		step = -step
	}
	step = x + step - x
	d := f(x + step)
	for i := range d {
		d[i] = (d[i] - values[i]) / step
		along += d[i] * values[i]
	}
	return length(d), along
}

func length(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// trust is a trust region: a step is at most radius long, in units of scale.
type trust struct {
	factor, scale, radius float64
	// damping is Marquardt's parameter of the last step.
	damping float64
}

// step is the step for a derivative of the given length whose product with the values is along. Upstream of the method: MINPACK's lmpar.
func (t *trust) step(slope, along float64) float64 {
	const near = 0.1
	x := 0.0
	if slope != 0 {
		x = along / slope / slope
	}
	reach := t.scale * math.Abs(x)
	beyond := reach - t.radius
	if beyond <= near*t.radius {
		t.damping = 0
		return -x
	}
	low := 0.0
	if slope != 0 {
		unit := t.scale / slope
		low = beyond / t.radius / unit / unit
	}
	gradient := math.Abs(along / t.scale)
	high := gradient / t.radius
	if high == 0 {
		high = smallest / min(t.radius, near)
	}
	if t.damping = min(max(t.damping, low), high); t.damping == 0 {
		t.damping = gradient / reach
	}
	for range 10 {
		if t.damping == 0 {
			t.damping = max(smallest, 0.001*high)
		}
		square := slope*slope + t.damping*t.scale*t.scale
		x = along / square
		reach = t.scale * math.Abs(x)
		before := beyond
		if beyond = reach - t.radius; math.Abs(beyond) <= near*t.radius || low == 0 && beyond <= before && before < 0 {
			break
		}
		unit := t.scale * t.scale
		correction := beyond / t.radius / (unit / square)
		if beyond > 0 {
			low = max(low, t.damping)
		} else {
			high = min(high, t.damping)
		}
		t.damping = max(low, t.damping+correction)
	}
	return -x
}

// judge compares a step that changes the length of the values from sum to next with what the derivative promises, and sets the region of the next
// step. small reports that both changes are below the tolerance.
func (t *trust) judge(slope, step, sum, next float64) (ratio float64, small bool) {
	reach := t.scale * math.Abs(step)
	actual := -1.0
	if 0.1*next < sum {
		actual = 1 - (next/sum)*(next/sum)
	}
	linear, damped := slope*math.Abs(step)/sum, math.Sqrt(t.damping)*reach/sum
	promised := linear*linear + damped*damped/0.5
	direction := -(linear*linear + damped*damped)
	if promised != 0 {
		ratio = actual / promised
	}
	switch {
	case ratio <= 0.25:
		shrink := 0.5
		if actual < 0 {
			shrink = 0.5 * direction / (direction + 0.5*actual)
		}
		if 0.1*next >= sum || shrink < 0.1 {
			shrink = 0.1
		}
		t.radius = shrink * min(t.radius, reach/0.1)
		t.damping /= shrink
	case t.damping == 0 || ratio >= 0.75:
		t.radius = reach / 0.5
		t.damping *= 0.5
	}
	return ratio, math.Abs(actual) <= sumTolerance && promised <= sumTolerance && 0.5*ratio <= 1
}
