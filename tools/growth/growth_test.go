package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTable checks what is printed and written for an axis.
func TestTable(t *testing.T) {
	g := Growth{Name: "loras", Title: "LoRA files", Figures: []string{"CPU s", "peak, MiB"}, Points: []Point{
		{At: 0, Figures: []float64{1, 500}}, {At: 2, Figures: []float64{1.5, 510}}, {At: 12, Figures: []float64{4, 610}},
	}}
	want := `
| LoRA files | CPU s | each more | peak, MiB | each more |
|---|---|---|---|---|
| 0 | 1 |  | 500 |  |
| 2 | 1.5 | 0.25 | 510 | 5 |
| 12 | 4 | 0.25 | 610 | 10 |
`
	if got := g.table(); got != want {
		t.Errorf("table:\n%s\nwant:\n%s", got, want)
	}
	dir := filepath.Join(t.TempDir(), "new")
	old := Growth{Name: "jobs", Title: "waiting jobs", Figures: g.Figures, Points: []Point{{At: 34, Figures: []float64{1, 2}}}}
	for _, all := range [][]Growth{{old, {Name: "loras", Points: []Point{{At: 56}}}}, {g}} { // the second run measures LoRA files again
		if err := write(dir, all); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "growth.json")); err != nil || !strings.Contains(string(b), `"at": 34`) || strings.Contains(string(b), `"at": 56`) {
		t.Errorf("an axis that was not measured again is missing, or one that was is old: %v, %s", err, b)
	}
	for name, part := range map[string]string{"growth.json": `"at": 12`, "loras.svg": "Cost by LoRA files"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), part) {
			t.Errorf("%s: %v, %q is missing in %s", name, err, part, b)
		}
	}
}

// TestMedian checks that each figure is the median of the rounds on its own.
func TestMedian(t *testing.T) {
	rounds := [][]float64{{3, 10}, {1, 30}, {2, 20}}
	a := axis{figures: []string{"a", "b"}, measure: func(_ context.Context, _ options, n int) ([]float64, error) {
		if n != 7 {
			return nil, errors.New("another value")
		}
		r := rounds[0]
		rounds = rounds[1:]
		return r, nil
	}}
	p, err := options{rounds: 3}.median(t.Context(), a, 7)
	if err != nil || p.At != 7 || p.Figures[0] != 2 || p.Figures[1] != 20 {
		t.Errorf("median %+v, %v", p, err)
	}
	if _, err := (options{rounds: 1}).median(t.Context(), a, 8); err == nil {
		t.Error("a failed measurement is no error")
	}
}

// TestWorkflow checks that the links of a workflow with everything lead to nodes, and that LoRA files and ControlNets are chained.
func TestWorkflow(t *testing.T) {
	w := prompt{checkpoint: "c", loras: 3, controls: 2, chunks: 2}.workflow()
	for id, n := range w {
		for name, in := range n.Inputs {
			if link, ok := in.([]any); ok {
				if _, there := w[link[0].(string)]; !there {
					t.Errorf("%s.%s links to %v", id, name, link)
				}
			}
		}
	}
	at, files := "5", map[any]bool{}
	for w[at].Class != "CheckpointLoaderSimple" {
		at = w[at].Inputs["model"].([]any)[0].(string)
		if name, ok := w[at].Inputs["lora_name"]; ok {
			files[name] = true
		}
	}
	at = "5"
	for at != "2" {
		at = w[at].Inputs["positive"].([]any)[0].(string)
		if link, ok := w[at].Inputs["control_net"].([]any); ok {
			files[link[0]] = true
		}
	}
	if len(files) != 5 {
		t.Errorf("the sampler gets %d LoRA files and ControlNets, want 5: %v", len(files), files)
	}
	if words := strings.Fields(w["2"].Inputs["text"].(string)); len(words) != 149 {
		t.Errorf("%d words for two chunks of 75 tokens", len(words))
	}
}

// TestArguments checks that mistakes on the command line are told.
func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "-models",
		"-models m -rounds 0":               "-rounds 1",
		"-models m more":                    `"more"`,
		"-models m -only pixels,elephants":  `"elephants"`,
		"-models /nowhere -server /nothing": "looking for a model",
	} {
		err := run(t.Context(), strings.Fields(args), new(strings.Builder), new(strings.Builder))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("growth %s: %v, want %q", args, err, want)
		}
	}
}

// TestSmall checks that the workflows of waiting jobs differ, so that no job is another's.
func TestSmall(t *testing.T) {
	if small(1)["1"].Inputs["color"] == small(2)["1"].Inputs["color"] {
		t.Error("two jobs are the same")
	}
}
