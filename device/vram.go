package device

import "sync"

// vram keeps the handles for frequent queries of the GPUs' memory.
var vram struct {
	sync.Mutex
	gpus []GPU // as CUDA counts them; nil before the first question and after a failure
}

// FreeVRAM returns the number of free bytes of a GPU's memory, or -1 if the driver does not report it. index is
// CUDA's, see GPUs. Unlike GPUs it may be called before every run of a network: the management library stays open.
func FreeVRAM(index int) int64 {
	vram.Lock()
	defer vram.Unlock()
	if vram.gpus == nil {
		gpus, err := GPUs()
		if err != nil {
			return -1
		}
		vram.gpus = gpus
	}
	if index < 0 || index >= len(vram.gpus) {
		return -1
	}
	free := freeMemory(vram.gpus[index].UUID)
	if free < 0 {
		vram.gpus = nil // a driver that was updated meanwhile is asked anew
	}
	return free
}
