package imaging

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// plainly makes the forms byte by byte, as the PNG specification says (9.2 to 9.4), and chooses the one with the smallest sum.
func plainly(line, above []byte, step int) (forms [5][]byte, best int) {
	sums := [5]int{}
	for i, p := range line {
		var a, c byte
		if i >= step {
			a, c = line[i-step], above[i-step]
		}
		b := above[i]
		for k, v := range [5]byte{p, p - a, p - b, p - byte((int(a)+int(b))/2), p - predict(a, b, c)} {
			forms[k] = append(forms[k], v)
			sums[k] += min(int(v), 256-int(v))
		}
	}
	for k, s := range sums {
		if s < sums[best] {
			best = k
		}
	}
	return forms, best
}

// TestFilters wants every form and the choice equal to the plain ones at lengths around those of vectors, for noise, for smooth
// lines and for the extremes, where sums of differences leave a byte.
func TestFilters(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	kinds := map[string]func(i int) byte{
		"noise":    func(int) byte { return byte(rng.UintN(256)) },
		"smooth":   func(i int) byte { return byte(i/3 + int(rng.UintN(3))) },
		"extremes": func(int) byte { return [...]byte{0, 1, 127, 128, 129, 254, 255}[rng.UintN(7)] },
		"flat":     func(int) byte { return 200 },
	}
	for name, value := range kinds {
		for step := 1; step <= 4; step++ {
			for _, pixels := range []int{1, 2, 8, 9, 31, 32, 33, 64, 65, 97, 200} {
				line, above := make([]byte, pixels*step), make([]byte, pixels*step)
				for i := range line {
					line[i], above[i] = value(i), value(i)
				}
				f := newFilters(len(line), step)
				got := f.best(line, above)
				forms, best := plainly(line, above, step)
				for k, want := range forms {
					if f.lines[k][0] != byte(k) || !bytes.Equal(f.lines[k][1:], want) {
						t.Fatalf("%s, %d pixels of %d: form %d is %v, want %v", name, pixels, step, k, f.lines[k], want)
					}
				}
				if int(got[0]) != best {
					t.Errorf("%s, %d pixels of %d: form %d is chosen, want %d", name, pixels, step, got[0], best)
				}
			}
		}
	}
}

// TestPredictEverywhere compares the vectors' predictor with the plain one for all its inputs.
func TestPredictEverywhere(t *testing.T) {
	t.Parallel()
	line, above := make([]byte, 512), make([]byte, 512)
	f := newFilters(len(line), 1)
	for a := range 256 {
		for c := range 256 {
			for i := range 256 { // every second byte is asked: to its left lie a and c, above it is i
				line[2*i], line[2*i+1], above[2*i], above[2*i+1] = byte(a), 0, byte(c), byte(i)
			}
			f.best(line, above)
			for i := range 256 {
				if got, want := f.lines[4][2*i+2], -predict(byte(a), byte(i), byte(c)); got != want {
					t.Fatalf("a %d, b %d, c %d: %d, want %d", a, i, c, got, want)
				}
			}
		}
	}
}

func BenchmarkFilters(b *testing.B) {
	const pixels, step = 1024, 3
	rng := rand.New(rand.NewPCG(3, 4))
	line, above := make([]byte, pixels*step), make([]byte, pixels*step)
	for i := range line {
		line[i], above[i] = byte(i/9+int(rng.UintN(20))), byte(i/9+int(rng.UintN(20)))
	}
	f := newFilters(len(line), step)
	b.Run("best", func(b *testing.B) {
		b.SetBytes(pixels * step)
		for b.Loop() {
			f.best(line, above)
		}
	})
	b.Run("byte by byte", func(b *testing.B) {
		b.SetBytes(pixels * step)
		for b.Loop() {
			var sums [5]int
			f.first(line, above, &sums)
			f.rest(line, above, step, &sums)
		}
	})
}
