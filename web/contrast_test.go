package web_test

import (
	"math"
	"regexp"
	"strconv"
	"testing"

	"comfygo/web"
)

var token = regexp.MustCompile(`(?m)^  --([\w-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);`)

// palette reads the colours of the style sheet: by name the light one and the dark one.
func palette(t *testing.T) map[string][2][3]float64 {
	t.Helper()
	f, ok := web.Open("style.css")
	if !ok {
		t.Fatal("there is no style.css")
	}
	colors := map[string][2][3]float64{}
	for _, m := range token.FindAllSubmatch(f.Body, -1) {
		var pair [2][3]float64
		for i, hex := range []string{string(m[2]), string(m[3])} {
			n, err := strconv.ParseUint(hex, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			pair[i] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
		}
		colors[string(m[1])] = pair
	}
	return colors
}

// luminance is that of WCAG 2.2, from sRGB in 0 to 255.
func luminance(c [3]float64) float64 {
	var lin [3]float64
	for i, v := range c {
		if v /= 255; v <= 0.04045 {
			lin[i] = v / 12.92
		} else {
			lin[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*lin[0] + 0.7152*lin[1] + 0.0722*lin[2]
}

func contrast(a, b [3]float64) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast holds the palette to WCAG 2.2 AA: 4.5 to 1 for text on every surface that it stands on, 3 to 1 for what
// shows where a control is and where the focus is.
func TestContrast(t *testing.T) {
	t.Parallel()
	const text, control = 4.5, 3.0
	surfaces := []string{"bg", "surface", "sunken", "raised"}
	for _, c := range []struct {
		front string
		on    []string
		least float64
	}{
		{"ink", append(surfaces, "accent-soft", "bad-soft"), text},
		{"ink-2", append(surfaces, "accent-soft"), text},
		{"ink-3", surfaces, text},
		{"accent", append(surfaces, "accent-soft"), text},
		{"good", surfaces, text},
		{"bad", append(surfaces, "bad-soft"), text},
		{"warn", surfaces, text},
		{"on-accent", []string{"accent"}, text},
		{"on-solid", []string{"solid"}, text},
		{"edge", []string{"bg", "surface", "sunken"}, control},
		{"solid", surfaces, control},
	} {
		colors := palette(t)
		for _, back := range c.on {
			front, there := colors[c.front]
			behind, also := colors[back]
			if !there || !also {
				t.Errorf("%s on %s: no such colour", c.front, back)
				continue
			}
			for i, mode := range []string{"light", "dark"} {
				if got := contrast(front[i], behind[i]); got < c.least {
					t.Errorf("%s: %s on %s has %.2f to 1, want %.1f", mode, c.front, back, got, c.least)
				}
			}
		}
	}
	if got := contrast([3]float64{}, [3]float64{255, 255, 255}); math.Abs(got-21) > 1e-9 {
		t.Errorf("black on white has %v to 1, want 21", got)
	}
}
