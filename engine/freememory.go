package engine

// FreeMemory returns the number of bytes that a run of a model may take now on the device of the models: VRAM of a GPU, host
// memory for the CPU; -1 when that is not known.
func (rt *Runtime) FreeMemory() int64 { return rt.available(rt.cfg.Device) }
