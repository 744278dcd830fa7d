package tests_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/tests/golden"
)

// TestMissingLibrary checks that a server without ONNX Runtime starts, and that the first prompt
// that needs it explains what to do.
func TestMissingLibrary(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "libonnxruntime.so")
	server := start(t, "--demo-model", "--onnxruntime", none)
	for range 2 { // a failure is not remembered as a result
		result := server.run(t, demoWorkflow(t, nil))
		if f := result.Failure(); f == nil || !strings.Contains(f.Message, none) {
			t.Fatalf("failure %+v does not name %s", f, none)
		}
	}
}

// TestDoctor runs the doctor where all is well and where the library is missing.
func TestDoctor(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "doctor", "--demo-model", "--base-directory", t.TempDir())
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	for _, what := range []string{"cpu", "memory", "library", "providers", "gpu", "models", "output", "input", "temp", "user", "disk"} {
		if !strings.Contains(stdout, "  "+what+" ") {
			t.Errorf("no line about %s in\n%s", what, stdout)
		}
	}
	code, stdout, stderr = command(t, "doctor", "--onnxruntime", t.TempDir(), "--base-directory", t.TempDir())
	if code != 1 || !strings.HasPrefix(stderr, "comfygo: 1 of ") || !strings.Contains(stdout, "FAIL  library") || !strings.Contains(stdout, " -> ") {
		t.Errorf("without a library: exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
}

// TestProfiles makes the golden image with the flags that change how models are held.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, flags := range []string{"--lowvram", "--threads 1", "--cache-none", "--model-memory 0.001", "--cpu --force-fp32"} {
		t.Run(flags, func(t *testing.T) {
			server := start(t, append(strings.Fields(flags), "--demo-model")...)
			result := server.run(t, demoWorkflow(t, nil))
			if f := result.Failure(); f != nil {
				t.Fatalf("node %s: %s", f.NodeType, f.Message)
			}
			files := result.Files("9", "images")
			if len(files) != 1 {
				t.Fatalf("%d images", len(files))
			}
			comparePNG(t, "image", server.view(t, files[0]), golden.Path(t, "demo/golden_4_42.png"))
		})
	}
}
