package readme_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/internal/readme"
	"comfygo/nodes/catalog"
)

func TestReadmeIsCurrent(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	section, err := readme.Section()
	if err != nil {
		t.Fatal(err)
	}
	want, err := readme.Insert(string(page), section)
	if err != nil {
		t.Fatal(err)
	}
	if want != string(page) {
		t.Error("what README.md says works is out of date: run `go run ./tools/nodedocs`")
	}
	for _, g := range []string{"Stable Diffusion 1.x", "Flux", "Audio", "Vision"} {
		if !strings.Contains(section, g) {
			t.Errorf("the section lacks %s", g)
		}
	}
}

// TestGroupsNameModules finds every module that a group names in the catalogue.
func TestGroupsNameModules(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range catalog.Classes() {
		known[strings.TrimPrefix(c.Module, "comfy_extras.nodes_")] = true
	}
	for _, m := range readme.Modules() {
		if !known[m] {
			t.Errorf("a group names the module %s, which the catalogue does not have", m)
		}
	}
	if _, err := readme.Insert("no marks", "x"); err == nil {
		t.Error("a page without marks was accepted")
	}
}
