package nearest_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"comfygo/internal/geometry/nearest"
)

// TestFind compares with a search of all points, some of which coincide.
func TestFind(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 16, 17, 500} {
		points := make([]float32, 3*n)
		for i := range points {
			points[i] = float32(rng.IntN(20)) / 8
		}
		tree, err := nearest.New(t.Context(), points)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			q := [3]float32{rng.Float32() * 3, rng.Float32() * 3, rng.Float32() * 3}
			order := make([]int32, n)
			distance := make([]float64, n)
			for i := range order {
				order[i] = int32(i)
				for k, v := range q {
					d := float64(v) - float64(points[3*i+k])
					distance[i] += d * d
				}
			}
			slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(distance[a], distance[b]), cmp.Compare(a, b)) })
			want := order[:min(8, n)]
			if got := tree.FindSome(nil, q[0], q[1], q[2], 8); !slices.Equal(got, want) {
				t.Fatalf("of %d points %v are found, want %v", n, got, want)
			}
			one := int32(-1)
			if n > 0 {
				one = order[0]
			}
			if got, _ := tree.Find(q[0], q[1], q[2]); got != one {
				t.Fatalf("of %d points %d is found, want %d", n, got, one)
			}
		}
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := nearest.New(ctx, make([]float32, 3000)); !errors.Is(err, stop) {
		t.Errorf("error %v, want the interrupt", err)
	}
}
