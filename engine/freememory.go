package engine

// FreeMemory is how many bytes a run of a model may take now on the device that models run on: VRAM of a GPU, host memory for the
// CPU; -1 when that is not known.
func (rt *Runtime) FreeMemory() int64 { return rt.available(rt.cfg.Device) }
