package engine_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/residency"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// TestPromptsTakeMemory encodes prompts on machines with little memory: what a run takes grows with the prompt, is in the ledger while it
// runs, and is refused before it starts where it does not fit.
func TestPromptsTakeMemory(t *testing.T) {
	t.Parallel()
	const long = 4000
	path := golden.Checkpoint(t, "sd15-small")
	peak := func(prompt string, have int64) (int64, error) {
		rt := shared.WithMemory(func() int64 { return have })
		t.Cleanup(rt.FreeModels)
		_, clip, _, err := rt.LoadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = clip.Encode(t.Context(), prompt)
		most := int64(0)
		for _, d := range rt.Stats().Devices {
			if d.Running != 0 {
				t.Errorf("after the run %d bytes are in the ledger", d.Running)
			}
			most = max(most, d.Peak)
		}
		return most, err
	}
	short, err := peak("a cat", math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := peak(strings.Repeat("cat ", long), math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if short <= 0 || whole < 2*short {
		t.Errorf("a short prompt is estimated at %d bytes, one of %d words at %d", short, long, whole)
	}
	_, err = peak(strings.Repeat("cat ", long), (short+whole)/2)
	var refused *residency.MemoryError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "encoding the prompt needs about") || refused.Needed != whole {
		t.Errorf("with too little memory: %v, wanted that it needs %d bytes", err, whole)
	}
	if _, err := peak("a cat", (short+whole)/2); err != nil {
		t.Errorf("a short prompt with the same memory: %v", err)
	}
}

// TestDecodingInTilesByNeed decodes a latent with the memory that the VAE's graph needs, and with less. Only then tiles are used.
func TestDecodingInTilesByNeed(t *testing.T) {
	t.Parallel()
	const side, mib = 40, 1 << 20
	z := tensor.New(1, 4, side, side)
	for i := range z.Data {
		z.Data[i] = float32(i%23)/11 - 1
	}
	decode := func(have int64) (*tensor.Tensor, string) {
		var log bytes.Buffer
		rt := shared.WithMemory(func() int64 { return have }).WithLog(slog.New(slog.NewTextHandler(&log, nil)))
		t.Cleanup(rt.FreeModels)
		vae, err := rt.LoadVAE(golden.Checkpoint(t, "sd15-small"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := vae.Decode(t.Context(), z)
		if err != nil {
			t.Fatal(err)
		}
		return out, log.String()
	}
	whole, _ := decode(math.MaxInt64)
	for _, c := range []struct {
		have  int64
		tiled bool
	}{{260 * mib, false}, {110 * mib, true}} { // upstream's figure for this size is 850 MiB; 150 are used
		out, log := decode(c.have)
		if tiled := strings.Contains(log, "decoding in tiles"); tiled != c.tiled {
			t.Errorf("with %d MiB: in tiles %v, wanted %v", c.have/mib, tiled, c.tiled)
		}
		if !c.tiled && !slices.Equal(out.Data, whole.Data) {
			t.Errorf("with %d MiB the image differs from that with enough memory", c.have/mib)
		}
	}
}
