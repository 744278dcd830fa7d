//go:build linux && cgo

package device

import (
	"fmt"
	"os"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// readGPUs asks the driver. The management library is opened at run time and closed again: the calls are rare, and
// a driver that is updated meanwhile is then no trouble.
func readGPUs() ([]GPU, error) {
	if ret := nvml.Init(); ret != nvml.SUCCESS {
		return nil, fmt.Errorf("%w: %s", ErrNoGPU, reason(ret))
	}
	defer func() { _ = nvml.Shutdown() }()
	n, ret := nvml.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("%w: counting GPUs: %s", ErrNoGPU, nvml.ErrorString(ret))
	}
	driver, _ := nvml.SystemGetDriverVersion() // empty when it does not say
	var out []GPU
	for i := range n {
		d, ret := nvml.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			return nil, fmt.Errorf("asking for GPU %d: %s", i, nvml.ErrorString(ret))
		}
		out = append(out, readGPU(i, d, driver))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: the driver finds none", ErrNoGPU)
	}
	return out, nil
}

// readGPU reads the driver's data of one GPU; fields that the driver refuses stay empty.
func readGPU(index int, d nvml.Device, driver string) GPU {
	c := GPU{Index: index, Driver: driver}
	c.Name, _ = d.GetName()
	c.UUID, _ = d.GetUUID()
	if m, ret := d.GetMemoryInfo(); ret == nvml.SUCCESS {
		c.Total, c.Free = int64(m.Total), int64(m.Free)
	}
	processes, _ := d.GetComputeRunningProcesses()
	for _, p := range processes {
		if int(p.Pid) == os.Getpid() && p.UsedGpuMemory < uint64(c.Total)+1 { // all ones mean unknown
			c.Own = int64(p.UsedGpuMemory)
		}
	}
	return c
}

// reason explains why the management library did not start. Without the library there are no messages to ask it for.
func reason(ret nvml.Return) string {
	switch ret {
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return "the NVIDIA driver is not installed"
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return "the NVIDIA driver is not loaded"
	}
	return nvml.ErrorString(ret)
}

// opened reports whether freeMemory has opened the management library.
var opened bool

// freeMemory returns the free bytes of the GPU with a UUID, -1 when the driver does not say. It leaves the management
// library open, since opening takes longer than a step of a small model; after a failure it is closed, to be opened anew.
// Calls must not overlap.
func freeMemory(uuid string) int64 {
	if !opened {
		if nvml.Init() != nvml.SUCCESS {
			return -1
		}
		opened = true
	}
	d, ret := nvml.DeviceGetHandleByUUID(uuid)
	if ret == nvml.SUCCESS {
		if m, ret := d.GetMemoryInfo(); ret == nvml.SUCCESS {
			return int64(m.Free)
		}
	}
	_ = nvml.Shutdown()
	opened = false
	return -1
}
