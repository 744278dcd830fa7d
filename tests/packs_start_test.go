package tests_test

import (
	"strings"
	"testing"
)

// TestPackStart loads packs of which one has a prestartup script, one imports it, and one lacks its requirements: the others run, and what is
// missing is told.
func TestPackStart(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain", "neighbour", "early", "lacking"})
	for class, want := range map[string]string{"EarlyMark": "ran first", "NeighbourMark": "beside one that ran first"} {
		r := server.run(t, shows(map[string]any{"1": packNode(class, map[string]any{})}, link("1", 0)))
		if got := shown(r); got != want {
			t.Errorf("%s gives %q, want %q; failure %+v", class, got, want, r.Failure())
		}
	}
	var told struct {
		Packs []struct{ Name, Error string }
	}
	if err := server.Get(t.Context(), "/api/v1/packs", &told); err != nil {
		t.Fatal(err)
	}
	for _, p := range told.Packs {
		lacks := strings.Contains(p.Error, "No module named 'comfygo_test_requirement_that_is_missing'")
		if want := p.Name == "lacking"; lacks != want || !want && p.Error != "" {
			t.Errorf("%s: %q", p.Name, p.Error)
		}
	}
	if len(told.Packs) != 4 {
		t.Errorf("%d packs are told of, want 4", len(told.Packs))
	}
}
