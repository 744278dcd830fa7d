package metrics

import "github.com/prometheus/client_golang/prometheus"

// Sources are called when the figures are read. They must not block.
type Sources struct {
	// Queue returns the numbers of running and waiting jobs.
	Queue func() Queue
	// Models returns the engine's loaded models and its counters.
	Models func() Models
	// Python reports on the processes of node packs.
	Python func() []Python
	// Memory returns the memory of the machine and its devices.
	Memory func() []Memory
	// Sockets reports on the WebSocket clients.
	Sockets func() Sockets
	// Workers reports on the workers of a queue that several processes share.
	Workers func() []Worker
}

// Worker are the figures of a worker of the fleet.
type Worker struct {
	// ID is another one each time that the worker joins; Name is its host and process.
	ID, Name, Device    string
	Busy, Draining      bool
	VRAMTotal, VRAMFree int64
	Models, Finished    int
	// Silent is for how long nothing was heard of it, in seconds; below 0: not known.
	Silent float64
}

// Queue are the queue's figures.
type Queue struct {
	Running, Pending, History int
	Paused                    bool
	// Writable reports that accepted jobs can be stored.
	Writable bool
}

// Models are the engine's figures; the last three count since the start.
type Models struct {
	// Ready is the number of networks that are ready to run, Bytes the size of their prepared weights.
	Ready int
	Bytes int64
	// Loads, Reuses and Evictions are of networks.
	Loads, Reuses, Evictions int64
	// Devices are the engine's accounts of each device.
	Devices []DeviceModels
}

// DeviceModels is the memory that models occupy on one device, in bytes.
type DeviceModels struct {
	Device string
	// Sessions is the number of networks held ready, Weights what their weights take.
	Sessions int
	Weights  int64
	// Running is the estimate of the activations of the runs that are going on, Peak the highest that there was.
	Running, Peak int64
}

// Python are the figures of a process of node packs; the last two count since the server's start.
type Python struct {
	// Pack is the one pack that the process runs; "" means all.
	Pack  string
	Ready bool
	// Memory is the memory that the process occupies, Peak its maximum, GPU its memory of GPUs, in bytes.
	Memory, Peak, GPU int64
	CPU               float64
	Restarts          int
}

// Memory is that of one device, in bytes.
type Memory struct {
	Device      string
	Total, Free int64
}

// Sockets are the figures of the WebSocket clients; the last three count since the start.
type Sockets struct {
	Open                    int
	Messages, Bytes, CutOff int64
}

// source asks the sources for Prometheus.
type source struct{ from Sources }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	queueJobs      = describe("queue_jobs", "Jobs in the queue and in the history, by state.", "state")
	queuePaused    = describe("queue_paused", "1 while no waiting job is taken.")
	queueWritable  = describe("queue_writable", "1 while accepted jobs can be kept.")
	modelsReady    = describe("models_ready", "Networks that are held ready.")
	modelsBytes    = describe("models_weight_bytes", "Memory of prepared weights, without what is mapped from files.")
	modelLoads     = describe("model_loads_total", "Networks that were loaded.")
	modelReuses    = describe("model_reuses_total", "Networks that were ready when they were needed.")
	modelEvictions = describe("model_evictions_total", "Networks that were let go to make room, or because someone asked for it.")
	modelSessions  = describe("model_sessions", "Networks that are held ready on each device.", "device")
	modelBytes     = describe("model_device_bytes", "Memory that models take of each device: weights, and the estimated activations of running networks and their peak.", "device", "kind")
	memoryBytes    = describe("device_memory_bytes", "Memory of each device, total and free.", "device", "kind")
	pythonUp       = describe("python_up", "1 while the Python process of node packs is ready, by the pack that it runs alone.", "pack")
	pythonBytes    = describe("python_memory_bytes", "Memory of the Python processes of node packs: resident, the peak of that, and what they hold of GPUs.", "pack", "kind")
	pythonCPU      = describe("python_cpu_seconds_total", "CPU time of the Python processes of node packs.", "pack")
	pythonRestarts = describe("python_restarts_total", "How often the Python process of node packs was started again.", "pack")
	socketsOpen    = describe("websocket_clients", "WebSocket clients.")
	socketMessages = describe("websocket_messages_total", "Messages that were queued for WebSocket clients.")
	socketBytes    = describe("websocket_bytes_total", "Bytes of those messages before they are packed.")
	workerUp       = describe("worker_up", "1 for each worker of the fleet.", "worker", "name", "device")
	workerState    = describe("worker_state", "What each worker does: 1 for busy while it runs a job, and for draining while it takes no more.", "worker", "state")
	workerVRAM     = describe("worker_vram_bytes", "VRAM of each worker's device, total and free.", "worker", "kind")
	workerModels   = describe("worker_models", "Models that each worker has used last and probably still has loaded.", "worker")
	workerFinished = describe("worker_jobs_finished_total", "Jobs that each worker has ended since it joined.", "worker")
	workerSilent   = describe("worker_silent_seconds", "How long nothing was heard of each worker.", "worker")
	socketCutOff   = describe("websocket_cut_off_total", "WebSocket clients that were cut off because they were too slow.")
)

