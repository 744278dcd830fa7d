package pyre_test

import (
	"errors"
	"testing"

	"comfygo/internal/pyre"
)

// TestSubFunc replaces matches by what a function gives; an error ends the search.
func TestSubFunc(t *testing.T) {
	t.Parallel()
	p, err := pyre.Compile(`é?(\d+)`, pyre.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	inner := func(m pyre.Match) (string, error) {
		digits, _ := m.Group(1)
		return "<" + digits + ">", nil
	}
	if got, err := p.SubFunc(t.Context(), "aé12 b3ü", inner); err != nil || got != "a<12> b<3>ü" {
		t.Errorf("%q, %v", got, err)
	}
	stop := errors.New("stop")
	if got, err := p.SubFunc(t.Context(), "1 2", func(pyre.Match) (string, error) { return "", stop }); !errors.Is(err, stop) || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}
