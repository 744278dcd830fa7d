package device

import (
	"github.com/shirou/gopsutil/v4/cpu"
)

// CPU describes the CPU for a report to the user.
type CPU struct {
	Model    string
	Cores    int // physical cores that this process may use
	Features []string
}

// interesting are the instruction sets that decide how fast models run.
var interesting = []string{"avx", "avx2", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16"}

// ReadCPU returns the system's data of the CPU; unknown fields stay empty.
func ReadCPU() CPU {
	p := CPU{Cores: PhysicalCores()}
	infos, err := cpu.Info()
	if err != nil || len(infos) == 0 {
		return p
	}
	p.Model = infos[0].ModelName
	has := map[string]bool{}
	for _, f := range infos[0].Flags {
		has[f] = true
	}
	for _, f := range interesting {
		if has[f] {
			p.Features = append(p.Features, f)
		}
	}
	return p
}
