package device

import (
	"runtime"
	"strconv"
)

// Stats are the figures that /system_stats shows about the machine.
type Stats struct {
	OS       string // as Python's sys.platform writes it: linux, darwin, win32
	RAMTotal int64  // bytes
	RAMFree  int64
	Devices  []Entry // the one in use first
}

// Entry is one element of /system_stats' devices. The JSON names are upstream's; "torch" figures are what this process
// holds of a GPU, and repeat the memory for the CPU.
type Entry struct {
	Name           string `json:"name"`
	Type           string `json:"type"`
	Index          *int   `json:"index"`
	VRAMTotal      int64  `json:"vram_total"`
	VRAMFree       int64  `json:"vram_free"`
	TorchVRAMTotal int64  `json:"torch_vram_total"`
	TorchVRAMFree  int64  `json:"torch_vram_free"`
}

// ReadStats returns the figures of this moment. With a GPU in use, primary is its index; -1 means the CPU.
func ReadStats(primary int) Stats {
	var gpus []GPU
	if primary >= 0 {
		gpus, _ = GPUs() // when the driver stops answering, the figures show the CPU
	}
	return statsOf(ReadMemory(), gpus, primary)
}

func statsOf(m Memory, gpus []GPU, primary int) Stats {
	s := Stats{OS: platform(runtime.GOOS), RAMTotal: m.Total, RAMFree: m.Free}
	for _, c := range gpus {
		e := Entry{
			Name: "cuda:" + strconv.Itoa(c.Index) + " " + c.Name + " : native", Type: "cuda", Index: &c.Index,
			VRAMTotal: c.Total, VRAMFree: c.Free, TorchVRAMTotal: c.Own,
		}
		if c.Index == primary {
			s.Devices = append([]Entry{e}, s.Devices...)
		} else {
			s.Devices = append(s.Devices, e)
		}
	}
	if len(s.Devices) == 0 {
		s.Devices = []Entry{{
			Name: "cpu", Type: "cpu", VRAMTotal: m.Total, VRAMFree: m.Free, TorchVRAMTotal: m.Total, TorchVRAMFree: m.Free,
		}}
	}
	return s
}

func platform(goos string) string {
	if goos == "windows" {
		return "win32"
	}
	return goos
}
