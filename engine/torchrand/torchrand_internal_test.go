package torchrand

import (
	"math"
	"slices"
	"testing"
)

// TestVectorsEqualPlainSteps compares the two forms of every piece, bit by bit. What a uniform value of 24 bits can be is tried at
// both its ends and all over.
func TestVectorsEqualPlainSteps(t *testing.T) {
	t.Parallel()
	const step = 37
	var plain []float32
	for k := 0; k < 1<<24; k += step {
		plain = append(plain, float32(k)*(1.0/(1<<24)))
	}
	for k := range blockLen {
		plain = append(plain, float32(1<<24-1-k)*(1.0/(1<<24)))
	}
	// The pairs of a block are eight apart: turning the list makes others of it.
	for turn := range 3 {
		turned := slices.Concat(plain[turn*1001:], plain[:turn*1001])
		turned = turned[:len(turned)/blockLen*blockLen]
		fast := slices.Clone(turned)
		boxMullerPlain(turned)
		boxMuller(fast)
		for i := range turned {
			if math.Float32bits(fast[i]) != math.Float32bits(turned[i]) {
				t.Fatalf("turn %d, value %d is %v in vectors and %v alone", turn, i, fast[i], turned[i])
			}
		}
	}
}

// TestWordsAreTheTwisters compares refilled states with the recurrence taken word by word, and the published ten thousandth word.
func TestWordsAreTheTwisters(t *testing.T) {
	t.Parallel()
	g := New(5489)
	state := g.state
	for round := range 20 {
		g.refill()
		for i := range state {
			state[i] = state[(i+mtShift)%mtLen] ^ twist(state[i], state[(i+1)%mtLen])
		}
		if state != g.state {
			t.Fatalf("the state differs in round %d", round)
		}
	}
	g = New(5489)
	for range 9999 {
		g.Uint32()
	}
	if got := g.Uint32(); got != 4123659995 {
		t.Errorf("the ten thousandth word is %d, want 4123659995", got)
	}
}

// TestUniformValuesAreTheWords draws in pieces that do not fit the vectors.
func TestUniformValuesAreTheWords(t *testing.T) {
	t.Parallel()
	a, b := New(3), New(3)
	for n := range 100 {
		out := make([]float32, n*7+n%5)
		a.uniform24(out)
		for i, v := range out {
			if want := float32(b.Uint32()&0xffffff) * (1.0 / (1 << 24)); v != want {
				t.Fatalf("piece %d, value %d is %v, want %v", n, i, v, want)
			}
		}
	}
}

// TestFMARoundsOnce tests sums whose float64 value is halfway between two float32 values.
func TestFMARoundsOnce(t *testing.T) {
	t.Parallel()
	const tiny = 0x1p-70
	for _, c := range []struct{ a, b, c, want float32 }{
		{1, 1, 0x1p-24, 1},                               // a true tie goes to the even neighbour
		{1 + 0x1p-12, 1 - 0x1p-12, 0x1p-24, 1},           // 1-2^-24+2^-24
		{0x1p-24, 1, 1, 1},                               // a tie
		{0x1.000002p-24, 1, 1, 1 + 0x1p-23},              // above it, within float64
		{0x1p-35, 0x1p-35, 1 + 0x1p-23, 1 + 0x1p-23},     // far below
		{1 + 0x1p-23, 0x1p-24 + 0x1p-47, 1, 1 + 0x1p-23}, // above
		{-(1 + 0x1p-23), 0x1p-24 + 0x1p-47, -1, -(1 + 0x1p-23)},
		{tiny, 1, 1, 1},
	} {
		if got := fma(c.a, c.b, c.c); got != c.want {
			t.Errorf("%v*%v+%v is %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
	// Halfway in float64 only after the lower digits were cut off.
	a, b, c := float32(1+0x1p-23), float32(1-0x1p-23), float32(0x1p+29)
	if exact, got := float64(c)+1, fma(a, b, c); got != float32(exact) {
		t.Errorf("%v*%v+%v is %v, want %v", a, b, c, got, exact)
	}
}

func BenchmarkRandn(b *testing.B) {
	out := make([]float32, 1*16*128*128)
	b.SetBytes(int64(4 * len(out)))
	b.ReportAllocs()
	for b.Loop() {
		New(1).Randn(out)
	}
}

func BenchmarkBoxMullerPlain(b *testing.B) {
	out := make([]float32, 1*16*128*128)
	g := New(1)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		g.uniform24(out)
		b.StartTimer()
		boxMullerPlain(out)
	}
}