// Describe implements prometheus.Collector.
func (s source) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, to) }

// Collect implements prometheus.Collector.
func (s source) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	if s.from.Queue != nil {
		q := s.from.Queue()
		send(queueJobs, gauge, float64(q.Running), "running")
		send(queueJobs, gauge, float64(q.Pending), "pending")
		send(queueJobs, gauge, float64(q.History), "finished")
		send(queuePaused, gauge, one(q.Paused))
		send(queueWritable, gauge, one(q.Writable))
	}
	if s.from.Models != nil {
		m := s.from.Models()
		send(modelsReady, gauge, float64(m.Ready))
		send(modelsBytes, gauge, float64(m.Bytes))
		send(modelLoads, counter, float64(m.Loads))
		send(modelReuses, counter, float64(m.Reuses))
		send(modelEvictions, counter, float64(m.Evictions))
		for _, d := range m.Devices {
			send(modelSessions, gauge, float64(d.Sessions), d.Device)
			send(modelBytes, gauge, float64(d.Weights), d.Device, "weights")
			send(modelBytes, gauge, float64(d.Running), d.Device, "running")
			send(modelBytes, gauge, float64(d.Peak), d.Device, "peak")
		}
	}
	if s.from.Memory != nil {
		seen := map[string]bool{} // two devices of one name would spoil the whole answer
		for _, m := range s.from.Memory() {
			if seen[m.Device] {
				continue
			}
			seen[m.Device] = true
			send(memoryBytes, gauge, float64(m.Total), m.Device, "total")
			send(memoryBytes, gauge, float64(m.Free), m.Device, "free")
		}
	}
	if s.from.Python != nil {
		for _, p := range s.from.Python() {
			send(pythonUp, gauge, one(p.Ready), p.Pack)
			send(pythonBytes, gauge, float64(p.Memory), p.Pack, "resident")
			send(pythonBytes, gauge, float64(p.Peak), p.Pack, "peak")
			send(pythonBytes, gauge, float64(p.GPU), p.Pack, "gpu")
			send(pythonCPU, counter, p.CPU, p.Pack)
			send(pythonRestarts, counter, float64(p.Restarts), p.Pack)
		}
	}
	if s.from.Workers != nil {
		for _, w := range s.from.Workers() {
			send(workerUp, gauge, 1, w.ID, w.Name, w.Device)
			send(workerState, gauge, one(w.Busy), w.ID, "busy")
			send(workerState, gauge, one(w.Draining), w.ID, "draining")
			send(workerVRAM, gauge, float64(w.VRAMTotal), w.ID, "total")
			send(workerVRAM, gauge, float64(w.VRAMFree), w.ID, "free")
			send(workerModels, gauge, float64(w.Models), w.ID)
			send(workerFinished, counter, float64(w.Finished), w.ID)
			if w.Silent >= 0 {
				send(workerSilent, gauge, w.Silent, w.ID)
			}
		}
	}
	if s.from.Sockets != nil {
		k := s.from.Sockets()
		send(socketsOpen, gauge, float64(k.Open))
		send(socketMessages, counter, float64(k.Messages))
		send(socketBytes, counter, float64(k.Bytes))
		send(socketCutOff, counter, float64(k.CutOff))
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
