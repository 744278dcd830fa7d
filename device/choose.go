package device

import "fmt"

// Want is the device that the user selected.
type Want struct {
	CPU bool // --cpu: nothing but the CPU
	GPU int  // --cuda-device or --default-device: this GPU; -1 for the first that works
}

// Choice is the device that models run on.
type Choice struct {
	GPU int // index of the GPU; -1 for the CPU
	// Why explains in one line the choice and, for the CPU, why no GPU was chosen.
	Why string
}

// Choose picks the device. usable tries a GPU for real: a driver can list one that the runtime cannot use. If the user
// selected a GPU that is not usable, that is an error; otherwise the CPU takes over.
func Choose(w Want, gpus []GPU, gpusErr error, usable func(index int) error) (Choice, error) {
	if w.CPU {
		return Choice{GPU: -1, Why: "the CPU, as asked for"}, nil
	}
	if gpusErr != nil || len(gpus) == 0 {
		if gpusErr == nil {
			gpusErr = ErrNoGPU
		}
		if w.GPU >= 0 {
			return Choice{}, fmt.Errorf("using GPU %d: %w", w.GPU, gpusErr)
		}
		return Choice{GPU: -1, Why: fmt.Sprintf("the CPU: %v", gpusErr)}, nil
	}
	var last error
	for _, c := range gpus {
		if w.GPU >= 0 && c.Index != w.GPU {
			continue
		}
		if last = usable(c.Index); last == nil {
			return Choice{GPU: c.Index, Why: fmt.Sprintf("cuda:%d %s, driver %s", c.Index, c.Name, c.Driver)}, nil
		}
	}
	if w.GPU >= 0 {
		if last == nil {
			last = fmt.Errorf("there are %d GPUs, counted from 0", len(gpus))
		}
		return Choice{}, fmt.Errorf("using GPU %d: %w", w.GPU, last)
	}
	return Choice{GPU: -1, Why: fmt.Sprintf("the CPU: %v", last)}, nil
}
