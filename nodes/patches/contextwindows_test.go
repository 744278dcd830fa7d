package patches

import (
	"slices"
	"testing"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	if got, err := places("x", " 4,0"); err != nil || !slices.Equal(got, []int{0, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := places("x", ""); err != nil || got != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
	for _, bad := range []string{"a", "1,", "-1"} {
		if _, err := places("x", bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	if _, err := (&ContextWindowsManual{ContextLength: 4}).Run(nil); err == nil {
		t.Error("no model: no error")
	}
}
