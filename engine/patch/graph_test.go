package patch_test

import (
	"fmt"
	"testing"

	"comfygo/engine/patch"
)

// factor is a patch of attention that a number describes.
type factor struct {
	at patch.Point
	q  float32
}

// Point implements patch.GraphPatch.
func (f factor) Point() patch.Point { return f.at }

// Digest implements patch.GraphPatch.
func (f factor) Digest() string { return fmt.Sprint(f.q) }

func TestGraphPatchDigests(t *testing.T) {
	t.Parallel()
	scale := func(at patch.Point, q float32) patch.GraphPatch { return factor{at, q} }
	none := patch.GraphPatches{}
	one := none.With(scale(patch.SelfAttention, 2))
	seen := map[string]string{"none": none.Digest()}
	for name, p := range map[string]patch.GraphPatches{
		"one": one, "another factor": none.With(scale(patch.SelfAttention, 3)), "another point": none.With(scale(patch.CrossAttention, 2)),
		"twice": one.With(scale(patch.SelfAttention, 2)),
	} {
		for other, d := range seen {
			if d == p.Digest() {
				t.Errorf("%s and %s have one digest", name, other)
			}
		}
		seen[name] = p.Digest()
	}
	if again := none.With(scale(patch.SelfAttention, 2)); again.Digest() != one.Digest() {
		t.Error("equal patches have different digests")
	}
	if left := one.Without([]patch.Point{patch.CrossAttention}); len(left) != 1 {
		t.Errorf("%d patches are left out of a network without their point, want 1", len(left))
	}
	if len(none) != 0 || len(one) != 1 {
		t.Error("With changed its receiver")
	}
}
