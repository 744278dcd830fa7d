// Package device tells which devices there are and how much memory they have.
//
// NVIDIA GPUs are asked through NVML, the CPU and the memory through the system, inside a container through its
// limits. The package must not know what the devices are used for, and it allocates nothing on them.
package device
