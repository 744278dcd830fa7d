// Package device reports the available devices and their memory.
//
// It queries NVIDIA GPUs through NVML, the CPU and the memory through the system, inside a container through
// its limits. The package must not know what the devices are used for, and it allocates nothing on them.
package device
