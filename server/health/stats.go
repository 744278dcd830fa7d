package health

// UpstreamVersion is the version of ComfyUI that the server is compatible with.
const UpstreamVersion = "0.33.0"

// Device is one entry of /system_stats' devices, sizes in bytes.
type Device struct {
	Name, Type string
	// Index is below 0 if the device has none, as the CPU.
	Index               int
	VRAMTotal, VRAMFree int64
	// TorchTotal and TorchFree are the model runtime's part of it.
	TorchTotal, TorchFree int64
}

// Stats are the figures of /system_stats, in bytes.
type Stats struct {
	RAMTotal, RAMFree int64
	// Devices has the one that computes first.
	Devices []Device
}
