package app_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/residency"
)

// configOf reads a command line.
func configOf(t *testing.T, words ...string) cli.Config {
	t.Helper()
	var out bytes.Buffer
	var got cli.Config
	code := cli.Main(t.Context(), words, &out, &out, cli.Handlers{Serve: func(_ context.Context, c cli.Config) error { got = c; return nil }})
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s", words, code, out.String())
	}
	return got
}

// TestEngineFlags checks how the flags of devices, precision and memory are passed to the engine. The engine's behaviour is
// checked by its own tests and, for GPUs, by those that run on one.
func TestEngineFlags(t *testing.T) {
	t.Parallel()
	plain, err := app.EngineConfig(configOf(t, "--cpu"))
	if err != nil {
		t.Fatal(err)
	}
	if plain.Pinned <= 0 || plain.Streaming != residency.StreamLarge {
		t.Errorf("without flags, %d bytes may be pinned, weights are streamed by rule %d", plain.Pinned, plain.Streaming)
	}
	if plain.Lean || plain.Prepared || plain.VAEOnCPU || plain.TextOnCPU || plain.UNet != dtype.Invalid || plain.VAE != dtype.Invalid || plain.Text != dtype.Invalid {
		t.Errorf("without flags: %+v", plain)
	}
	for flag, holds := range map[string]func(c engine.Config) bool{
		"--highvram":              func(c engine.Config) bool { return c.Prepared && !c.Lean && c.Streaming == residency.StreamNever },
		"--gpu-only":              func(c engine.Config) bool { return c.Prepared && !c.Lean && c.Streaming == residency.StreamNever },
		"--lowvram":               func(c engine.Config) bool { return c.Lean && c.TextOnCPU && c.Streaming == residency.StreamHalf },
		"--novram":                func(c engine.Config) bool { return c.Lean && c.TextOnCPU && c.Streaming == residency.StreamAll },
		"--disable-pinned-memory": func(c engine.Config) bool { return c.Pinned == 0 },
		"--cuda-graphs":           func(c engine.Config) bool { return c.Graphs },
		"--cpu-int8":              func(c engine.Config) bool { return c.Int8 },
		"--no-amx":                func(c engine.Config) bool { return c.NoAMX },
		"--cpu-vae":               func(c engine.Config) bool { return c.VAEOnCPU },
		"--force-fp32":            func(c engine.Config) bool { return c.UNet == dtype.F32 && c.VAE == dtype.F32 && c.Text == dtype.F32 },
		"--force-fp16":            func(c engine.Config) bool { return c.UNet == dtype.F16 },
		"--fp32-unet":             func(c engine.Config) bool { return c.UNet == dtype.F32 },
		"--fp16-unet":             func(c engine.Config) bool { return c.UNet == dtype.F16 },
		"--bf16-unet":             func(c engine.Config) bool { return c.UNet == dtype.BF16 },
		"--fp32-vae":              func(c engine.Config) bool { return c.VAE == dtype.F32 },
		"--fp16-vae":              func(c engine.Config) bool { return c.VAE == dtype.F16 },
		"--bf16-vae":              func(c engine.Config) bool { return c.VAE == dtype.BF16 },
		"--fp32-text-enc":         func(c engine.Config) bool { return c.Text == dtype.F32 },
		"--fp16-text-enc":         func(c engine.Config) bool { return c.Text == dtype.F16 },
		"--bf16-text-enc":         func(c engine.Config) bool { return c.Text == dtype.BF16 },
	} {
		words := []string{flag}
		if flag != "--highvram" && flag != "--gpu-only" && flag != "--lowvram" && flag != "--novram" {
			words = append(words, "--cpu") // the others exclude it
		}
		got, err := app.EngineConfig(configOf(t, words...))
		if err != nil {
			t.Fatal(err)
		}
		if !holds(got) {
			t.Errorf("%s: %+v", flag, got)
		}
	}
	const huge = "1000000" // GB: nothing is left
	for _, flag := range []string{"--reserve-vram", "--vram-headroom"} {
		got, err := app.EngineConfig(configOf(t, "--cpu", flag, huge))
		if err != nil {
			t.Fatal(err)
		}
		if free := got.Available(); free != 0 || plain.Available() == 0 {
			t.Errorf("with %s %s, %d bytes are available, else %d", flag, huge, free, plain.Available())
		}
		if got, err := app.EngineConfig(configOf(t, "--cpu", flag, "2")); err != nil || got.DeviceReserve != 2<<30 {
			t.Errorf("with %s 2, %d bytes of a GPU are left to others: %v", flag, got.DeviceReserve, err)
		}
	}
}

// TestDeviceFlags checks which GPU is selected, and which GPUs are visible to CUDA.
func TestDeviceFlags(t *testing.T) {
	for words, want := range map[string]int{"": -1, "--default-device 1": 1, "--cuda-device 3,1": 0, "--cuda-device 3 --default-device 0": 0, "--cuda-device all": -1} {
		if got := app.WantedGPU(configOf(t, strings.Fields(words)...)); got != want {
			t.Errorf("%q wants GPU %d, not %d", words, got, want)
		}
	}
	t.Setenv("CUDA_VISIBLE_DEVICES", "7")
	if err := app.ShowDevices(configOf(t, "--cuda-device", "2,3")); err != nil || os.Getenv("CUDA_VISIBLE_DEVICES") != "2,3" {
		t.Errorf("CUDA sees %s, %v", os.Getenv("CUDA_VISIBLE_DEVICES"), err)
	}
}
