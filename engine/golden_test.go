package engine_test

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"comfygo/engine"
	"comfygo/internal/goldencheck/checktest"
	"comfygo/internal/ortlib"
	"comfygo/tests/golden"
)

// shared is the runtime of all tests: a process can have one library open.
var shared *engine.Runtime

var setEmbedding sync.Once

// embedding is the file of the golden prompts' textual inversion.
var embedding string

func TestMain(m *testing.M) {
	shared = engine.New(engine.Config{
		Library:    func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Embeddings: func(name string) (string, bool) { return embedding, name == "emb_test" },
		Lean:       os.Getenv("COMFYGO_TEST_LEAN") != "",
		Prepared:   os.Getenv("COMFYGO_TEST_PREPARED") != "",
		Log:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fp32 bounds single networks: ten times what torch's own float32 differs from float64 there (1.1e-6 to 1.5e-6,
// shared tolerance table), rounded up.
var fp32 = golden.Tolerance{RMSRel: 1.5e-5}

// TestNetworksEqualUpstream runs the goldens of diffusion models, text encoders, VAEs and modules. Those of the larger
// checkpoints are left to "make golden".
func TestNetworksEqualUpstream(t *testing.T) {
	t.Parallel()
	setEmbedding.Do(func() { embedding = golden.Checkpoint(t, "emb-test") })
	for _, only := range []string{
		"forward/sd15*", "forward/sdxl", "forward/unclip*", "forward/zero123", "text/sd15_encode", "text/clip_l", "text/tokens", "vae/sd15-small", "vae/vae-sd", "vae/taesd", "module",
	} {
		t.Run(only, func(t *testing.T) {
			t.Parallel()
			checktest.Pass(t, only, shared)
		})
	}
}
