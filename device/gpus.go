package device

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// ErrNoGPU is wrapped by errors that explain why no NVIDIA GPU is available.
var ErrNoGPU = errors.New("no NVIDIA GPU")

// GPU is an NVIDIA GPU.
type GPU struct {
	Index  int // as CUDA counts the visible GPUs, in the order of the bus
	Name   string
	UUID   string
	Driver string // version of the driver
	Total  int64  // bytes
	Free   int64
	Own    int64 // bytes that this process holds; 0 when the driver does not tell
}

// GPUs lists the GPUs that CUDA would show to this process: those that $CUDA_VISIBLE_DEVICES leaves. The error wraps
// ErrNoGPU without a GPU, which is normal.
func GPUs() ([]GPU, error) {
	all, err := readGPUs()
	if err != nil {
		return nil, err
	}
	list, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	if !set {
		list = "all"
	}
	seen := visible(all, list)
	if len(seen) == 0 {
		return nil, errors.Join(ErrNoGPU, errors.New("CUDA_VISIBLE_DEVICES hides all"))
	}
	return seen, nil
}

// visible applies CUDA_VISIBLE_DEVICES: numbers or starts of UUIDs, in the order wanted, up to the first that is wrong.
func visible(all []GPU, list string) []GPU {
	if list == "all" {
		return all
	}
	var out []GPU
	for _, want := range strings.Split(list, ",") {
		i := position(all, strings.TrimSpace(want))
		if i < 0 {
			break
		}
		c := all[i]
		c.Index = len(out)
		out = append(out, c)
	}
	return out
}

func position(all []GPU, want string) int {
	if n, err := strconv.Atoi(want); err == nil {
		if n >= 0 && n < len(all) {
			return n
		}
		return -1
	}
	for i, c := range all {
		if want != "" && strings.HasPrefix(c.UUID, want) {
			return i
		}
	}
	return -1
}
