package device

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// ErrNoCards is wrapped by errors that explain why no NVIDIA GPU is available.
var ErrNoCards = errors.New("no NVIDIA GPU")

// Card is an NVIDIA GPU.
type Card struct {
	Index  int // as CUDA counts the visible GPUs, in the order of the bus
	Name   string
	UUID   string
	Driver string // version of the driver
	Total  int64  // bytes
	Free   int64
	Own    int64 // bytes that this process holds; 0 when the driver does not tell
}

// Cards lists the GPUs that CUDA would show to this process: those that $CUDA_VISIBLE_DEVICES leaves. The error wraps
// ErrNoCards without a GPU, which is normal.
func Cards() ([]Card, error) {
	all, err := readCards()
	if err != nil {
		return nil, err
	}
	list, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	if !set {
		list = "all"
	}
	seen := visible(all, list)
	if len(seen) == 0 {
		return nil, errors.Join(ErrNoCards, errors.New("CUDA_VISIBLE_DEVICES hides all"))
	}
	return seen, nil
}

// visible applies CUDA_VISIBLE_DEVICES: numbers or starts of UUIDs, in the order wanted, up to the first that is wrong.
func visible(all []Card, list string) []Card {
	if list == "all" {
		return all
	}
	var out []Card
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

func position(all []Card, want string) int {
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
