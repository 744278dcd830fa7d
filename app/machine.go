package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/engine/ort"
	"comfygo/internal/ortlib"
	"comfygo/internal/pyjson"
	"comfygo/server/health"
)

// machine holds what prompts run on.
type machine struct {
	choice device.Choice
	gpus   int // that CUDA shows
	mode   cli.VRAMMode
}

// findMachine picks the CPU or a GPU without opening the ONNX Runtime library: a GPU counts
// as usable when the library found on this machine is a build for GPUs. Whether it really works shows
// at the first model, and in `comfygo doctor`.
func findMachine(cfg cli.Config) (machine, error) {
	if err := showDevices(cfg); err != nil {
		return machine{}, err
	}
	m := machine{mode: cfg.VRAM}
	if cfg.CPU {
		choice, err := device.Choose(device.Want{CPU: true, GPU: -1}, nil, nil, nil)
		m.choice = choice
		return m, err
	}
	gpus, none := device.GPUs()
	choice, err := device.Choose(wanted(cfg), gpus, none, func(int) error { return cudaBuild(cfg) })
	m.choice, m.gpus = choice, len(gpus)
	return m, err
}

// showDevices restricts the devices that CUDA sees to those of --cuda-device.
func showDevices(cfg cli.Config) error {
	if cfg.CUDADevice == "" || cfg.CUDADevice == "all" {
		return nil
	}
	if err := os.Setenv("CUDA_VISIBLE_DEVICES", cfg.CUDADevice); err != nil {
		return fmt.Errorf("choosing the CUDA devices %s: %w", cfg.CUDADevice, err)
	}
	return nil
}

// wanted is the GPU that has to be used; with --cuda-device the GPUs are counted anew from 0.
func wanted(cfg cli.Config) device.Want {
	w := device.Want{GPU: -1}
	if cfg.DefaultDevice != nil {
		w.GPU = *cfg.DefaultDevice
	} else if first, _, _ := strings.Cut(cfg.CUDADevice, ","); first != "" {
		if _, err := strconv.Atoi(first); err == nil {
			w.GPU = 0
		}
	}
	return w
}

// cudaBuild reports why the library cannot use a GPU, as far as its files tell.
func cudaBuild(cfg cli.Config) error {
	path, err := ortlib.Find(ortlib.Options{Path: cfg.ONNXRuntime, CUDA: true})
	if err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*onnxruntime_providers_cuda*"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("%s is the build for the CPU only; `comfygo setup --cuda` fetches the one for NVIDIA GPUs", path)
	}
	return nil
}

func (m machine) cuda() bool { return m.choice.GPU >= 0 }

func (m machine) device() ort.Device {
	if !m.cuda() {
		return ort.Device{}
	}
	return ort.Device{Kind: ort.CUDA, Index: m.choice.GPU}
}

// stats are the figures of /system_stats.
func (m machine) stats() health.Stats {
	s := device.ReadStats(m.choice.GPU)
	out := health.Stats{RAMTotal: s.RAMTotal, RAMFree: s.RAMFree}
	for _, d := range s.Devices {
		index := -1
		if d.Index != nil {
			index = *d.Index
		}
		out.Devices = append(out.Devices, health.Device{
			Name: d.Name, Type: d.Type, Index: index, VRAMTotal: d.VRAMTotal, VRAMFree: d.VRAMFree,
			TorchTotal: d.TorchVRAMTotal, TorchFree: d.TorchVRAMFree,
		})
	}
	return out
}

// check returns the GPU check of /health, or nil without a GPU.
func (m machine) check() func() error {
	if !m.cuda() {
		return nil
	}
	return func() error {
		gpus, err := device.GPUs()
		if err != nil {
			return err
		}
		for _, c := range gpus {
			if c.Index == m.choice.GPU {
				return nil
			}
		}
		return fmt.Errorf("GPU %d is not there any more", m.choice.GPU)
	}
}

// describe prints the description of the machine at every start of the server.
func (m machine) describe(log *slog.Logger) {
	s := m.stats()
	const mib = 1 << 20
	var vram int64
	if len(s.Devices) > 0 {
		vram = s.Devices[0].VRAMTotal
	}
	log.Info(fmt.Sprintf("Total VRAM %d MB, total RAM %d MB", vram/mib, s.RAMTotal/mib))
	log.Info("Device: " + m.device().String())
	log.Debug("chose " + m.choice.Why)
	log.Info("comfygo version: " + Version + ", for clients of ComfyUI " + health.UpstreamVersion)
}

// runtimeState returns the state of the model runtime in /health.
func (p *parts) runtimeState() *pyjson.Object {
	s := p.engine.Stats()
	devices := []any{}
	for _, a := range s.Devices {
		devices = append(devices, pyjson.NewObject("device", a.Device.String(), "sessions", a.Sessions, "weight_bytes", a.Weights,
			"running_bytes", a.Running, "peak_bytes", a.Peak, "activation_bytes", a.Activations, "pinned_bytes", a.Pinned,
			"streamed_bytes", a.Streamed, "streamed_step_bytes", a.StepStreamed))
	}
	return pyjson.NewObject("device", p.machine.device().String(), "onnxruntime", s.Version,
		"networks", s.Networks, "weight_bytes", s.WeightBytes, "devices", devices)
}
