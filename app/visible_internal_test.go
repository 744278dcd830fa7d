package app

import (
	"bytes"
	"strings"
	"testing"
)

// TestTableShowsNames: a file's name cannot steer the terminal, nor forge lines or columns.
func TestTableShowsNames(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := Command{Stdout: &out}
	if err := c.table([][]string{{"checkpoints", "a\x1b[2J\nb\t\u202egnp.\u009b31m.safetensors"}, {"loras", "日本語.safetensors"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `a\x1b[2J\nb\t\u202egnp.\u009b31m.safetensors`; !strings.Contains(got, want) || !strings.Contains(got, "日本語") || strings.Count(got, "\n") != 2 {
		t.Errorf("%q, want %q in it", got, want)
	}
}
