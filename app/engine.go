package app

import (
	"log/slog"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/residency"
	"comfygo/folders"
	"comfygo/internal/memory"
)

// engineConfig turns flags into the engine's configuration. The library is looked for when the first
// model needs it.
func engineConfig(cfg cli.Config, m machine, dirs *folders.Folders, log *slog.Logger) engine.Config {
	sparing := cfg.VRAM == cli.VRAMLow || cfg.VRAM == cli.VRAMNone
	return engine.Config{
		Library:       func() (string, error) { return findLibrary(cfg, m.cuda()) },
		Device:        m.device(),
		GPUs:          m.gpus,
		Threads:       cfg.Threads,
		Lean:          sparing,
		Prepared:      cfg.VRAM == cli.VRAMHigh || cfg.VRAM == cli.VRAMGPUOnly,
		UNet:          computeType(cfg.UNetType, cfg.ForceFP32),
		VAE:           computeType(cfg.VAEType, cfg.ForceFP32),
		Text:          computeType(cfg.TextType, cfg.ForceFP32),
		Graphs:        cfg.CUDAGraphs,
		Int8:          cfg.CPUInt8 && !m.cuda(),
		NoAMX:         cfg.NoAMX,
		VAEOnCPU:      cfg.VAEOnCPU,
		TextOnCPU:     sparing,
		Budget:        modelBudget(cfg),
		Available:     func() int64 { return availableMemory(cfg, m.cuda()) },
		DeviceMemory:  device.FreeVRAM,
		DeviceReserve: reserved(cfg),
		Streaming:     streaming(cfg.VRAM),
		Pinned:        pinned(cfg),
		Embeddings:    func(name string) (string, bool) { return findEmbedding(dirs, name) },
		Log:           log,
	}
}

// modelBudget returns the number of bytes of weights that may stay loaded: that of the flag, else three quarters of the
// memory, so that a second model does not push the machine into swapping.
func modelBudget(cfg cli.Config) int64 {
	if cfg.ModelMemory > 0 {
		return int64(cfg.ModelMemory * gib)
	}
	total := device.TotalMemory()
	if cfg.MaxMemory > 0 {
		total = min(total, int64(cfg.MaxMemory*gib))
	}
	return total / 4 * 3
}

// availableMemory returns how many bytes of host memory a run may still use: free memory within the rest of the process's
// budget. Without a GPU, host memory counts as VRAM, and the flags' reserve is kept free.
func availableMemory(cfg cli.Config, cuda bool) int64 {
	free := device.FreeMemory()
	if !cuda {
		free = max(free-reserved(cfg), 0)
	}
	return int64(min(uint64(free), memory.Process.Available())) //nolint:gosec // not negative, and at most free
}

// streaming is when weights are copied to a GPU in each step.
func streaming(mode cli.VRAMMode) residency.Streaming {
	switch mode {
	case cli.VRAMHigh, cli.VRAMGPUOnly:
		return residency.StreamNever
	case cli.VRAMLow:
		return residency.StreamHalf
	case cli.VRAMNone:
		return residency.StreamAll
	}
	return residency.StreamLarge
}

// pinned returns the number of bytes of the host's memory that may be pinned: half of it.
func pinned(cfg cli.Config) int64 {
	if cfg.NoPinned {
		return 0
	}
	total := device.TotalMemory()
	if cfg.MaxMemory > 0 {
		total = min(total, int64(cfg.MaxMemory*gib))
	}
	return total / 2
}

// reserved returns the number of bytes of VRAM that --reserve-vram and --vram-headroom leave to other programs.
func reserved(cfg cli.Config) int64 {
	kept := cfg.VRAMHeadroom
	if cfg.ReserveVRAM != nil {
		kept += *cfg.ReserveVRAM
	}
	return int64(kept * gib)
}

// computeType is the type that a network computes in on a GPU; Invalid leaves it to the engine. The
// 8-bit types are for storing weights, which comfygo reads from the file as they are.
func computeType(name string, force32 bool) dtype.DType {
	switch {
	case name == "fp16":
		return dtype.F16
	case name == "bf16":
		return dtype.BF16
	case name == "fp32", name == "fp64", force32:
		return dtype.F32
	default:
		return dtype.Invalid
	}
}

// findEmbedding finds a textual inversion by the name that a prompt uses, with or without its ending.
func findEmbedding(dirs *folders.Folders, name string) (string, bool) {
	for _, ext := range []string{"", ".safetensors", ".pt", ".bin"} {
		if path, ok := dirs.Find("embeddings", name+ext); ok {
			return path, true
		}
	}
	return "", false
}
