package census_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/census"
	"comfygo/engine/weights"
)

// TestCensusIsThatOfTheDocs holds docs/models.md, and that every sample is of the family that ComfyUI took it for and of no other.
func TestCensusIsThatOfTheDocs(t *testing.T) {
	t.Parallel()
	lines, err := census.Lines(family.Default)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 101 {
		t.Errorf("%d families, want ComfyUI's 101", len(lines))
	}
	var diffusion []string // LoRA files are for these; models of other roles have none
	for _, f := range family.Default.Diffusion() {
		diffusion = append(diffusion, f.Name())
	}
	runs, samples := 0, 0
	for _, l := range lines {
		samples += len(l.Samples)
		if len(l.Mistaken) > 0 {
			t.Errorf("%s (%s): %v are taken for another family, or not for any", l.Class, l.Family, l.Mistaken)
		}
		if l.Runs {
			runs++
		}
		if l.Runs && len(l.Samples) > 0 && (!l.LoRA && slices.Contains(diffusion, l.Family) || !l.Memory) {
			t.Errorf("%s (%s): LoRA %t, memory estimated %t", l.Class, l.Family, l.LoRA, l.Memory)
		}
	}
	if runs < 79 || samples < 110 {
		t.Errorf("%d families run and %d samples are told apart", runs, samples)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := census.Insert(string(page), lines); err != nil || want != string(page) {
		t.Errorf("docs/models.md is not what `go run ./tools/familydocs` writes (%v)", err)
	}
	if _, err := census.Insert("no marks", lines); err == nil {
		t.Error("a page without marks was taken")
	}
}

// TestPackedSamples writes and reads samples.
func TestPackedSamples(t *testing.T) {
	t.Parallel()
	all, err := census.Samples()
	if err != nil || len(all) < 75 {
		t.Fatalf("%d samples: %v", len(all), err)
	}
	again, err := census.Pack(all)
	if err != nil || len(again) > 100<<10 {
		t.Errorf("the samples take %d bytes: %v", len(again), err)
	}
	s := weights.NewScope(all[0].Source())
	if len(all[0].Tensors) == 0 || !s.Has(all[0].Tensors[0].Name) {
		t.Errorf("the sample %s shows no tensors", all[0].Name)
	}
}
