package device

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

const gib = 1 << 30

func TestMemoryRespectsTheContainer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  Memory
	}{
		{"no groups", nil, Memory{64 * gib, 32 * gib}},
		{"no limit", map[string]string{"/proc/self/cgroup": "0::/app\n", "/sys/fs/cgroup/app/memory.max": "max\n"}, Memory{64 * gib, 32 * gib}},
		{"version 2", map[string]string{
			"/proc/self/cgroup":                   "0::/app\n",
			"/sys/fs/cgroup/app/memory.max":       "8589934592\n",
			"/sys/fs/cgroup/app/memory.current":   "3221225472\n",
			"/sys/fs/cgroup/app/memory.stat":      "anon 5\ninactive_file 1073741824\n",
			"/sys/fs/cgroup/other/memory.max":     "1\n",
			"/sys/fs/cgroup/memory/not.consulted": "1",
		}, Memory{8 * gib, 6 * gib}},
		{"a limit above", map[string]string{
			"/proc/self/cgroup":                 "0::/pod/app\n",
			"/sys/fs/cgroup/pod/memory.max":     "4294967296",
			"/sys/fs/cgroup/pod/app/memory.max": "max",
		}, Memory{4 * gib, 4 * gib}},
		{"own namespace", map[string]string{
			"/proc/self/cgroup": "0::/../../elsewhere\n", "/sys/fs/cgroup/memory.max": "2147483648", "/sys/fs/cgroup/memory.current": "0",
		}, Memory{2 * gib, 2 * gib}},
		{"version 1", map[string]string{
			"/proc/self/cgroup":                               "8:pids:/x\n4:memory:/job\n0::/\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "17179869184\n",
			"/sys/fs/cgroup/memory/job/memory.usage_in_bytes": "17179869184\n",
			"/sys/fs/cgroup/memory/job/memory.stat":           "inactive_file 1\ntotal_inactive_file 2147483648\n",
		}, Memory{16 * gib, 2 * gib}},
		{"more used than allowed", map[string]string{
			"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1073741824", "/sys/fs/cgroup/memory.current": "2147483648",
		}, Memory{1 * gib, 0}},
	}
	for _, test := range tests {
		r := memoryReader{
			host: func() (Memory, error) { return Memory{64 * gib, 32 * gib}, nil },
			read: func(path string) ([]byte, error) {
				if s, ok := test.files[path]; ok {
					return []byte(s), nil
				}
				return nil, fs.ErrNotExist
			},
		}
		if got := r.memory(); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestTheRealMachineMakesSense(t *testing.T) {
	t.Parallel()
	m := ReadMemory()
	if m.Total < 64<<20 || m.Free <= 0 || m.Free > m.Total {
		t.Errorf("memory %+v", m)
	}
	if n := PhysicalCores(); n < 1 || n > 4096 {
		t.Errorf("%d cores", n)
	}
	if p := ReadCPU(); p.Cores != PhysicalCores() {
		t.Errorf("CPU %+v", p)
	}
	gpus, err := GPUs()
	if err == nil && len(gpus) == 0 || err != nil && len(gpus) != 0 {
		t.Errorf("GPUs %v, %v", gpus, err)
	}
	for _, c := range gpus {
		if c.Total <= 0 || c.Name == "" {
			t.Errorf("GPU %+v", c)
		}
	}
	s := ReadStats(-1)
	if len(s.Devices) != 1 || s.Devices[0].Type != "cpu" || s.RAMTotal != m.Total {
		t.Errorf("stats %+v", s)
	}
}

func someGPUs() []GPU {
	return []GPU{
		{Index: 0, Name: "A", UUID: "GPU-aaa", Total: 10, Free: 4, Own: 3, Driver: "580.1"},
		{Index: 1, Name: "B", UUID: "GPU-bbb", Total: 20, Free: 8},
		{Index: 2, Name: "C", UUID: "GPU-ccc", Total: 30, Free: 9},
	}
}

func TestVisibleGPUs(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"all": "ABC", "0": "A", "2,0": "CA", " 1 , 2 ": "BC", "GPU-b": "B", "0,9,1": "A", "": "", "-1": "", "NoDevFiles": "",
	} {
		var names []string
		for i, c := range visible(someGPUs(), list) {
			if c.Index != i {
				t.Errorf("%q: GPU %s has index %d at %d", list, c.Name, c.Index, i)
			}
			names = append(names, c.Name)
		}
		if got := strings.Join(names, ""); got != want {
			t.Errorf("%q shows %q, want %q", list, got, want)
		}
	}
}

func TestStatsAreShapedAsUpstreams(t *testing.T) {
	t.Parallel()
	s := statsOf(Memory{100, 50}, someGPUs()[:2], 1)
	got, err := json.Marshal(s.Devices)
	want := `[{"name":"cuda:1 B : native","type":"cuda","index":1,"vram_total":20,"vram_free":8,"torch_vram_total":0,"torch_vram_free":0},` +
		`{"name":"cuda:0 A : native","type":"cuda","index":0,"vram_total":10,"vram_free":4,"torch_vram_total":3,"torch_vram_free":0}]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	got, err = json.Marshal(statsOf(Memory{100, 50}, nil, -1).Devices)
	want = `[{"name":"cpu","type":"cpu","index":null,"vram_total":100,"vram_free":50,"torch_vram_total":100,"torch_vram_free":50}]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if platform("windows") != "win32" || platform("linux") != "linux" {
		t.Error("the names of systems are not Python's")
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	broken := errors.New("driver too old")
	only := func(good int) func(int) error {
		return func(i int) error {
			if i == good {
				return nil
			}
			return broken
		}
	}
	tests := []struct {
		name   string
		want   Want
		gpus   []GPU
		err    error
		usable func(int) error
		gpu    int
		why    string // part of Why, or of the error when GPU is -2
	}{
		{"cpu asked for", Want{CPU: true, GPU: -1}, someGPUs(), nil, only(0), -1, "as asked for"},
		{"no driver", Want{GPU: -1}, nil, ErrNoGPU, only(0), -1, "no NVIDIA GPU"},
		{"first", Want{GPU: -1}, someGPUs(), nil, only(0), 0, "cuda:0 A, driver 580.1"},
		{"first that works", Want{GPU: -1}, someGPUs(), nil, only(2), 2, "cuda:2 C"},
		{"none works", Want{GPU: -1}, someGPUs(), nil, only(9), -1, "driver too old"},
		{"named", Want{GPU: 1}, someGPUs(), nil, only(1), 1, "cuda:1 B"},
		{"named is broken", Want{GPU: 1}, someGPUs(), nil, only(0), -2, "using GPU 1: driver too old"},
		{"named does not exist", Want{GPU: 7}, someGPUs(), nil, only(0), -2, "there are 3 GPUs"},
		{"named without driver", Want{GPU: 0}, nil, ErrNoGPU, only(0), -2, "no NVIDIA GPU"},
	}
	for _, test := range tests {
		got, err := Choose(test.want, test.gpus, test.err, test.usable)
		if test.gpu == -2 {
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%s: got %+v, %v, want an error with %q", test.name, got, err, test.why)
			}
			continue
		}
		if err != nil || got.GPU != test.gpu || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: got %+v, %v, want GPU %d and %q", test.name, got, err, test.gpu, test.why)
		}
	}
}
