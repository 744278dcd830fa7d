package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorJudgesWorkflows has one saved workflow that can run, one with a core class that is missing, one with a custom class and
// one that is damaged.
func TestDoctorJudgesWorkflows(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	dir := filepath.Join(s.base, "user", "default", "workflows")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"good.json":   `{"1": {"class_type": "PrimitiveInt", "inputs": {"value": 1}}}`,
		"custom.json": `{"1": {"class_type": "SomebodysNode", "inputs": {}}}`,
		"broken.json": `{"1": `,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _, _ := s.run("doctor", "--onnxruntime", s.base)
	for _, want := range []string{"3 saved, 1 can run", "custom.json cannot run: node 1 (SomebodysNode): there is no such node class here: it is no core class", "broken.json cannot run: "} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
}

func TestShadowedPermission(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	if _, errs, code := s.run("roles", "create", "Team", "--like", "User"); code != 0 || !strings.Contains(errs, "narrower ones that are allowed later limit nothing") {
		t.Fatalf("code %d, %s", code, errs)
	}
	_, errs, code := s.run("roles", "allow", "Team", "POST", "/prompt", "--workflow", "registered")
	if code != 0 || !strings.Contains(errs, "warning: role Team has the wider permission POST /prompt") {
		t.Errorf("code %d, %s", code, errs)
	}
	if _, errs, _ := s.run("roles", "create", "Narrow"); strings.Contains(errs, "note:") {
		t.Errorf("a role without permissions: %s", errs)
	}
	if _, errs, code := s.run("roles", "allow", "Narrow", "POST", "/prompt", "--workflow", "registered"); code != 0 || strings.Contains(errs, "warning") {
		t.Errorf("code %d, %s", code, errs)
	}
}
